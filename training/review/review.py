"""Experts' reviews of traversals: which of them hold, which one decides, and how far reviewers agree."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from ddxgraph.eval.scoring.rule import Verdict as Scored
from ddxgraph.eval.scoring.rule import verdict_of
from ddxgraph.graph.trace import Trace

REVIEW_VERSION: Final = 1

_MEASURED: Final[Any] = {
    "elapsed_s": True,
    "provenance": {"started_at", "code_version"},
    "steps": {"__all__": {"latency_s", "usage"}},
    "usage": True,
}
"""What differs between runs of the same traversal."""

Verdict = Literal["accept", "reject"]


class Objection(StrEnum):
    """Why an expert rejects a traversal."""

    WRONG_ANSWER = "wrong_answer"
    UNSUPPORTED_REASONING = "unsupported_reasoning"
    """The answer may be right, but does not follow from the reasoning."""
    INVENTED_FINDING = "invented_finding"
    DANGEROUS_ADVICE = "dangerous_advice"
    MISREAD_CASE = "misread_case"
    POOR_WORDING = "poor_wording"
    OTHER = "other"
    """None of these; `detail` names it."""


def content_digest(trace: Trace) -> str:
    """SHA-256 (hex) of a trace's content: all but times, tokens and the code's version.

    Fields at their default count as absent, so that a field added to traces later does not outdate reviews.
    """
    content = trace.model_dump(mode="json", exclude=_MEASURED, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _storable(value: Any) -> Any:
    """Text with question marks for halves of surrogate pairs, which no file can hold."""
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else value


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


_Text = Annotated[str, BeforeValidator(_storable)]


class Review(BaseModel):
    """An expert's verdict on a traversal.

    Raises:
        pydantic.ValidationError: a rejection lacks its reason, an acceptance has one, or a field is unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = REVIEW_VERSION
    trace: str = Field(min_length=1)
    """The trace's id."""
    content: str = Field(pattern="^[0-9a-f]{64}$")
    """`content_digest` of the reviewed trace. The review does not hold for another trace with the same id."""
    case: _Text = ""
    """The case's id, for readers."""
    verdict: Verdict
    """Whether the traversal may become training data."""
    reason: Objection | None = None
    """Why not; None for an acceptance."""
    detail: _Text = ""
    """The reason in the expert's words."""
    answer: _Text | None = Field(default=None, min_length=1)
    """The correct answer, if the expert gave one: a letter, or text in a free-form case. It replaces the gold
    answer, for this trace alone."""
    note: _Text = ""
    """A remark; it decides nothing."""
    blind: bool = True
    """The expert had seen neither the gold answer nor whether the answer equals it."""
    reviewer: Annotated[_Text, Field(min_length=1, max_length=200)]
    time: Annotated[AwareDatetime, AfterValidator(_utc)]
    """When, UTC."""

    @model_validator(mode="after")
    def _reasoned(self) -> "Review":
        if self.verdict == "accept" and self.reason is not None:
            raise ValueError("an acceptance has no reason to reject")
        if self.verdict == "reject" and self.reason is None:
            raise ValueError("a rejection needs a reason")
        if self.reason is Objection.OTHER and not self.detail:
            raise ValueError("the reason `other` needs its detail")
        return self


Reviews = Mapping[str, Review]
"""Trace id to the review that decides on it."""


def standing_reviews(reviews: Iterable[Review], trace: Trace) -> tuple[Review, ...]:
    """The reviews of a trace that hold: those of its present content, the last one of each reviewer.

    Args:
        reviews: reviews of any traces, in the order in which they were given.
        trace: the trace.
    """
    candidates = [review for review in reviews if review.trace == trace.id]
    if not candidates:
        return ()
    content = content_digest(trace)
    last: dict[str, Review] = {}
    for review in candidates:
        if review.content == content:
            last.pop(review.reviewer, None)  # so that the order is that of the reviews that hold
            last[review.reviewer] = review
    return tuple(last.values())


def approves(review: Review, trace: Trace) -> bool:
    """Whether a review lets a traversal pass: it accepts it, and gives no other answer than the traversal's."""
    if review.verdict != "accept":
        return False
    if review.answer is None:
        return True
    return verdict_of(trace.outcome, trace.answer, review.answer, trace.case.options) is Scored.CORRECT


def deciding(reviews: Sequence[Review], trace: Trace) -> Review | None:
    """The review that decides on a trace if several hold: any rejection rejects.

    Returns:
        The last one that does not approve; else the last one with an answer; else the last one.
    """
    against = [review for review in reviews if not approves(review, trace)]
    answered = [review for review in reviews if review.answer is not None]
    return next((some[-1] for some in (against, answered, reviews) if some), None)


