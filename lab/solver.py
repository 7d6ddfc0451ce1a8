"""The exact solver: how likely each candidate is, given what the case tells. Pure arithmetic."""

import math
from collections.abc import Collection, Mapping, Sequence

from ddxgraph.lab.level import Level

Cards = Mapping[str, Sequence[str]]
"""Condition to the findings on its reference card, in the order of the case."""
Findings = Mapping[str, bool]
"""Finding to whether it is present, in the order of the case; what is not in it is not mentioned."""


def likelihood(card: Collection[str], findings: Findings, level: Level) -> float:
    """Probability of the findings in a patient whose condition has this card.

    Findings are independent, given the condition: one on the card is present with probability 1 - `missing`, any
    other with probability `misleading`. Which findings the case mentions says nothing about the condition.
    """
    logs = []
    for finding, present in findings.items():
        share = 1 - level.missing if finding in card else level.misleading
        logs.append(math.log(share if present else 1 - share))
    return math.exp(math.fsum(logs))


def posterior(cards: Cards, findings: Findings, level: Level) -> dict[str, float]:
    """Probability of each candidate, all of them being equally likely before.

    Returns:
        Condition to probability, summing to one, in the order of the cards.
    """
    found = {name: likelihood(card, findings, level) for name, card in cards.items()}
    total = math.fsum(found.values())
    return {name: share / total for name, share in found.items()}


def leaders(shares: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest candidate, and how far the next one is behind."""
    first, second, *_ = sorted(shares, key=lambda name: -shares[name])
    return first, shares[first] - shares[second]
