"""Which raw files of a benchmark are on this machine, and whether they are whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks import jama
from ddxgraph.eval.benchmarks.rawfile import Problem, RawFile
from ddxgraph.eval.benchmarks.registry import Benchmark, Split, data_folder, problems_in

State = Literal["ok", "absent", "incomplete", "differs"]


class Standing(NamedTuple):
    """How a raw file stands."""

    benchmark: str
    split: str
    """Empty for a file that is no split."""
    five_options: bool
    path: Path
    state: State
    size: int
    """Cases as published; of a file that is no split, its rows."""
    present: int
    """Cases that are here; 0 where the file cannot be used."""
    optional: bool
    """Not every user can have it."""
    note: str
    problems: Sequence[Problem]


def standings(benchmark: Benchmark, folder: Path | None = None) -> Iterator[Standing]:
    """Check every raw file of a benchmark.

    Raises:
        BenchmarkError: the record of an import is damaged.
    """
    place = folder or data_folder()
    for name, split in benchmark.splits.items():
        yield _of_split(benchmark, name, split, split.file, place)
        if split.five_options:
            yield _of_split(benchmark, name, split, split.five_options, place)
        if split.excluded:
            yield _of_companion(benchmark, name, split.excluded, place)
    for raw in benchmark.companions:
        yield _of_companion(benchmark, next(iter(benchmark.splits)), raw, place)


def _of_split(benchmark: Benchmark, name: str, split: Split, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, name, raw, place)
    size = present = split.size
    note = split.note
    report = jama.read_import(place) if split.imported and state == "ok" else None
    if report:
        present = report.present if name == "test" else report.train
        size = size or present
        note = f"from {report.source}" + (f"; {note}" if note else "")
    if present < size:
        state = "incomplete"
    usable = state in {"ok", "incomplete"}
    return Standing(
        benchmark=benchmark.name,
        split=name,
        five_options=raw is split.five_options,
        path=place / raw.path,
        state=state,
        size=size,
        present=present if usable else 0,
        optional=raw.optional,
        note=note,
        problems=problems,
    )


def _of_companion(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, split, raw, place)
    present = raw.rows if state == "ok" else 0
    return Standing(
        benchmark.name, "", False, place / raw.path, state, raw.rows, present, raw.optional, "", problems
    )


def _checked(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> tuple[State, Sequence[Problem]]:
    if not (place / raw.path).exists():
        return "absent", ()
    try:
        problems = problems_in(benchmark, split, raw, place)
    except BenchmarkError as error:
        problems = [Problem(None, "", "", str(error))]
    return ("differs" if problems else "ok"), problems
