"""What an expert said of a traversal, and what several experts' words come to. No file, no terminal."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

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
"""What differs from run to run of the same traversal."""

Verdict = Literal["accept", "reject"]


class Objection(StrEnum):
    """Why an expert rejects a traversal."""

    WRONG_ANSWER = "wrong_answer"
    UNSUPPORTED_REASONING = "unsupported_reasoning"
    """The answer may be right, but does not follow from what is said."""
    INVENTED_FINDING = "invented_finding"
    DANGEROUS_ADVICE = "dangerous_advice"
    MISREAD_CASE = "misread_case"
    POOR_WORDING = "poor_wording"
    OTHER = "other"
    """None of these; `detail` says what."""


def content_digest(trace: Trace) -> str:
    """SHA-256 (hex) of what a traversal says: all of the trace but times, tokens and the code's version.

    Fields at their default count as absent, so that a later version of the trace with a field more does not
    undo the reviews of earlier ones.
    """
    said = trace.model_dump(mode="json", exclude=_MEASURED, exclude_defaults=True)
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _storable(value: Any) -> Any:
    """Half a surrogate pair cannot stand in a file: a question mark takes its place."""
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else value


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


_Text = Annotated[str, BeforeValidator(_storable)]


class Review(BaseModel):
    """What an expert said of a traversal.

    Raises:
        pydantic.ValidationError: a rejection lacks its reason, an acceptance has one, or a field is unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = REVIEW_VERSION
    trace: str = Field(min_length=1)
    """The trace's id."""
    content: str = Field(pattern="^[0-9a-f]{64}$")
    """`content_digest` of the trace as it was reviewed: of another trace under the same id it says nothing."""
    case: _Text = ""
    """The case's id, for readers."""
    verdict: Verdict
    """Whether the traversal may be learned from."""
    reason: Objection | None = None
    """Why it may not; None for an acceptance."""
    detail: _Text = ""
    """The reason in the expert's words."""
    answer: _Text | None = Field(default=None, min_length=1)
    """The correct answer, where the expert gave one: a letter, or text in a free-form case. It stands for the
    gold answer, for this trace alone."""
    note: _Text = ""
    """A remark that decides nothing."""
    blind: bool = True
    """The expert had not been shown the gold answer, or whether the answer equals it."""
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


def standing_reviews(reviews: Iterable[Review], trace: Trace) -> tuple[Review, ...]:
    """The reviews of a trace that hold: of this very content, the last one of each reviewer.

    Args:
        reviews: reviews in the order in which they were given, of any traces.
        trace: the trace.
    """
    of_it = [review for review in reviews if review.trace == trace.id]
    if not of_it:
        return ()
    content = content_digest(trace)
    last: dict[str, Review] = {}
    for review in of_it:
        if review.content == content:
            last.pop(review.reviewer, None)  # in the order of the reviews that hold
            last[review.reviewer] = review
    return tuple(last.values())


def approves(review: Review, trace: Trace) -> bool:
    """Whether a review lets a traversal pass: accepted, and no other answer given than its own."""
    if review.verdict != "accept":
        return False
    if review.answer is None:
        return True
    return verdict_of(trace.outcome, trace.answer, review.answer, trace.case.options) is Scored.CORRECT


def deciding(reviews: Sequence[Review], trace: Trace) -> Review | None:
    """The review that decides of a trace where several hold: any rejection rejects.

    Returns:
        The last one that does not approve; else the last one with an answer; else the last one.
    """
    against = [review for review in reviews if not approves(review, trace)]
    answered = [review for review in reviews if review.answer is not None]
    return next((some[-1] for some in (against, answered, reviews) if some), None)
