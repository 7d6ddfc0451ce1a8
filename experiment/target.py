"""What the experiment set out to show, held against what it found. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from ddxgraph.common.words import p_value, percent, points
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.experiment.arms import SECOND_ROUND
from ddxgraph.experiment.contrast import Contrast
from ddxgraph.experiment.results import ArmResult
from ddxgraph.experiment.spending import SpentCurve
from ddxgraph.training.styles.registry import style_names

GAIN: Final = 0.1
"""Least gain of journeys over shortcuts, in accuracy."""
GAIN_P: Final = 0.001
"""The p value that it must stay below."""
GAIN_CASES: Final = 400
"""Test cases that it must rest on at least."""
RISE: Final = 0.9
"""Spearman's correlation of length and level that must be exceeded."""
WORSE_P: Final = 0.05
"""A second round is worse where it has fewer right answers at this p or below."""


class Target(BaseModel):
    """A target under one seed."""

    model_config = FROZEN

    seed: int
    wanted: str
    met: bool
    found: str
    """In figures."""


def targets(
    results: Sequence[ArmResult], contrasts: Sequence[Contrast], curves: Sequence[SpentCurve]
) -> list[Target]:
    """All targets that can be judged by what is there.

    Args:
        results: of the arms.
        contrasts: pairs of arms.
        curves: accuracy against spending.

    Returns:
        The targets that the given figures can settle.
    """
    return [*_gains(contrasts), *_rises(results), *_second_rounds(contrasts), *_beaten_votes(curves)]


def _gains(contrasts: Iterable[Contrast]) -> Iterator[Target]:
    for one in contrasts:
        if one.a == "shortcut" and one.b in style_names("journey"):
            met = one.difference >= GAIN and one.p_value < GAIN_P and one.n >= GAIN_CASES
            yield Target(
                seed=one.seed,
                wanted=f"{one.b} beats shortcut by {GAIN * 100:.0f} points at the same training cases, p < "
                f"{GAIN_P}, on {GAIN_CASES} test cases or more",
                met=met,
                found=_difference(one),
            )


def _rises(results: Iterable[ArmResult]) -> Iterator[Target]:
    for one in results:
        if one.seed is not None and one.name in style_names("journey") and one.rises is not None:
            lengths = ", ".join(f"{level.output_tokens:.0f}" for level in one.levels)
            yield Target(
                seed=one.seed,
                wanted=f"the output of {one.name} grows with the level, Spearman > {RISE}",
                met=one.rises > RISE,
                found=f"{one.rises:.2f} ({lengths} tokens)",
            )


def _second_rounds(contrasts: Iterable[Contrast]) -> Iterator[Target]:
    for one in contrasts:
        if one.b.endswith(SECOND_ROUND):
            worse = one.difference < 0 and one.p_value <= WORSE_P
            yield Target(
                seed=one.seed,
                wanted="the second round is not worse than the first",
                met=not worse,
                found=_difference(one),
            )


def _beaten_votes(curves: Sequence[SpentCurve]) -> Iterator[Target]:
    for votes in (one for one in curves if one.kind == "vote"):
        graph = next((one for one in curves if one.kind == "budget" and one.seed == votes.seed), None)
        if graph is None:
            continue
        pairs = [(point, votes.within(point.tokens)) for point in graph.points]
        won = [(point, vote) for point, vote in pairs if vote and point.accuracy > vote.accuracy]
        told = won or [(point, vote) for point, vote in pairs if vote]
        found = "; ".join(
            f"{point.label} {percent(point.accuracy)} for {point.tokens:,.0f} tokens, {vote.label} "
            f"{percent(vote.accuracy)} for {vote.tokens:,.0f}"
            for point, vote in told
            if vote
        )
        yield Target(
            seed=votes.seed,
            wanted=f"the graph at some budget beats {votes.label} at no more tokens in all",
            met=bool(won),
            found=found or "no vote costs as little",
        )


def _difference(one: Contrast) -> str:
    return (
        f"{points(one.difference)} points ({one.only_b} cases won, {one.only_a} lost of {one.n}), "
        f"p {p_value(one.p_value)}"
    )
