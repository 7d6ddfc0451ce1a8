"""The retry policy for a failing engine."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, Retrying, wait_random_exponential

from ddxgraph.nodes.call.errorkind import is_away, is_trouble, kind_of
from ddxgraph.nodes.call.said import error_said
from ddxgraph.nodes.failure import FailureKind

LOG: Final = logging.getLogger("ddxgraph.engine")
"""Logs each retry at level WARNING; the record's `kind` is the kind of the failure."""

ReplyT = TypeVar("ReplyT")


class Patience(BaseModel):
    """Retry policy for a failing engine: exponential back-off with jitter.

    An engine is *away* if it refuses connections or answers 425, 429, 502, 503, 504 or 529: it restarts or is
    overloaded, so calls wait for it. A call *fails* if an engine that is present times out or answers 408, 409,
    any other 5xx or nothing: it is retried a few times only, because this request may be the cause. An answer of
    status 200 that holds an error counts as that error. Any other error (a wrong key, a spent quota, an unknown
    model, a malformed request) is not retried.

    Where the server says how long to wait (`Retry-After`), a call waits so long; if that is longer than `away_s`
    leaves, it fails at once.

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
            if not is_trouble(error):
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
        if error is None or not is_trouble(error):
            return False
        if not is_away(error):
            self._failures += 1
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
        return True

    def _enough(self, state: RetryCallState) -> bool:
        asked = _asked_to_wait(state)
        if self._away_since is None:
            return self._failures >= self._patience.attempts or asked > self._patience.away_s
        return self._left_s() <= 0 or asked > self._left_s()

    def _wait(self, state: RetryCallState) -> float:
        wait = self._backing_off(state)
        if self._away_since is not None:
            wait = min(wait, max(self._left_s(), 0.0))
        return max(wait, _asked_to_wait(state))

    def _left_s(self) -> float:
        """Seconds left to wait for an engine that is away."""
        return self._patience.away_s - (time.monotonic() - (self._away_since or 0.0))


def _asked_to_wait(state: RetryCallState) -> float:
    """Seconds that the server asks to wait; 0 if it does not say."""
    error = state.outcome.exception() if state.outcome else None
    return (error_said(error).retry_after_s or 0.0) if error else 0.0


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
