"""Failures, typed by the boundary that broke, and the retry policy for a failing engine.

A failure is recorded data, never a silent wrong answer.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any, Final, Literal, TypeVar

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
from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, Retrying, wait_random_exponential

from ddxgraph.common.errors import NotDone

LOG: Final = logging.getLogger("ddxgraph.engine")
"""Logs each retry at level WARNING; the record's `kind` is the kind of the failure."""

ReplyT = TypeVar("ReplyT")


class FailureKind(StrEnum):
    """What broke."""

    TIMEOUT = "timeout"
    CONNECTION = "connection"
    RATE_LIMIT = "rate_limit"
    AUTHENTICATION = "authentication"
    MODEL_NOT_FOUND = "model_not_found"
    SERVER = "server"
    CONTEXT_LENGTH = "context_length"
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


_MOST_CHARS: Final = 500

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
    """Whether an error says so in words, as those of vLLM and llama.cpp do."""
    message = str(error).lower()
    return "context" in message and any(word in message for word in ("exceed", "maximum", "too long"))


def _typed(error: Exception) -> tuple[FailureKind, str]:
    """The kind of an error, and how to fix it."""
    for cls, kind, mend in _KINDS:
        if isinstance(error, cls):
            return kind, mend
    if _is_context_overflow(error):
        return FailureKind.CONTEXT_LENGTH, "shorten the case or serve a longer context"
    return FailureKind.OTHER, "see the server's log"


def kind_of(error: Exception) -> FailureKind:
    """The kind of failure that an error of a chat model is."""
    return _typed(error)[0]


def window_failure(node: str, window: int) -> Failure:
    """The failure of a prompt that leaves no room for a reply; known before the call."""
    return Failure(
        boundary="engine",
        kind=FailureKind.CONTEXT_LENGTH,
        node=node,
        message=f"{node}: the prompt leaves no room for a reply in the context window of {window} tokens; "
        "shorten the case or serve a longer context",
    )


def in_one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """Text of others as part of a message: short, on one line, without secrets or halves of characters."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.encode("utf-8", "replace").decode().split())[:_MOST_CHARS]


def engine_failure(error: Exception, node: str, secrets: Iterable[str] = ()) -> Failure:
    """Type an error of a chat model.

    Args:
        error: what the model raised.
        node: the node that called it.
        secrets: texts to mask in the message.

    Returns:
        The failure, with the error's message and how to fix it.
    """
    kind, mend = _typed(error)
    message = in_one_line(str(error), secrets)
    return Failure(
        boundary="engine",
        kind=kind,
        node=node,
        message=f"{node}: the model gave no reply ({type(error).__name__}: {message}); {mend}",
    )


_AWAY: Final = frozenset({FailureKind.CONNECTION, FailureKind.RATE_LIMIT})
_AILING: Final = frozenset({FailureKind.TIMEOUT, FailureKind.SERVER})
_AWAY_STATUS: Final = frozenset({502, 503, 504})
"""Status codes of a proxy without its server, and of an engine that is still loading."""


class Patience(BaseModel):
    """Retry policy for a failing engine: exponential back-off with jitter.

    An engine is *away* if it refuses connections or answers 429, 502, 503 or 504: it restarts or is overloaded,
    so calls wait for it. A call *fails* if an engine that is present times out or answers any other 5xx: it is
    retried a few times only, because this request may be the cause. Any other error (a wrong key, an unknown
    model, a malformed request) is not retried.

    Example:
        >>> Patience(away_s=600).attempts  # waits up to ten minutes for an engine that restarts
        4
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    away_s: float = Field(default=60.0, ge=0)
    """Maximum wait for an engine that is away, in seconds from the first refusal; it starts afresh each time."""
    attempts: int = Field(default=4, ge=1)
    """Maximum number of attempts of a call that fails."""
    first_wait_s: float = Field(default=0.5, gt=0)
    """Maximum wait before the second attempt, in seconds; doubled each time. The wait is drawn uniformly from
    zero to the maximum, so that calls which failed together are not repeated together."""
    longest_wait_s: float = Field(default=15.0, gt=0)
    """Upper limit of that maximum, in seconds."""

    async def through(self, call: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """Await a call, and repeat it according to the policy. Raises the last error."""
        # The first attempt does without tenacity, whose set-up takes longer than an instant model's reply. If it
        # fails, tenacity gets its error as the outcome of the first attempt.
        try:
            return await call()
        except Exception as error:
            if not _is_trouble(error):
                raise
            first = [error]

        async def again() -> ReplyT:
            if first:
                raise first.pop()
            return await call()

        return await AsyncRetrying(**_Course(self).policy())(again)

    def through_blocking(self, call: Callable[[], ReplyT]) -> ReplyT:
        """`through` for a synchronous call."""
        return Retrying(**_Course(self).policy())(call)


class _Course:
    """The attempts of one call so far, and whether another one follows.

    Refusals and failures are counted separately: a call that waited for a restart keeps all its attempts, and one
    that took minutes to fail can still wait for an engine that has gone away since.
    """

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._backing_off = wait_random_exponential(
            multiplier=patience.first_wait_s, max=patience.longest_wait_s
        )
        self._failures = 0
        self._away_since: float | None = None

    def policy(self) -> dict[str, Any]:
        return {
            "retry": self._notice,
            "stop": self._enough,
            "wait": self._wait,
            "before_sleep": _say,
            "reraise": True,
        }

    def _notice(self, state: RetryCallState) -> bool:
        """Record the outcome of an attempt, and say whether to retry. Tenacity calls this first."""
        error = state.outcome.exception() if state.outcome else None
        if error is None or not _is_trouble(error):
            return False
        if not _is_away(error):
            self._failures += 1
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
        return True

    def _enough(self, state: RetryCallState) -> bool:  # noqa: ARG002 - tenacity's interface
        if self._away_since is None:
            return self._failures >= self._patience.attempts
        return self._left_s() <= 0

    def _wait(self, state: RetryCallState) -> float:
        wait = self._backing_off(state)
        return wait if self._away_since is None else min(wait, max(self._left_s(), 0.0))

    def _left_s(self) -> float:
        """Seconds left to wait for an engine that is away."""
        return self._patience.away_s - (time.monotonic() - (self._away_since or 0.0))


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    kind = kind_of(error) if isinstance(error, Exception) else FailureKind.OTHER
    wait = state.next_action.sleep if state.next_action else 0.0
    # Without the error's text, in which a server may repeat an API key.
    LOG.warning(
        "attempt %d failed (%s, %s); the next in %.1f s",
        state.attempt_number,
        kind,
        type(error).__name__,
        wait,
        extra={"kind": kind},
    )


def _is_trouble(error: BaseException) -> bool:
    return isinstance(error, Exception) and kind_of(error) in _AWAY | _AILING


def _is_away(error: BaseException) -> bool:
    kind = kind_of(error) if isinstance(error, Exception) else None
    return kind in _AWAY or getattr(error, "status_code", None) in _AWAY_STATUS
