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
"""Says, at level WARNING, that a call failed and is made again; the record's `kind` says how it failed."""

ReplyT = TypeVar("ReplyT")


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


_AWAY: Final = frozenset({FailureKind.CONNECTION, FailureKind.RATE_LIMIT})
_AILING: Final = frozenset({FailureKind.TIMEOUT, FailureKind.SERVER})
_AWAY_STATUS: Final = frozenset({502, 503, 504})
"""What a proxy, or an engine that is still loading, answers."""


class Patience(BaseModel):
    """When a failed call is made again, with exponential back-off and jitter.

    An engine that is *away* (refuses connections, answers 429, 502, 503 or 504: it restarts, or is overrun) is
    waited for. A call that *fails* on an engine that is there (a time-out, any other 5xx) is made a few times:
    it may be this very request that the engine cannot digest. Whatever else an engine says (a wrong key, an
    unknown model, a malformed request) is not asked twice.

    Example:
        >>> Patience(away_s=600).attempts  # waits ten minutes for an engine that restarts
        4
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    away_s: float = Field(default=60.0, ge=0)
    """Seconds to wait for an engine that is away, from the first refusal on; anew each time that it goes."""
    attempts: int = Field(default=4, ge=1)
    """Times that a call which fails on an engine that is there is made."""
    first_wait_s: float = Field(default=0.5, gt=0)
    """Bound of the wait before the second attempt, in seconds; doubled each time. The wait is drawn evenly from
    zero to the bound, so that many calls that failed together do not come back together."""
    longest_wait_s: float = Field(default=15.0, gt=0)
    """The bound is not doubled beyond this."""

    async def through(self, call: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """Await a call, and again as long as there is reason to; raises the last error itself."""
        # The first attempt is made without tenacity, whose set-up costs more than an instant model's reply; if it
        # fails, its error is handed to tenacity as the outcome of the first attempt.
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
        """`through` for a plain function."""
        return Retrying(**_Course(self).policy())(call)


class _Course:
    """How one call has gone so far, and what that means for its next attempt.

    Refusals and failures are counted apart: a call that sat out a restart has all its attempts left, and one
    that took minutes to fail may still wait for an engine that has gone since.
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
        """Take an attempt's outcome down; whether it is one to try again. Tenacity asks this first."""
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
        """Seconds that an engine which is away still has."""
        return self._patience.away_s - (time.monotonic() - (self._away_since or 0.0))


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    kind = kind_of(error) if isinstance(error, Exception) else FailureKind.OTHER
    wait = state.next_action.sleep if state.next_action else 0.0
    # Not the error's own words: a server may repeat a key in them.
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
