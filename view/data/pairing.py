"""Two journeys through one case, or two runs over the same cases: what differs. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile, zip_longest
from typing import Final, Literal, NamedTuple

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.registry import title
from ddxgraph.view.data.judged import Judged
from ddxgraph.view.data.path import step_title
from ddxgraph.view.data.tracebook import Entry
from ddxgraph.view.data.tracerow import Column

Flip = Literal["became correct", "became incorrect", "both correct", "both not correct", "not judged"]
"""From the first to the second; an unparsed answer and an abstention are not correct, an error is not judged."""


class Parting(NamedTuple):
    """How far two paths go together."""

    common: int
    """Steps that both take: the same stop, and the same hypothesis where it is a check."""
    same: bool
    """They never part."""
    after: str
    """The stop after which they part, by its title."""


def parting(a: Sequence[Step], b: Sequence[Step]) -> Parting:
    """Where two paths part."""
    pairs = zip(a, b, strict=False)
    common = sum(
        1
        for _ in takewhile(
            lambda pair: (pair[0].node, pair[0].branch) == (pair[1].node, pair[1].branch), pairs
        )
    )
    same = common == len(a) == len(b)
    return Parting(common, same, step_title(a[common - 1]) if common else "the start")


def flip(a: Judged | None, b: Judged | None) -> Flip:
    """Whether the second is correct where the first was not, or the other way round."""
    if a is None or b is None or "error" in {a.verdict, b.verdict}:
        return "not judged"
    was, now = a.verdict == "correct", b.verdict == "correct"
    if was == now:
        return "both correct" if now else "both not correct"
    return "became correct" if now else "became incorrect"


class Pair(NamedTuple):
    """The traces of one case and sample in two runs; None where a run lacks it."""

    key: str
    case: str
    sample: int
    a: Entry | None
    b: Entry | None


def paired(a: Iterable[Entry], b: Iterable[Entry]) -> Iterator[Pair]:
    """Pair two runs by case and sample, in the first one's order; what only the second has comes last."""
    ours = {(entry.case, entry.sample): entry for entry in a}
    theirs = {(entry.case, entry.sample): entry for entry in b}
    for number, key in enumerate({**ours, **theirs}):
        yield Pair(str(number), *key, ours.get(key), theirs.get(key))


class PairRow(NamedTuple):
    """What a table says of a pair, in the order of `COLUMNS`."""

    case: str
    sample: int
    flip: str
    answers: str
    answer_a: str
    answer_b: str
    gold: str
    paths: str
    common: int
    backtracks_a: int
    backtracks_b: int
    tokens_a: int
    tokens_b: int


COLUMNS: Final = (
    Column("Case", "text"),
    Column("Sample", "number"),
    Column("Flip", "choice", plot=True, gold=True),
    Column("Answers", "choice", plot=True),
    Column("Answer A", "text"),
    Column("Answer B", "text"),
    Column("Gold", "text", gold=True),
    Column("Paths", "choice", plot=True),
    Column("Steps in common", "number", plot=True),
    Column("Backtracks A", "number"),
    Column("Backtracks B", "number"),
    Column("Tokens A", "number"),
    Column("Tokens B", "number"),
)


def pair_row(pair: Pair, a: Trace | None, b: Trace | None) -> PairRow:
    """The row of a pair.

    Args:
        pair: its entries.
        a: the first one's trace.
        b: the second one's.
    """
    one, other = pair.a, pair.b
    either = one or other
    assert either is not None  # noqa: S101 - a pair has one of the two
    judged = either.judged
    parted = parting(a.steps, b.steps) if a and b else None
    return PairRow(
        case=either.row.case,
        sample=pair.sample,
        flip=flip(one.judged, other.judged) if one and other else "not judged",
        answers=same_answer(a, b),
        answer_a=one.row.answer if one else "–",
        answer_b=other.row.answer if other else "–",
        gold=either.row.gold if judged else "",
        paths=paths_in_words(parted, a),
        common=parted.common if parted else 0,
        backtracks_a=one.row.backtracks if one else 0,
        backtracks_b=other.row.backtracks if other else 0,
        tokens_a=one.row.tokens if one else 0,
        tokens_b=other.row.tokens if other else 0,
    )


def same_answer(a: Trace | None, b: Trace | None) -> str:
    """Whether two journeys give the same answer, in words."""
    if a is None or b is None:
        return "only in A" if a else "only in B"
    if a.answer is None or b.answer is None:
        return "one without" if a.answer != b.answer else "none"
    # Letters mean something only where both were shown the same options.
    said = [trace.case.options.get(trace.answer or "", trace.answer) for trace in (a, b)]
    return "the same" if said[0] == said[1] else "another"


def paths_in_words(parted: Parting | None, a: Trace | None) -> str:
    """Where the paths part, by the kind of stop."""
    if parted is None or a is None:
        return "one alone"
    if parted.same:
        return "the same"
    if not parted.common:
        return "part at the start"
    return f"part after {title(a.steps[parted.common - 1].node).lower()}"


class Twin(NamedTuple):
    """The steps of one number in two journeys."""

    number: int
    a: Step | None
    b: Step | None
    parted: bool
    here: bool
    """The first at which the paths differ."""


def twins(a: Sequence[Step], b: Sequence[Step]) -> list[Twin]:
    """Steps side by side."""
    parted = parting(a, b)
    return [
        Twin(number, one, other, number >= parted.common, number == parted.common)
        for number, (one, other) in enumerate(zip_longest(a, b))
    ]
