"""The exact solver: the probability of each candidate, given the case. Pure arithmetic."""

import math
from collections.abc import Collection, Mapping, Sequence

from ddxgraph.lab.level import Noise

Cards = Mapping[str, Sequence[str]]
"""Condition to the findings on its reference card, in the order of the case."""
Findings = Mapping[str, bool]
"""Finding to whether it is present, in the order of the case; findings that it does not mention are left out."""


def chance(card: Collection[str], finding: str, noise: Noise) -> float:
    """Probability that a patient with the condition of this card shows a finding.

    Args:
        card: findings of the condition.
        finding: the finding.
        noise: the generative model.

    Returns:
        In 0..1.
    """
    return 1 - noise.missing if finding in card else noise.misleading


def likelihood(card: Collection[str], findings: Findings, noise: Noise) -> float:
    """Probability of the findings in a patient with the condition of this card.

    Given the condition, findings are independent: one on the card is present with probability 1 - `missing`, any
    other with probability `misleading`. Which findings the case mentions says nothing about the condition.

    Args:
        card: findings of the condition.
        findings: of the patient.
        noise: the generative model.

    Returns:
        In 0..1.
    """
    shown = {finding: chance(card, finding, noise) for finding in findings}
    return math.prod(
        shown[finding] if present else 1 - shown[finding] for finding, present in findings.items()
    )


def posterior(cards: Cards, findings: Findings, noise: Noise) -> dict[str, float]:
    """Posterior probability of each candidate under a uniform prior.

    Args:
        cards: of the candidates.
        findings: of the patient.
        noise: the generative model.

    Returns:
        Condition to probability, summing to one, in the order of the cards.
    """
    likelihoods = {name: likelihood(card, findings, noise) for name, card in cards.items()}
    total = math.fsum(likelihoods.values())
    return {name: value / total for name, value in likelihoods.items()}


def leaders(shares: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest candidate, and its lead over the next one."""
    first, second, *_ = sorted(shares, key=lambda name: -shares[name])
    return first, shares[first] - shares[second]
