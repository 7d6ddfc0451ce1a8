"""Compares two traces of one case, or two runs over the same cases. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile, zip_longest
from typing import Annotated, Final, Literal, NamedTuple

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.registry import title
from ddxgraph.view.data.path import step_title
from ddxgraph.view.data.row import Column, Judged, columns_of
from ddxgraph.view.data.tracebook import Entry

OTHER_CASE: Final = "different cases"
"""Said of the answers of two cases, which cannot be compared."""
Flip = Literal["became correct", "became incorrect", "both correct", "both not correct", "not judged"]
"""From the first to the second. Unparsed answers and abstentions are not correct; errors are not judged."""


class Divergence(NamedTuple):
    """Where two paths diverge."""

    common: int
    """Number of first steps with the same stop and, for checks, the same hypothesis."""
    same: bool
    """They never diverge."""
    after: str
    """Title of the last common step."""


def divergence(a: Sequence[Step], b: Sequence[Step]) -> Divergence:
    """Where two paths diverge."""
    alike = ((x.node, x.branch) == (y.node, y.branch) for x, y in zip(a, b, strict=False))
    common = sum(takewhile(bool, alike))
    same = common == len(a) == len(b)
    return Divergence(common, same, step_title(a[common - 1]) if common else "the start")


def flip(a: Judged | None, b: Judged | None) -> Flip:
    """How correctness changes from the first to the second."""
    if a is None or b is None or "error" in {a.verdict, b.verdict}:
        return "not judged"
    was, now = a.verdict == "correct", b.verdict == "correct"
    if was == now:
        return "both correct" if now else "both not correct"
    return "became correct" if now else "became incorrect"


def same_case(a: Trace, b: Trace) -> bool:
    """Whether two traces are of one case, whatever its name; its options in any order, or left out."""
    one, other = a.case, b.case
    options = {tuple(sorted(case.options.values())) for case in (one, other) if case.options}
    return len(options) < 2 and (one.vignette, one.question) == (other.vignette, other.question)  # noqa: PLR2004


class Pair(NamedTuple):
    """The traces of one case and sample in two runs; None if a run lacks it."""

    key: str
    case: str
    sample: int
    a: Entry | None
    b: Entry | None


def paired(a: Iterable[Entry], b: Iterable[Entry]) -> Iterator[Pair]:
    """Pair two runs by case and sample, in the order of the first; what only the second has comes last."""
    ours = {(entry.case, entry.sample): entry for entry in a}
    theirs = {(entry.case, entry.sample): entry for entry in b}
    for number, key in enumerate({**ours, **theirs}):
        yield Pair(str(number), *key, ours.get(key), theirs.get(key))


class PairRow(NamedTuple):
    """The row of a pair."""

    case: Annotated[str, Column("Case", "text")]
    sample: Annotated[int, Column("Sample", "number")]
    flip: Annotated[str, Column("Flip", "choice", plot=True, gold=True)]
    answers: Annotated[str, Column("Answers", "choice", plot=True)]
    answer_a: Annotated[str, Column("Answer A", "text")]
    answer_b: Annotated[str, Column("Answer B", "text")]
    gold: Annotated[str, Column("Gold", "text", gold=True)]
    paths: Annotated[str, Column("Paths", "choice", plot=True)]
    common: Annotated[int, Column("Steps in common", "number", plot=True)]
    backtracks_a: Annotated[int, Column("Backtracks A", "number")]
    backtracks_b: Annotated[int, Column("Backtracks B", "number")]
    tokens_a: Annotated[int, Column("Tokens A", "number")]
    tokens_b: Annotated[int, Column("Tokens B", "number")]


COLUMNS: Final = columns_of(PairRow)


def pair_row(pair: Pair, a: Trace | None, b: Trace | None) -> PairRow:
    """The row of a pair.

    Args:
        pair: its entries.
        a: the trace of the first.
        b: the trace of the second.

    Returns:
        The row.
    """
    first, second = pair.a, pair.b
    either = first or second
    assert either is not None  # noqa: S101 - a pair has one of the two
    diverging = divergence(a.steps, b.steps) if a and b else None
    answers = same_answer(a, b)
    return PairRow(
        case=either.row.case,
        sample=pair.sample,
        flip=flip(first.judged, second.judged)
        if first and second and answers != OTHER_CASE
        else "not judged",
        answers=answers,
        answer_a=first.row.answer if first else "–",
        answer_b=second.row.answer if second else "–",
        gold=either.row.gold,
        paths=paths_in_words(diverging, a),
        common=diverging.common if diverging else 0,
        backtracks_a=first.row.backtracks if first else 0,
        backtracks_b=second.row.backtracks if second else 0,
        tokens_a=first.row.tokens if first else 0,
        tokens_b=second.row.tokens if second else 0,
    )


def same_answer(a: Trace | None, b: Trace | None) -> str:
    """Whether two traces give the same answer, in words."""
    if a is None or b is None:
        return "only in A" if a else "only in B"
    if not same_case(a, b):
        return OTHER_CASE
    if a.answer is None or b.answer is None:
        return "one missing" if a.answer != b.answer else "none"
    # Texts are compared, since the letters of the options may be shuffled.
    answers = {trace.case.options.get(trace.answer or "", trace.answer) for trace in (a, b)}
    return "the same" if len(answers) == 1 else "different"


def paths_in_words(diverging: Divergence | None, a: Trace | None) -> str:
    """After which stop the paths diverge."""
    if diverging is None or a is None:
        return "only one"
    if diverging.same:
        return "the same"
    if not diverging.common:
        return "diverge at the start"
    return f"diverge after {title(a.steps[diverging.common - 1].node).lower()}"


class Twin(NamedTuple):
    """The steps with one number in two traces."""

    number: int
    a: Step | None
    b: Step | None
    parted: bool
    """Whether the paths have diverged."""
    here: bool
    """Whether they diverge at this step."""


def twins(a: Sequence[Step], b: Sequence[Step]) -> list[Twin]:
    """Steps side by side."""
    common = divergence(a, b).common
    return [
        Twin(number, *pair, number >= common, number == common)
        for number, pair in enumerate(zip_longest(a, b))
    ]