def by_trace(reviews: Iterable[Review]) -> dict[str, list[Review]]:
    """Reviews by the id of their trace."""
    grouped: dict[str, list[Review]] = {}
    for review in reviews:
        grouped.setdefault(review.trace, []).append(review)
    return grouped


class RunReviews:
    """The reviews of a run, looked up while its traces are read."""

    def __init__(self, reviews: Iterable[Review]) -> None:
        self._given = by_trace(reviews)
        self._outdated: dict[str, int] = {}
        self._decided: set[str] = set()

    @property
    def decided(self) -> int:
        """Traversals on which a review decides."""
        return len(self._decided)

    @property
    def outdated(self) -> int:
        """Reviews of traversals that have changed since; they decide nothing."""
        return sum(self._outdated.values())

    def on(self, trace: Trace) -> Review | None:
        """The review that decides on a traversal; None if no review holds."""
        given = self._given.get(trace.id)
        if given is None:
            return None
        content = content_digest(trace)
        self._outdated[trace.id] = sum(review.content != content for review in given)
        decides = deciding(standing_reviews(given, trace), trace)
        self._decided.discard(trace.id)  # if an id occurs twice, the later trace counts
        if decides is not None:
            self._decided.add(trace.id)
        return decides


class ReviewerCount(NamedTuple):
    """A reviewer's reviews in figures; of each trace, the last one."""

    reviewer: str
    reviewed: int
    accepted: int
    reasons: Mapping[str, int]
    """Reason to rejections, in the order of the reasons."""
    answers: int
    """Reviews that give an answer in place of the gold answer."""
    blind: int

    @property
    def rejected(self) -> int:
        """Traces rejected."""
        return self.reviewed - self.accepted


class PairAgreement(NamedTuple):
    """How far two reviewers agree on which traces to accept."""

    first: str
    second: str
    traces: int
    """Traces that both reviewed; at least one."""
    agreed: int
    kappa: float | None
    """Cohen's kappa; None if both gave one and the same verdict throughout."""

    @property
    def percent(self) -> float:
        """Share of the traces with the same verdict, in percent."""
        return 100 * self.agreed / self.traces


def counts(reviews: Iterable[Sequence[Review]]) -> list[ReviewerCount]:
    """Count each reviewer's reviews, by name.

    Args:
        reviews: for each trace, the reviews that hold: see `all_reviews`.
    """
    given: dict[str, list[Review]] = {}
    for of_trace in reviews:
        for review in of_trace:
            given.setdefault(review.reviewer, []).append(review)
    return [_count(name, given[name]) for name in sorted(given)]


def _count(name: str, reviews: Sequence[Review]) -> ReviewerCount:
    reasons = Counter(review.reason for review in reviews if review.reason)
    return ReviewerCount(
        reviewer=name,
        reviewed=len(reviews),
        accepted=sum(review.verdict == "accept" for review in reviews),
        reasons={reason.value: reasons[reason] for reason in Objection if reasons[reason]},
        answers=sum(review.answer is not None for review in reviews),
        blind=sum(review.blind for review in reviews),
    )


def agreements(reviews: Iterable[Sequence[Review]]) -> list[PairAgreement]:
    """Agreement of every two reviewers who have a trace in common, by their names."""
    verdicts: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for of_trace in reviews:
        given = {review.reviewer: review.verdict for review in of_trace}
        for first, second in combinations(sorted(given), 2):
            verdicts.setdefault((first, second), []).append((given[first], given[second]))
    return [
        PairAgreement(
            *names, len(pairs), sum(first == second for first, second in pairs), cohens_kappa(pairs)
        )
        for names, pairs in sorted(verdicts.items())
    ]


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement of two raters beyond what their own rates predict: (p_o - p_e) / (1 - p_e).

    Source: Cohen, Educ Psychol Meas 1960;20:37-46.

    Args:
        pairs: the two raters' verdicts, one pair per item.

    Returns:
        At most 1; 0 at chance; None if there is no item or p_e is 1, so that chance alone would always agree.
    """
    total = len(pairs)
    first, second = Counter(verdict for verdict, _ in pairs), Counter(verdict for _, verdict in pairs)
    expected = sum(first[verdict] * second[verdict] for verdict in first)  # times total squared: exact
    observed = sum(verdict == other for verdict, other in pairs)
    if expected == total * total:
        return None
    return (observed * total - expected) / (total * total - expected)
