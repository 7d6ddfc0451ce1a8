"""The registry of benchmarks. Reading the names imports no benchmark."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ddxgraph.common.errors import BenchmarkError

if TYPE_CHECKING:
    from ddxgraph.eval.benchmarks.benchmark import Benchmark

SHIPPED: Final = (
    "medqa",
    "medbullets",
    "jama",
    "ddxlab",
)
"""Each the name of a module of this package that defines its `BENCHMARK`, in the order of lists and reports."""


class Registry(Mapping[str, "Benchmark"]):
    """Name to benchmark; a shipped one is imported when it is first asked for."""

    def __init__(self) -> None:
        self.known: dict[str, Benchmark | None] = dict.fromkeys(SHIPPED)
        """Name to benchmark; None until a shipped one is first asked for."""

    def __getitem__(self, name: str) -> "Benchmark":
        benchmark = self.known[name]
        if benchmark is None:
            benchmark = import_module(f"{__package__}.{name}").BENCHMARK
            if benchmark.name != name:
                raise BenchmarkError(f"the module of the benchmark {name!r} defines {benchmark.name!r}")
            self.known[name] = benchmark
        return benchmark

    def __contains__(self, name: object) -> bool:
        return name in self.known

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


BENCHMARKS: Final = Registry()
"""Name to benchmark: the shipped ones, then those registered since."""


def find(name: str) -> "Benchmark":
    """A benchmark by its name, or by the other name it goes by.

    Raises:
        BenchmarkError: there is none of that name; the message lists the known ones.
    """
    if name in BENCHMARKS:
        return BENCHMARKS[name]
    for benchmark in BENCHMARKS.values():
        if name and name == benchmark.also:
            return benchmark
    raise BenchmarkError(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")


def held_out_benchmarks() -> "list[Benchmark]":
    """The benchmarks whose test split training data must not touch."""
    return [benchmark for benchmark in BENCHMARKS.values() if benchmark.held_out]


def label_of(name: str) -> str:
    """A benchmark's name as the literature spells it; the name itself where it is not registered here."""
    return BENCHMARKS[name].label if name in BENCHMARKS else name


def register(benchmark: "Benchmark", *, replace: bool = False) -> Callable[[], None]:
    """Add a benchmark of your own for the rest of the process.

    It is then listed, fetched, run, scored and reported like a shipped one, and where it is held out, the gate
    keeps training data clear of its test split.

    Args:
        benchmark: the benchmark.
        replace: whether it may take the place of one of the same name.

    Returns:
        A function that undoes the registration.

    Raises:
        BenchmarkError: the name is taken.
    """
    name, before = benchmark.name, dict(BENCHMARKS.known)
    if name in BENCHMARKS and not replace:
        raise BenchmarkError(f"a benchmark {name!r} is registered; give yours another name, or replace=True")
    BENCHMARKS.known[name] = benchmark

    def undo() -> None:
        if name in before:
            BENCHMARKS.known[name] = before[name]
        else:
            BENCHMARKS.known.pop(name, None)

    return undo
