"""The exact solver: how likely each candidate is, given what the case tells. Pure arithmetic."""

import math
from collections.abc import Collection, Mapping, Sequence

from ddxgraph.lab.level import Noise

Cards = Mapping[str, Sequence[str]]
"""Condition to the findings on its reference card, in the order of the case."""
Findings = Mapping[str, bool]
"""Finding to whether it is present, in the order of the case; what is not in it is not mentioned."""


def chance(card: Collection[str], finding: str, noise: Noise) -> float:
    """Probability that a patient whose condition has this card shows a finding."""
    return 1 - noise.missing if finding in card else noise.misleading


def likelihood(card: Collection[str], findings: Findings, noise: Noise) -> float:
    """Probability of the findings in a patient whose condition has this card.

    Findings are independent, given the condition: one on the card is present with probability 1 - `missing`, any
    other with probability `misleading`. Which findings the case mentions says nothing about the condition.
    """
    shown = {finding: chance(card, finding, noise) for finding in findings}
    return math.prod(
        shown[finding] if present else 1 - shown[finding] for finding, present in findings.items()
    )


def posterior(cards: Cards, findings: Findings, noise: Noise) -> dict[str, float]:
    """Probability of each candidate, all of them being equally likely before.

    Returns:
        Condition to probability, summing to one, in the order of the cards.
    """
    found = {name: likelihood(card, findings, noise) for name, card in cards.items()}
    total = math.fsum(found.values())
    return {name: share / total for name, share in found.items()}


def leaders(shares: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest candidate, and how far the next one is behind."""
    first, second, *_ = sorted(shares, key=lambda name: -shares[name])
    return first, shares[first] - shares[second]
