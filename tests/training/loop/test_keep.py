"""The rule by which an adapter is kept."""

import pytest
from scoredruns import score, scored

from ddxgraph.common.errors import LoopUnfinished
from ddxgraph.training.loop.config import KeepRule
from ddxgraph.training.loop.keep import compared, decide


def run(name: str, right: int, of: int = 20, errors: int = 0):
    """A run whose first cases are right."""
    verdicts = ["correct"] * right + ["incorrect"] * (of - right)
    verdicts = verdicts[: of - errors] + ["error"] * errors
    return scored(name, [score(f"c{number}", verdict) for number, verdict in enumerate(verdicts)])


def decided(before: int, after: int, of: int = 20, **rule):
    return decide(
        KeepRule(**rule), compared("base", run("base", before, of), "round-01", run("new", after, of))
    )


@pytest.mark.parametrize(
    ("before", "after", "rule", "kept"),
    [
        (10, 10, {}, True),  # nothing changed
        (10, 15, {}, True),  # better, whatever the test says
        (0, 20, {}, True),
        (10, 9, {}, True),  # worse by one, which one case does not show
        (10, 5, {}, True),  # five lost, none won: p = 0.0625
        (10, 4, {}, False),  # six lost, none won: p = 0.03125
        (10, 4, {"alpha": 0.03}, True),
        (10, 5, {"alpha": 0.07}, False),
        (20, 0, {}, False),
        (10, 9, {"min_difference": -0.05}, True),  # exactly as much as is allowed
        (10, 8, {"min_difference": -0.05}, False),
        (10, 10, {"min_difference": 0.0}, True),
        (10, 9, {"min_difference": 0.0}, False),
        (10, 11, {"min_difference": 0.1}, False),
        (10, 13, {"min_difference": 0.1}, True),
    ],
)
def test_an_adapter_is_kept_unless_it_is_shown_worse(before, after, rule, kept):
    assert decided(before, after, **rule).kept is kept


def test_the_reason_has_the_figures():
    assert decided(10, 4).why == (
        "it is worse: −30.0 points against base, p = 0.031 (exact McNemar, 20 cases), at or below the level of "
        "0.05"
    )
    assert decided(10, 8, min_difference=-0.05).why.endswith("below −5.0 points")
    assert decided(10, 12).why.startswith("it is not shown to be worse: +10.0 points against base, p = 0.500")


def test_an_incomplete_evaluation_decides_nothing():
    with pytest.raises(LoopUnfinished, match=r"2 of 20 traversals in .* are unscored \(2 timeout\)"):
        compared("base", run("base", 10), "round-01", run("new", 10, errors=2))
    with pytest.raises(LoopUnfinished, match="unscored"):
        compared("base", run("base", 10, errors=1), "round-01", run("new", 10))


def test_runs_of_other_cases_are_not_compared():
    with pytest.raises(LoopUnfinished, match="other cases"):
        compared("base", run("base", 10), "round-01", run("new", 10, of=19))
