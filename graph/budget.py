"""The budget of a traversal: what it may spend at most. A traversal always ends, and says why."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.consultation import Allowance
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.usage import Usage

_SPARE_SUPERSTEPS: Final = 3


class Budget(BaseModel):
    """Upper limits over one traversal. When one is spent, the graph concludes with what it has.

    Example:
        >>> Budget(max_tokens=50_000, max_backtracks=1).max_calls
        64
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_tokens: int = Field(default=200_000, ge=1)
    """Prompt and completion tokens over all calls, cached ones included.

    No call starts unless its prompt (estimated) and its whole completion cap still fit.
    """
    max_calls: int = Field(default=64, ge=0)
    """Calls to the model, repairs included."""
    max_backtracks: int = Field(default=3, ge=0)
    """Moves back: evidence rechecked, differential widened, history reread."""

    @property
    def recursion_limit(self) -> int:
        """LangGraph supersteps that no traversal within this budget can exceed.

        A straight journey makes every stop once; a backtrack makes all of them again at most, but the last.
        """
        return len(STOPS) + _SPARE_SUPERSTEPS + (len(STOPS) - 1) * self.max_backtracks

    def left(self, usage: Usage) -> Allowance:
        """What remains after so much use; never negative."""
        return Allowance(self.max_calls, self.max_tokens).less(usage.calls, usage.total_tokens)


def shares(left: Allowance, tokens: int, wanted: int) -> list[Allowance]:
    """Split what is left among parallel calls of so many tokens each.

    The branches cannot see one another's spending, so each gets a share of its own and their sum never
    exceeds what is left.

    Returns:
        One allowance a call that fits, at most `wanted`.
    """
    count = min(wanted, left.calls, left.tokens // tokens if tokens else wanted)
    if count <= 0:
        return []
    calls, extra = divmod(left.calls, count)
    return [Allowance(calls + (place < extra), left.tokens // count) for place in range(count)]
