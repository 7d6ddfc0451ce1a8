"""Credence: how likely each hypothesis is, from priors and weighed evidence. Pure arithmetic."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.generate_differential import Hypothesis

NATS_PER_STEP: Final = math.log(3)
"""One step of evidence strength multiplies the odds by 3, two by 9.

The likelihood ratios that bedside rules of thumb call small (2 to 5) and large (near 10): McGee, J Gen Intern
Med 2002;17:647-650.
"""
REFUTED_NATS: Final = math.log(1_000)
"""A refuted hypothesis loses odds of 1000 to 1: all but gone, yet still ranked where all are refuted."""

Evidence = Mapping[str, Mapping[str, Weight]]
"""Hypothesis id -> finding id -> weight."""


def credence(
    hypotheses: Iterable[Hypothesis], evidence: Evidence, refuted: Iterable[str] = ()
) -> dict[str, float]:
    """Priors and evidence strengths added as log-odds, then a softmax over the hypotheses.

    A refuted hypothesis falls by `REFUTED_NATS`, from the best that stands if it was above: it never leads
    while another stands.

    Args:
        hypotheses: the differential.
        evidence: what each finding says about each hypothesis, in steps of -2 to 2.
        refuted: ids of the hypotheses that were given up.

    Returns:
        Hypothesis id to credence in 0..1, summing to one; in the differential's order; empty for an empty one.
    """
    gone = set(refuted)
    logits = {
        h.id: math.log(h.prior / (1 - h.prior))
        + NATS_PER_STEP * sum(w.strength for w in evidence.get(h.id, {}).values())
        for h in hypotheses
    }
    if not logits:
        return {}
    best = max((value for key, value in logits.items() if key not in gone), default=math.inf)
    for key in gone & logits.keys():
        logits[key] = min(logits[key], best) - REFUTED_NATS
    top = max(logits.values())
    odds = {key: math.exp(value - top) for key, value in logits.items()}
    total = sum(odds.values())
    return {key: value / total for key, value in odds.items()}


def ranked(shares: Mapping[str, float]) -> list[str]:
    """Ids by falling credence; equals keep the differential's order."""
    return sorted(shares, key=lambda key: -shares[key])


def margin(shares: Mapping[str, float]) -> float:
    """Distance between the two highest credences; 1.0 where there are fewer than two."""
    first, second = [*sorted(shares.values(), reverse=True), 0.0, 0.0][:2]
    return first - second if len(shares) > 1 else 1.0


def standing(
    hypotheses: Sequence[Hypothesis], shares: Mapping[str, float], refuted: Iterable[str] = ()
) -> list[str]:
    """One line a hypothesis for a prompt, the leader first."""
    labels = {h.id: h.label for h in hypotheses}
    gone = set(refuted)
    return [
        f"{key} {labels[key]}: {'refuted' if key in gone else f'{shares[key]:.0%}'}" for key in ranked(shares)
    ]
