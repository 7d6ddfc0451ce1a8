"""Accuracy against what is spent: votes over a single generation's samples, and the graph under budgets."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel

from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.scoring.rule import Score
from ddxgraph.eval.statistics.vote import sizes, vote_curve
from ddxgraph.experiment.results import Scored, total_tokens
from ddxgraph.experiment.share import share


class SpentPoint(BaseModel):
    """An accuracy and what it cost."""

    model_config = FROZEN

    label: str
    """Such as `shortcut, vote@4`."""
    tokens: float
    """Mean of a case: prompts and replies of all samples and calls."""
    accuracy: float
    low: float
    high: float
    """95% interval."""


class SpentCurve(BaseModel):
    """Points of one way to spend more, by growing cost."""

    model_config = FROZEN

    seed: int
    label: str
    kind: Literal["vote", "budget"]
    points: tuple[SpentPoint, ...]

    def within(self, tokens: float) -> SpentPoint | None:
        """The most accurate point that costs no more than so much; None where all cost more."""
        affordable = [point for point in self.points if point.tokens <= tokens]
        return max(affordable, key=lambda point: point.accuracy, default=None)


def vote_points(seed: int, style: str, found: Scored) -> SpentCurve:
    """Votes over the samples of a style: the expectation over all subsets of k samples.

    Args:
        seed: of the arm.
        style: of the arm.
        found: its samples.

    Returns:
        Accuracy and tokens by number of votes.
    """
    cases = [(scores, run.golds[case].answer) for run in found.runs for case, scores in run.by_case.items()]
    samples = min(len(scores) for scores, _ in cases)
    curve = vote_curve(
        [
            ([score.answer if score.choice is not None else None for score in scores], gold)
            for scores, gold in cases
        ],
        sizes(samples),
        tokens=[[float(total_tokens(score)) for score in scores] for scores, _ in cases],
    )
    points = tuple(
        SpentPoint(
            label=f"{style}, vote@{point.k}",
            tokens=point.tokens or 0.0,
            accuracy=point.accuracy.value,
            low=point.accuracy.interval.low,
            high=point.accuracy.interval.high,
        )
        for point in curve.points
    )
    return SpentCurve(seed=seed, label=f"{style}, votes", kind="vote", points=points)


def budget_points(seed: int, budgets: Mapping[str, Scored], cases: Sequence[str]) -> SpentCurve:
    """The graph under budgets.

    Args:
        seed: of the arm.
        budgets: budget in words to its runs.
        cases: ids of the cases that all of them are over; a run may hold more.

    Returns:
        Accuracy and tokens by budget.
    """
    wanted = set(cases)
    points = []
    for label, found in budgets.items():
        first = [scores[0] for run in found.runs for case, scores in run.by_case.items() if case in wanted]
        points.append(_point(f"graph, {label}", first))
    ordered = tuple(sorted(points, key=lambda point: point.tokens))
    return SpentCurve(seed=seed, label="graph, growing budget", kind="budget", points=ordered)


def _point(label: str, scores: Sequence[Score]) -> SpentPoint:
    right = share(sum(score.correct is True for score in scores), len(scores))
    return SpentPoint(
        label=label,
        tokens=sum(map(total_tokens, scores)) / len(scores),
        accuracy=right.value,
        low=right.low,
        high=right.high,
    )
