"""Failures, typed by the boundary that broke. A failure is recorded data, never a silent wrong answer."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import NotDone


class FailureKind(StrEnum):
    """What broke."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    MODEL_NOT_FOUND = "model_not_found"
    SERVER = "server"
    CONTEXT_LENGTH = "context_length"
    QUOTA = "quota"
    """The account may spend no more; waiting does not help."""
    FILTERED = "filtered"
    """The service held the request or the reply back for its content."""
    REFUSED = "refused"
    """The model declined to answer, as the server says."""
    CUT_OFF = "cut_off"
    """The reply reached its token limit, and so did its repair."""
    OTHER = "other"
    MALFORMED = "malformed"
    """Neither the reply nor its repair fits the schema, or a free text states no answer."""
    INTERRUPTED = "interrupted"
    """The user stopped the traversal."""


class Failure(BaseModel):
    """A failure. `engine` ends a traversal unscored; after `parse` every node but the last goes on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boundary: Literal["engine", "parse", "user", "strategy"]
    """`strategy`: the strategy's own code raised an error."""
    kind: FailureKind
    message: str
    """What was tried and how to fix it."""
    node: str = ""


class EngineFailed(NotDone):
    """The engine gave no reply; `failure` is what the trace records."""

    def __init__(self, failure: Failure, *, called: bool = True) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.called = called
        """Whether a call was made."""
