"""The budget of a traversal. A traversal always ends, and says why."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.call.consultation import Allowance
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.registry import STOPS

_SPARE_SUPERSTEPS: Final = 3


class Budget(BaseModel):
    """Limits of one traversal. When one of them is reached, the graph concludes with what it has.

    Example:
        >>> Budget(max_tokens=50_000, max_backtracks=1).max_calls
        64
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(default=200_000, ge=1)
    """Prompt and completion tokens of all calls, including cached ones. A call starts only if its estimated
    prompt and its maximum completion still fit."""
    max_calls: int = Field(default=64, ge=0)
    """Calls to the model, including repairs."""
    max_backtracks: int = Field(default=3, ge=0)
    """Moves back: to recheck the evidence, to widen the differential, to reread the history."""

    @property
    def recursion_limit(self) -> int:
        """Number of LangGraph supersteps that no traversal within this budget can exceed.

        Without backtracks, a journey visits every stop once. A backtrack revisits all stops but the last at most.
        """
        return len(STOPS) + _SPARE_SUPERSTEPS + (len(STOPS) - 1) * self.max_backtracks

    def left(self, usage: Usage) -> Allowance:
        """What remains after some usage; never negative."""
        return Allowance(self.max_calls, self.max_tokens).less(usage.calls, usage.total_tokens)


def shares(left: Allowance, tokens: int, wanted: int) -> list[Allowance]:
    """Split what is left among parallel calls.

    The branches cannot see each other's spending, so each gets its own share, and the shares never add up to more
    than what is left.

    Args:
        left: what is left of the budget.
        tokens: tokens that one call may take.
        wanted: number of calls.

    Returns:
        One allowance for each call that fits, at most `wanted`.
    """
    count = min(wanted, left.calls, left.tokens // tokens if tokens else wanted)
    if count <= 0:
        return []
    calls, extra = divmod(left.calls, count)
    return [Allowance(calls + (place < extra), left.tokens // count) for place in range(count)]
