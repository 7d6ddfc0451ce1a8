"""Where a command's cases come from, a case file or a benchmark; which are taken, and how they are shown."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from ddxgraph.batch.manifest import CaseSet, Selection, case_set
from ddxgraph.cli.speech import Exit, fail, say
from ddxgraph.common.errors import CaseFileError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.eval.cases import CaseEntry, CaseFile, sample, shuffled, withheld
from ddxgraph.nodes.case import Case

GoldLetters: TypeAlias = dict[str, str]
"""Case id to the letter of the gold answer; empty where there is none. No node ever sees it."""


class OptionOrder(StrEnum):
    """How options are shown."""

    AS_IS = "as-is"
    SHUFFLE = "shuffle"


CasesArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="CASES",
        help=f"A case file (one case a line, JSONL), or a benchmark: {', '.join(BENCHMARKS)}. "
        "A file that has a benchmark's name is given as ./NAME.",
    ),
]
SplitName: TypeAlias = Annotated[str | None, typer.Option(help="Of a benchmark; test where none is given.")]
Subset: TypeAlias = Annotated[
    str | None, typer.Option(help="Of a benchmark: a named group, such as step1 (MedQA) or a field (JAMA).")
]
FiveOptions: TypeAlias = Annotated[
    bool, typer.Option("--five-options", help="The benchmark's file with five options a case (Medbullets).")
]
Limit: TypeAlias = Annotated[int | None, typer.Option(min=1, help="A sample of so many cases.")]
LimitSeed: TypeAlias = Annotated[
    int | None, typer.Option(help="Draws another sample; 0 where none is given.", show_default=False)
]
FreeForm: TypeAlias = Annotated[
    bool, typer.Option("--free-form", help="Withhold the options: the answer is text.")
]
Options: TypeAlias = Annotated[
    OptionOrder, typer.Option("--options", help="The options as they are, or shuffled case by case.")
]
ShuffleSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Gives another order of options; 0 where none is given.", show_default=False),
]


@dataclass(frozen=True)
class Asked:
    """What the options of a command ask for."""

    split: str | None = None
    subset: str | None = None
    five_options: bool = False
    limit: int | None = None
    limit_seed: int | None = None
    free_form: bool = False
    options: OptionOrder = OptionOrder.AS_IS
    shuffle_seed: int | None = None

    @property
    def shuffle(self) -> int | None:
        """Seed of the shuffle; None: as published."""
        return (self.shuffle_seed or 0) if self.options is OptionOrder.SHUFFLE else None


@dataclass(frozen=True)
class CaseSource:
    """Cases that can be read again and again, without their gold answers; and where they are from."""

    entries: Iterable[CaseEntry]
    where: str
    selection: Selection | None = None
    """None for a case file."""

    def __iter__(self) -> Iterator[Case]:
        return (entry.case for entry in self.entries)


@dataclass(frozen=True)
class _Shown:
    """Entries each of which is changed as it is read."""

    entries: Iterable[CaseEntry]
    change: Callable[[CaseEntry], CaseEntry]

    def __iter__(self) -> Iterator[CaseEntry]:
        return map(self.change, self.entries)


def case_source(cases: str, asked: Asked) -> CaseSource:
    """The cases that a command is to take; what contradicts itself ends the command.

    A benchmark's name is that benchmark, whatever files there are; anything else is a path.

    Raises:
        BenchmarkError: the benchmark is not here, not as published, or has not what is asked for.
        CaseFileError: a case file cannot be read.
    """
    _refuse_contradictions(asked)
    return _of_benchmark(cases, asked) if cases in BENCHMARKS else _of_file(Path(cases), asked)


def read_through(source: CaseSource) -> tuple[CaseSet, GoldLetters]:
    """Read all cases once, so that a bad one is named before anything is started; keep their gold letters.

    Raises:
        CaseFileError: a case is malformed, or has two gold answers.
        CaseConflict: two different cases go by one id.
    """
    gold = GoldLetters()

    def cases() -> Iterator[Case]:
        for case, told in source.entries:
            yield case
            if told and case.options and gold.setdefault(case.id, told.answer) != told.answer:
                raise CaseFileError(
                    f"{source.where}: the case {case.id!r} stands twice, with two different answers"
                )

    return case_set(cases()), gold


def _refuse_contradictions(asked: Asked) -> None:
    if asked.limit_seed is not None and asked.limit is None:
        fail("--limit-seed draws a sample, so give --limit too", Exit.BAD_INPUT)
    if asked.shuffle_seed is not None and asked.options is OptionOrder.AS_IS:
        fail("--shuffle-seed shuffles options, so give --options shuffle too", Exit.BAD_INPUT)
    if asked.free_form and asked.options is OptionOrder.SHUFFLE:
        fail("--free-form withholds the options, so leave out --options shuffle", Exit.BAD_INPUT)


def _of_benchmark(name: str, asked: Asked) -> CaseSource:
    items = load(
        Selection(
            benchmark=name,
            split=asked.split or "test",
            five_options=asked.five_options,
            free_form=asked.free_form,
            shuffle=asked.shuffle,
            subset=asked.subset,
            limit=asked.limit,
            limit_seed=asked.limit_seed or 0,
        )
    )
    if items.absent:
        say(
            f"{items.absent} of the {items.selection.size} cases of {name} {items.selection.split} are not on "
            "this machine; scores will say so"
        )
    return CaseSource(items.entries, name, items.selection)


def _of_file(path: Path, asked: Asked) -> CaseSource:
    only = {"--split": asked.split, "--subset": asked.subset, "--five-options": asked.five_options}
    given = [name for name, value in only.items() if value]
    if given:
        fail(
            f"{', '.join(given)}: only benchmarks ({', '.join(BENCHMARKS)}) have these, and "
            f"{str(path)!r} is read as a case file",
            Exit.BAD_INPUT,
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise CaseFileError(
            f"{str(path)!r} is a pipe or a device, and a run reads its cases more than once: "
            "save them to a file first"
        )
    entries: Iterable[CaseEntry] = CaseFile(path)
    if asked.limit is not None:
        entries = sample(entries, asked.limit, asked.limit_seed or 0)
    if asked.shuffle is not None:
        entries = _Shown(entries, partial(shuffled, seed=asked.shuffle))
    if asked.free_form:
        entries = _Shown(entries, withheld)
    return CaseSource(entries, str(path))
