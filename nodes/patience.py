"""How long to bear with an engine in trouble: what is tried again, how often, and when it is enough."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from ddxgraph.nodes.failure import FailureKind, kind_of

LOG: Final = logging.getLogger("ddxgraph.engine")
"""Says, at level WARNING, that a call failed and is made again; the record's `kind` says how it failed."""

ReplyT = TypeVar("ReplyT")

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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    away_s: float = Field(default=60.0, ge=0)
    """Seconds to wait for an engine that is away, from the first refusal on."""
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

        return await AsyncRetrying(**self._policy())(again)

    def through_blocking(self, call: Callable[[], ReplyT]) -> ReplyT:
        """`through` for a plain function."""
        return Retrying(**self._policy())(call)

    def _policy(self) -> dict[str, Any]:
        return {
            "retry": retry_if_exception(_is_trouble),
            "stop": self._enough,
            "wait": wait_random_exponential(multiplier=self.first_wait_s, max=self.longest_wait_s),
            "before_sleep": _say,
            "reraise": True,
        }

    def _enough(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if error is not None and _is_away(error):
            return (state.seconds_since_start or 0.0) >= self.away_s
        return state.attempt_number >= self.attempts


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
