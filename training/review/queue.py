"""The traversals of a run that an expert reviews, in order."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from ddxgraph.common.errors import GateError, ReviewError
from ddxgraph.eval.scoring.rule import Verdict, verdict_of
from ddxgraph.graph.trace import Trace
from ddxgraph.training.review.file import read_reviews
from ddxgraph.training.review.review import Review, approves, by_trace, standing_reviews
from ddxgraph.training.source import RunSource, TraceSource

Golds = Mapping[str, str]
"""Case id to gold answer."""


class Only(StrEnum):
    """Conditions on traversals."""

    CORRECT = "correct"
    """The answer equals the gold answer."""
    WRONG = "wrong"
    BACKTRACKS = "backtracks"
    """At least one backtrack."""
    UNREVIEWED = "unreviewed"
    """By anyone."""
    DISPUTED = "disputed"
    """Accepted by one reviewer and rejected by another."""


class Order(StrEnum):
    """The order of the traversals; as is: as in the run's file."""

    AS_IS = "as-is"
    SHUFFLED = "shuffled"


class Choice(NamedTuple):
    """Which traversals to review."""

    only: Collection[Only] = ()
    """All of these must hold."""
    order: Order = Order.AS_IS
    seed: int = 0
    """Of the shuffle. A trace's rank follows from the seed and its id, so that a growing run keeps its order."""
    limit: int | None = None
    """Maximum number of traversals, reviewed or not, so that the same settings give the same sample."""


class Listed(NamedTuple):
    """An answered traversal."""

    id: str
    offset: int
    """Where its line begins in the file, in bytes."""
    backtracks: int
    correct: bool | None
    """None if no gold answer is known."""
    reviews: tuple[Review, ...]
    """Those that hold."""
    approved: bool
    """Whether all of them let it pass; meaningless if there is none."""


class ReviewQueue:
    """The chosen answered traversals of a run; each trace is read from the file when it is asked for.

    Args:
        folder: the run's folder.
        choice: which traversals, in what order.
        golds: the gold answers; needed for the conditions `correct` and `wrong`.

    Raises:
        ReviewError: the folder holds no run or no trace, or its reviews cannot be read.
        TraceFileError: a line of the trace file is not a trace.
    """

    def __init__(self, folder: Path, choice: Choice, golds: Golds | None = None) -> None:
        try:
            self._source = TraceSource(RunSource(folder))
        except GateError as error:
            raise ReviewError(str(error)) from None
        self.folder = folder
        self.manifest = self._source.manifest
        self.unanswered = 0
        """Traversals without an answer, which cannot be reviewed."""
        self.outdated = 0
        """Reviews of traces that were replaced or removed since."""
        self.items: Sequence[Listed] = chosen(self._list(golds or {}), choice)

    def __len__(self) -> int:
        return len(self.items)

    def trace(self, place: int) -> Trace:
        """Read the trace at a place.

        Raises:
            ReviewError: the trace file has changed since the queue was made.
        """
        item = self.items[place]
        with self._source.open() as file, suppress(GateError):
            return self._source.trace_at(file, item.offset, item.id)
        raise ReviewError(
            f"the traces in {self.folder} were changed while they were being reviewed: start again"
        )

    def _list(self, golds: Golds) -> list[Listed]:
        given = by_trace(read_reviews(self.folder))
        traces: dict[str, Listed | None] = {}
        standing: dict[str, int] = {}
        for offset, trace in self._source.read(lambda _: None):
            reviews = standing_reviews(given.get(trace.id, ()), trace)
            standing[trace.id] = len(reviews)
            traces[trace.id] = _listed(offset, trace, reviews, golds.get(trace.case.id))
        listed = [item for item in traces.values() if item is not None]
        self.unanswered = len(traces) - len(listed)
        reviewers = {trace: {review.reviewer for review in reviews} for trace, reviews in given.items()}
        self.outdated = sum(len(names) - standing.get(trace, 0) for trace, names in reviewers.items())
        return listed


def _listed(offset: int, trace: Trace, reviews: tuple[Review, ...], gold: str | None) -> Listed | None:
    if trace.outcome != "answered" or trace.answer is None:
        return None
    correct = None
    if gold is not None:
        correct = verdict_of(trace.outcome, trace.answer, gold, trace.case.options) is Verdict.CORRECT
    approved = all(approves(review, trace) for review in reviews)
    return Listed(trace.id, offset, trace.backtracks, correct, reviews, approved)


_HOLDS: Mapping[Only, Callable[[Listed], bool]] = {
    Only.CORRECT: lambda item: item.correct is True,
    Only.WRONG: lambda item: item.correct is False,
    Only.BACKTRACKS: lambda item: item.backtracks > 0,
    Only.UNREVIEWED: lambda item: not item.reviews,
    Only.DISPUTED: lambda item: len({review.verdict for review in item.reviews}) > 1,
}


def chosen(listed: Sequence[Listed], choice: Choice) -> list[Listed]:
    """The traversals of a list that meet the choice, in its order."""
    kept = [item for item in listed if all(_HOLDS[only](item) for only in choice.only)]
    if choice.order is Order.SHUFFLED:
        kept.sort(key=lambda item: hashlib.sha256(f"{choice.seed}\0{item.id}".encode()).digest())
    return kept[: choice.limit]
