"""Two arms of a seed, case by case."""

from pydantic import BaseModel

from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.statistics.paired import paired
from ddxgraph.experiment.results import Scored


class Contrast(BaseModel):
    """Arm `b` against arm `a` on the same test cases, over all levels."""

    model_config = FROZEN

    seed: int
    a: str
    b: str
    n: int
    """Cases."""
    only_a: int
    """Cases that `a` alone has right."""
    only_b: int
    difference: float
    """Accuracy of `b` less that of `a`."""
    low: float
    high: float
    """95% interval of the difference."""
    p_value: float
    """Two-sided, by McNemar's exact test; not adjusted."""


def contrast(seed: int, a: tuple[str, Scored], b: tuple[str, Scored]) -> Contrast:
    """Compare two arms.

    Args:
        seed: of both.
        a: name and runs of the one.
        b: of the other.

    Returns:
        The second arm against the first.
    """
    (first, before), (second, after) = (a[0], a[1].right), (b[0], b[1].right)
    cases = [case for case in before if case in after]
    found = paired([before[case] for case in cases], [after[case] for case in cases])
    return Contrast(
        seed=seed,
        a=first,
        b=second,
        n=found.n,
        only_a=found.only_a,
        only_b=found.only_b,
        difference=found.difference,
        low=found.interval.low,
        high=found.interval.high,
        p_value=found.p_value,
    )
