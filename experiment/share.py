"""A share of cases with its interval."""

from pydantic import BaseModel

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.statistics.interval import wilson


class Share(BaseModel):
    """A share of cases, with its 95% interval (Wilson)."""

    model_config = FROZEN

    count: int
    of: int
    value: float
    """In 0..1."""
    low: float
    high: float


def share(count: int, of: int) -> Share:
    """A share with its interval.

    Raises:
        BadInput: it is of nothing, or the counts are no counts.
    """
    interval = wilson(count, of)
    if interval is None:
        raise BadInput("a share of nothing")
    return Share(count=count, of=of, value=count / of, low=interval.low, high=interval.high)
