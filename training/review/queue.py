"""Which traversals of a run an expert is shown, and in what order."""

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
from ddxgraph.training.review.review import Review, approves, standing_reviews
from ddxgraph.training.source import RunSource, TraceSource

Golds = Mapping[str, str]
"""Case id to gold answer."""


class Only(StrEnum):
    """What traversals can be chosen by."""

    CORRECT = "correct"
    """The answer equals the gold answer."""
    WRONG = "wrong"
    BACKTRACKS = "backtracks"
    """Went back at least once."""
    UNREVIEWED = "unreviewed"
    """By anybody."""
    DISPUTED = "disputed"
    """Accepted by one reviewer, rejected by another."""


class Order(StrEnum):
    """The order in which they come; as is: as the file has them."""

    AS_IS = "as-is"
    SHUFFLED = "shuffled"


class Choice(NamedTuple):
    """The settings."""

    only: Collection[Only] = ()
    """All of these must hold."""
    order: Order = Order.AS_IS
    seed: int = 0
    """Of the shuffle. A trace's rank follows from the seed and its id: a run that grows keeps its order."""
    limit: int | None = None
    """Most traversals, whoever has reviewed them: so that the same command comes to the same sample again."""


class Listed(NamedTuple):
    """A traversal that can be shown."""

    id: str
    offset: int
    """Where its line begins, in bytes."""
    backtracks: int
    correct: bool | None
    """None where no gold answer is known."""
    reviews: tuple[Review, ...]
    """Those that hold."""
    approved: bool
    """Whether all of them let it pass; of no meaning where there is none."""


class ReviewQueue:
    """The answered traversals of a run that were chosen; traces are read from the file as they are asked for.

    Args:
        folder: the run's folder.
        choice: the settings.
        golds: the gold answers; needed where the choice goes by them.

    Raises:
        ReviewError: the folder holds no run or no trace, or its reviews cannot be read.
        TraceFileError: a line of the trace file is no trace.
    """

    def __init__(self, folder: Path, choice: Choice, golds: Golds | None = None) -> None:
        try:
            self._source = TraceSource(RunSource(folder))
        except GateError as error:
            raise ReviewError(str(error)) from None
        self.folder = folder
        self.manifest = self._source.manifest
        self.unanswered = 0
        """Traversals without an answer: there is nothing to review."""
        self.outdated = 0
        """Reviews of traces that were replaced since, or are gone."""
        self.items: Sequence[Listed] = chosen(self._list(golds or {}), choice)

    def __len__(self) -> int:
        return len(self.items)

    def trace(self, place: int) -> Trace:
        """The traversal at a place.

        Raises:
            ReviewError: the trace file was changed since.
        """
        item = self.items[place]
        with self._source.open() as file, suppress(GateError):
            return self._source.trace_at(file, item.offset, item.id)
        raise ReviewError(
            f"the traces in {self.folder} were changed while they were being reviewed: start again"
        )

    def _list(self, golds: Golds) -> list[Listed]:
        given: dict[str, list[Review]] = {}
        for review in read_reviews(self.folder):
            given.setdefault(review.trace, []).append(review)
        found: dict[str, Listed | None] = {}
        holding: dict[str, int] = {}
        for offset, trace in self._source.read(_ignore):
            reviews = standing_reviews(given.get(trace.id, ()), trace)
            holding[trace.id] = len(reviews)
            found[trace.id] = _listed(offset, trace, reviews, golds.get(trace.case.id))
        listed = [one for one in found.values() if one is not None]
        self.unanswered = len(found) - len(listed)
        self.outdated = sum(len({one.reviewer for one in given[key]}) - holding.get(key, 0) for key in given)
        return listed


def _ignore(_: int) -> None:
    """Reading needs no progress."""


def _listed(offset: int, trace: Trace, reviews: tuple[Review, ...], gold: str | None) -> Listed | None:
    if trace.outcome != "answered" or trace.answer is None:
        return None
    correct = None
    if gold is not None:
        correct = verdict_of(trace.outcome, trace.answer, gold, trace.case.options) is Verdict.CORRECT
    approved = all(approves(review, trace) for review in reviews)
    return Listed(trace.id, offset, trace.backtracks, correct, reviews, approved)


_HOLDS: Mapping[Only, Callable[[Listed], bool]] = {
    Only.CORRECT: lambda one: one.correct is True,
    Only.WRONG: lambda one: one.correct is False,
    Only.BACKTRACKS: lambda one: one.backtracks > 0,
    Only.UNREVIEWED: lambda one: not one.reviews,
    Only.DISPUTED: lambda one: len({review.verdict for review in one.reviews}) > 1,
}


def chosen(listed: Sequence[Listed], choice: Choice) -> list[Listed]:
    """Those of a list that are to be shown, in their order."""
    kept = [one for one in listed if all(_HOLDS[only](one) for only in choice.only)]
    if choice.order is Order.SHUFFLED:
        kept.sort(key=lambda one: hashlib.sha256(f"{choice.seed}\0{one.id}".encode()).digest())
    return kept[: choice.limit]
