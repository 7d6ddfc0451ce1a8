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
    """What a finding on a candidate's card says about it. A finding on no card of his says as much about all."""

    present: int
    """Steps for it, where the patient has the finding: 1 or 2."""
    absent: int
    """Steps against it, where he has not."""


def steps_of(noise: Noise) -> Steps:
    """The log-likelihood ratios of a finding on the card against one that is not, in whole steps."""
    shown = math.log((1 - noise.missing) / noise.misleading)
    lacking = math.log((1 - noise.misleading) / noise.missing)
    return Steps(_whole(shown), _whole(lacking))


def strength(finding: str, findings: Findings, steps: Steps) -> int:
    """Strength of a finding that is on the card."""
    return steps.present if findings[finding] else -steps.absent


def tally(card: Collection[str], findings: Findings, steps: Steps) -> int:
    """Sum of the strengths of what is on a card and told of."""
    return sum(strength(name, findings, steps) for name in card if name in findings)


def tallies(cards: Cards, findings: Findings, steps: Steps) -> dict[str, int]:
    """The tally of each candidate, in the order of the cards.

    With steps in proportion to the log-likelihood ratios, the highest is the likeliest candidate: what is on no
    card of a candidate multiplies the likelihood of all those by the same.
    """
    return {name: tally(card, findings, steps) for name, card in cards.items()}


def _whole(nats: float) -> int:
    return min(max(round(nats / _NATS_PER_STEP), 1), _STRONGEST)
