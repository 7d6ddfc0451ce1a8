"""What went wrong, typed by the boundary that broke: recorded data, never a silent wrong answer."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import NotDone


class FailureKind(StrEnum):
    """How a boundary broke."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    MODEL_NOT_FOUND = "model_not_found"
    SERVER = "server"
    CONTEXT_LENGTH = "context_length"
    OTHER = "other"
    MALFORMED = "malformed"
    """The reply did not fit the schema, and neither did its one repair; or a free text states no answer."""
    INTERRUPTED = "interrupted"
    """The user stopped the traversal."""


class Failure(BaseModel):
    """One failure. `engine` ends a traversal unscored; `parse` is survived by every node but the last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boundary: Literal["engine", "parse", "user", "strategy"]
    """`strategy`: the code that took the case raised what it should not."""
    kind: FailureKind
    message: str
    """What was tried and how to mend it."""
    node: str = ""


class EngineFailed(NotDone):
    """The engine gave no reply; carries the typed failure that the trace records."""

    def __init__(self, failure: Failure, *, called: bool = True) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.called = called
        """Whether a call was made at all."""


_SAID_CHARS: Final = 500

_KINDS: tuple[tuple[type[Exception], FailureKind, str], ...] = (
    (ModelTimeoutError, FailureKind.TIMEOUT, "raise the client's timeout or lower the concurrency"),
    (TimeoutError, FailureKind.TIMEOUT, "raise the client's timeout or lower the concurrency"),
    (ModelConnectionError, FailureKind.CONNECTION, "is the server running at this address?"),
    (ConnectionError, FailureKind.CONNECTION, "is the server running at this address?"),
    (ModelRateLimitError, FailureKind.RATE_LIMIT, "lower the concurrency or wait"),
    (ModelAuthenticationError, FailureKind.AUTHENTICATION, "check the API key (DDXGRAPH_API_KEY)"),
    (ModelPermissionDeniedError, FailureKind.AUTHENTICATION, "this key may not use this model"),
    (ModelNotFoundError, FailureKind.MODEL_NOT_FOUND, "check the model's name (DDXGRAPH_MODEL)"),
    (
        ContextOverflowError,
        FailureKind.CONTEXT_LENGTH,
        "shorten the case, serve a longer context, or lower the budget",
    ),
    (ModelAPIError, FailureKind.SERVER, "see the server's log"),
)


def _is_context_overflow(error: Exception) -> bool:
    """Servers other than OpenAI's say it in words only (vLLM, llama.cpp)."""
    said = str(error).lower()
    return "context" in said and any(word in said for word in ("exceed", "maximum", "too long"))


def _typed(error: Exception) -> tuple[FailureKind, str]:
    """The kind of an error and how to mend it."""
    for cls, kind, mend in _KINDS:
        if isinstance(error, cls):
            return kind, mend
    if _is_context_overflow(error):
        return FailureKind.CONTEXT_LENGTH, "shorten the case or serve a longer context"
    return FailureKind.OTHER, "see the server's log"


def kind_of(error: Exception) -> FailureKind:
    """How the engine's boundary broke, from what a chat model raised."""
    return _typed(error)[0]


def window_failure(node: str, window: int) -> Failure:
    """A prompt that leaves no room for a reply, found out before the call."""
    return Failure(
        boundary="engine",
        kind=FailureKind.CONTEXT_LENGTH,
        node=node,
        message=f"{node}: the prompt leaves no room for a reply in the context window of {window} tokens; "
        "shorten the case or serve a longer context",
    )


def in_one_line(said: str, secrets: Iterable[str] = ()) -> str:
    """What somebody said, fit for a message: on one line, short, without secrets or halves of characters."""
    for secret in secrets:
        said = said.replace(secret, "***")
    return " ".join(said.encode("utf-8", "replace").decode().split())[:_SAID_CHARS]


def engine_failure(error: Exception, node: str, secrets: Iterable[str] = ()) -> Failure:
    """Type whatever a chat model raised; `secrets` are left out of the message."""
    kind, mend = _typed(error)
    said = in_one_line(str(error), secrets)
    return Failure(
        boundary="engine",
        kind=kind,
        node=node,
        message=f"{node}: the model gave no reply ({type(error).__name__}: {said}); {mend}",
    )
