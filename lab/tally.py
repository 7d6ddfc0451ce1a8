"""Evidence in whole steps, as the graph weighs it, and their sum for each candidate."""

import math
from collections.abc import Collection
from typing import Final, NamedTuple

from ddxgraph.lab.level import Noise
from ddxgraph.lab.solver import Cards, Findings

_NATS_PER_STEP: Final = math.log(3)
"""As `ddxgraph.graph.credence` counts: a step of strength multiplies the odds by 3."""
_STRONGEST: Final = 2


class Steps(NamedTuple):
    """What a finding on a candidate's card says about that candidate."""

    present: int
    """Steps for it if the patient has the finding: 1 or 2."""
    absent: int
    """Steps against it if the patient lacks the finding: 1 or 2."""


def steps_of(noise: Noise) -> Steps:
    """The log-likelihood ratios of a finding on the card against one that is not, in whole steps."""
    shown = math.log((1 - noise.missing) / noise.misleading)
    lacking = math.log((1 - noise.misleading) / noise.missing)
    return Steps(_whole(shown), _whole(lacking))


def strength(finding: str, findings: Findings, steps: Steps) -> int:
    """Strength of a finding that is on the card.

    Args:
        finding: a finding on the card.
        findings: of the patient.
        steps: the weight of a finding.

    Returns:
        Steps; negative if the patient lacks the finding.
    """
    return steps.present if findings[finding] else -steps.absent


def tally(card: Collection[str], findings: Findings, steps: Steps) -> int:
    """Sum of the strengths of the findings that are on a card and in the case.

    Args:
        card: findings of the condition.
        findings: of the patient.
        steps: the weight of a finding.

    Returns:
        Steps.
    """
    return sum(strength(name, findings, steps) for name in card if name in findings)


def tallies(cards: Cards, findings: Findings, steps: Steps) -> dict[str, int]:
    """The tally of each candidate, in the order of the cards.

    If steps are proportional to the log-likelihood ratios, the likeliest candidate has the highest tally: a
    finding that is not on a card multiplies the likelihood by the same factor for every such card.

    Args:
        cards: of the candidates.
        findings: of the patient.
        steps: the weight of a finding.

    Returns:
        Candidate to its tally.
    """
    return {name: tally(card, findings, steps) for name, card in cards.items()}


def _whole(nats: float) -> int:
    return min(max(round(nats / _NATS_PER_STEP), 1), _STRONGEST)
