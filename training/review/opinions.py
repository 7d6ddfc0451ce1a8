"""What experts said of a run's traversals, as far as it still holds."""

from collections.abc import Iterable, Mapping

from ddxgraph.graph.trace import Trace
from ddxgraph.training.review.review import Review, content_digest, deciding, standing_reviews

Reviews = Mapping[str, Review]
"""Trace id to the review that decides of it."""


class Opinions:
    """The reviews of a run, asked for as its traces are read."""

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._given: dict[str, list[Review]] = {}
        for review in reviews:
            self._given.setdefault(review.trace, []).append(review)
        self._outdated: dict[str, int] = {}
        self._heard: set[str] = set()

    @property
    def heard(self) -> int:
        """Traversals of which a review decides."""
        return len(self._heard)

    @property
    def outdated(self) -> int:
        """Reviews of traversals that have changed since; they decide nothing."""
        return sum(self._outdated.values())

    def on(self, trace: Trace) -> Review | None:
        """The review that decides of a traversal: any rejection rejects; None where no review holds."""
        given = self._given.get(trace.id)
        if given is None:
            return None
        content = content_digest(trace)
        self._outdated[trace.id] = sum(review.content != content for review in given)
        decides = deciding(standing_reviews(given, trace), trace)
        self._heard.discard(trace.id)  # where an id stands twice, the later trace counts
        if decides is not None:
            self._heard.add(trace.id)
        return decides
