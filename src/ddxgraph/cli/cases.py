"""The cases of a command: a case file or a benchmark, a selection of it, and the gold answers."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias, cast

import typer

from ddxgraph.cli.terminal import say
from ddxgraph.common.errors import BadInput, BenchmarkError, CaseFileError
from ddxgraph.eval.benchmarks.registry import BENCHMARKS

if TYPE_CHECKING:
    from ddxgraph.batch.manifest import CaseSet, Selection
    from ddxgraph.eval.cases import CaseEntry
    from ddxgraph.nodes.case import Case
    from ddxgraph.view.data.row import Judge, Judged, Verdict

GoldLetters: TypeAlias = dict[str, str]
"""Case id to the letter of the gold answer, for cases that have one. No node ever sees it."""


class OptionOrder(StrEnum):
    """How options are shown."""

    AS_IS = "as-is"
    SHUFFLE = "shuffle"


CasesArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="CASES",
        help=f"A case file (JSONL, one case a line) or a benchmark ({', '.join(BENCHMARKS)}). "
        "A file with the name of a benchmark is given as ./NAME.",
    ),
]
SplitName: TypeAlias = Annotated[
    str | None, typer.Option(help="Split of the benchmark, such as train, dev or test. By default test.")
]
Subset: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Only this group of the benchmark: step1 or step2&3 (MedQA), a medical field (JAMA), a level "
        "(ddxlab). By default all."
    ),
]
FiveOptions: TypeAlias = Annotated[
    bool,
    typer.Option("--five-options", help="Use the benchmark's file with five options a case (Medbullets)."),
]
Limit: TypeAlias = Annotated[
    int | None, typer.Option(min=1, help="Take a random sample of this many cases. By default all.")
]
LimitSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Seed of the sample that --limit draws. By default 0.", show_default=False),
]
FreeForm: TypeAlias = Annotated[
    bool, typer.Option("--free-form", help="Withhold the options: the model answers in words.")
]
Options: TypeAlias = Annotated[
    OptionOrder,
    typer.Option("--options", help="Show the options as published, or in an order shuffled for each case."),
]
ShuffleSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Seed of the shuffled order of options. By default 0.", show_default=False),
]


@dataclass(frozen=True)
class CaseOptions:
    """The options that select cases and say how they are shown."""

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
        """Seed of the shuffle; None: the options stay in their order."""
        return (self.shuffle_seed or 0) if self.options is OptionOrder.SHUFFLE else None

    def check(self) -> None:
        """Refuse options that contradict each other.

        Raises:
            BadInput: two options do not go together.
        """
        if self.limit_seed is not None and self.limit is None:
            raise BadInput("--limit-seed draws a sample, so give --limit too")
        if self.shuffle_seed is not None and self.options is OptionOrder.AS_IS:
            raise BadInput("--shuffle-seed shuffles options, so give --options shuffle too")
        if self.free_form and self.options is OptionOrder.SHUFFLE:
            raise BadInput("--free-form withholds the options, so leave out --options shuffle")


@dataclass(frozen=True)
class CaseSource:
    """Cases that can be read more than once, and where they are from. Iterating gives no gold answers."""

    entries: "Iterable[CaseEntry]"
    where: str
    selection: "Selection | None" = None
    """None for a case file."""

    def __iter__(self) -> "Iterator[Case]":
        return (entry.case for entry in self.entries)


@dataclass(frozen=True)
class _Changed:
    """Entries that are changed as they are read."""

    entries: "Iterable[CaseEntry]"
    change: "Callable[[CaseEntry], CaseEntry]"

    def __iter__(self) -> "Iterator[CaseEntry]":
        return map(self.change, self.entries)


def case_source(cases: str, wanted: CaseOptions) -> CaseSource:
    """The cases that a command takes.

    The name of a benchmark is that benchmark, whatever files there are; anything else is a path.

    Raises:
        BadInput: options contradict each other or do not fit a case file.
        BenchmarkError: the benchmark is not on this machine, not as published, or lacks what is selected.
        CaseFileError: the case file cannot be read.
    """
    wanted.check()
    return _of_benchmark(cases, wanted) if cases in BENCHMARKS else _of_file(Path(cases), wanted)


def read_through(source: CaseSource) -> "tuple[CaseSet, GoldLetters]":
    """Read all cases once, so that a bad one is named before any work starts; keep their gold letters.

    Raises:
        CaseFileError: a case is malformed, or has two gold answers.
        CaseConflict: two different cases have the same id.
    """
    from ddxgraph.batch.manifest import case_set

    letters = GoldLetters()

    def cases() -> "Iterator[Case]":
        for case, gold in source.entries:
            yield case
            if gold and case.options and letters.setdefault(case.id, gold.answer) != gold.answer:
                raise CaseFileError(
                    f"{source.where}: the case {case.id!r} occurs twice, with two different answers"
                )

    return case_set(cases()), letters


def _of_benchmark(name: str, wanted: CaseOptions) -> CaseSource:
    from ddxgraph.batch.manifest import Selection
    from ddxgraph.eval.benchmarks.items import load

    items = load(
        Selection(
            benchmark=name,
            split=wanted.split or "test",
            five_options=wanted.five_options,
            free_form=wanted.free_form,
            shuffle=wanted.shuffle,
            subset=wanted.subset,
            limit=wanted.limit,
            limit_seed=wanted.limit_seed or 0,
        )
    )
    if items.absent:
        say(
            f"{items.absent} of the {items.selection.size} cases of {name} {items.selection.split} are not on "
            "this machine; scores will say so"
        )
    return CaseSource(items.entries, name, items.selection)


def _of_file(path: Path, wanted: CaseOptions) -> CaseSource:
    from ddxgraph.eval.cases import CaseFile, sample, shuffled, withheld

    only = {"--split": wanted.split, "--subset": wanted.subset, "--five-options": wanted.five_options}
    given = [name for name, value in only.items() if value]
    if given:
        raise BadInput(
            f"{', '.join(given)}: only benchmarks ({', '.join(BENCHMARKS)}) have these, and "
            f"{str(path)!r} is read as a case file"
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise CaseFileError(
            f"{str(path)!r} is a pipe or a device, and a run reads its cases more than once: "
            "save them to a file first"
        )
    entries: Iterable[CaseEntry] = CaseFile(path)
    if wanted.limit is not None:
        entries = sample(entries, wanted.limit, wanted.limit_seed or 0)
    if wanted.shuffle is not None:
        entries = _Changed(entries, partial(shuffled, seed=wanted.shuffle))
    if wanted.free_form:
        entries = _Changed(entries, withheld)
    return CaseSource(entries, str(path))


class GoldAnswers(NamedTuple):
    """What judges the traces of a source, and why it may lack the gold answers."""

    judge: "Judge"
    unknown: str
    """Why the gold answers are not known; empty if they are."""


def gold_answers(source: Path, cases: Path | None) -> GoldAnswers:
    """The gold answers for a run folder or trace file.

    A page can be read without them, so a benchmark that is not on this machine is a remark and no error.

    Args:
        source: the folder or file.
        cases: a case file with the gold answers; None: those of the run's benchmark.

    Returns:
        The judge, and why gold answers are missing if they are.

    Raises:
        CaseFileError: the case file cannot be read.
        ScoreError: the folder holds no run.
    """
    from ddxgraph.eval.benchmarks.items import load
    from ddxgraph.eval.cases import CaseFile
    from ddxgraph.eval.scoring.run import manifest_of

    if cases is not None:
        return GoldAnswers(_AnswerKey(CaseFile(cases)), "")
    selection = manifest_of(source).selection if source.is_dir() else None
    if selection is None:
        return GoldAnswers(_AnswerKey(()), "give the case file that holds them: --cases FILE")
    try:
        return GoldAnswers(_AnswerKey(load(selection)), "")
    except BenchmarkError as error:
        return GoldAnswers(_AnswerKey(()), str(error))


class _AnswerKey:
    """Judges the traces of its cases; a case with the id of one of them and other content is not judged."""

    def __init__(self, entries: "Iterable[CaseEntry]") -> None:
        self._known = {
            entry.case.id: (entry.case.model_dump(mode="json"), entry.gold.answer)
            for entry in entries
            if entry.gold
        }

    def __call__(self, record: Mapping[str, Any]) -> "Judged | None":
        from ddxgraph.eval.scoring.rule import verdict_of
        from ddxgraph.view.data.row import Judged

        case = record["case"]
        shown, gold = self._known.get(case["id"], ({}, ""))
        if not shown or any(case.get(field) != value for field, value in shown.items() if field in _SHOWN):
            return None
        verdict = verdict_of(record["outcome"], record["answer"], gold, case.get("options") or {})
        return Judged(gold, cast("Verdict", str(verdict)))


_SHOWN: Final = ("vignette", "question", "options")
"""What a model sees of a case. If it is the same, the gold answer holds."""
