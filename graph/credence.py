"""Credence: how likely each hypothesis is, computed from priors and weighed evidence. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.generate_differential import Hypothesis

NATS_PER_STEP: Final = math.log(3)
"""One step of evidence strength multiplies the odds by 3, two steps by 9.

Bedside rules of thumb call likelihood ratios of 2 to 5 small and ratios near 10 large: McGee, J Gen Intern Med
2002;17:647-650.
"""
REFUTED_SHARE: Final = 0.001
"""Maximum credence of all refuted hypotheses together while another one stands: almost none, yet ranked."""

Evidence = Mapping[str, Mapping[str, Weight]]
"""Hypothesis id -> finding id -> weight."""


def credence(
    hypotheses: Iterable[Hypothesis], evidence: Evidence, refuted: Iterable[str] = ()
) -> dict[str, float]:
    """Multiply each prior by its evidence, and share one out among the hypotheses in proportion.

    The hypotheses exclude one another: only one of them answers the question. So each starts at the logarithm of
    its prior, and without evidence priors that sum to one come out as they went in. Evidence adds log-likelihood
    ratios.

    While a hypothesis stands, the refuted ones together keep at most `REFUTED_SHARE`, so that none of them leads.
    What they lose goes to the others in proportion.

    Args:
        hypotheses: the differential.
        evidence: the weights of the findings on each hypothesis, with strengths of -2 to 2.
        refuted: ids of the hypotheses that were ruled out.

    Returns:
        Hypothesis id to credence in 0..1, summing to one, in the order of the differential; empty without one.
    """
    logits = {
        h.id: log_prior(h.prior) + NATS_PER_STEP * sum(w.strength for w in evidence.get(h.id, {}).values())
        for h in hypotheses
    }
    if not logits:
        return {}
    top = max(logits.values())
    odds = {key: math.exp(value - top) for key, value in logits.items()}
    total = sum(odds.values())
    shares = {key: value / total for key, value in odds.items()}
    gone = {key for key in refuted if key in shares}
    lost = sum(share for key, share in shares.items() if key in gone)  # a fixed order, on which sums depend
    if lost <= REFUTED_SHARE or len(gone) == len(shares):
        return shares
    fall = REFUTED_SHARE / lost
    rise = (1 - REFUTED_SHARE) / sum(share for key, share in shares.items() if key not in gone)
    return {key: share * (fall if key in gone else rise) for key, share in shares.items()}


def log_prior(prior: float) -> float:
    """Where a hypothesis starts, up to a constant that all of a differential share."""
    return math.log(prior)


def ranked(shares: Mapping[str, float]) -> list[str]:
    """Ids by falling credence; equals in the order of the differential."""
    return sorted(shares, key=lambda key: -shares[key])


def margin(shares: Mapping[str, float]) -> float:
    """Difference of the two highest credences; 1.0 if there are fewer than two."""
    first, second = [*sorted(shares.values(), reverse=True), 0.0, 0.0][:2]
    return first - second if len(shares) > 1 else 1.0


def standing(
    hypotheses: Sequence[Hypothesis], shares: Mapping[str, float], refuted: Iterable[str] = ()
) -> list[str]:
    """Write the hypotheses for a prompt.

    Args:
        hypotheses: the differential.
        shares: hypothesis id to credence.
        refuted: ids of the hypotheses that were ruled out.

    Returns:
        One line per hypothesis, the leader first.
    """
    labels = {h.id: h.label for h in hypotheses}
    gone = set(refuted)
    return [
        f"{key} {labels[key]}: {'refuted' if key in gone else f'{shares[key]:.0%}'}" for key in ranked(shares)
    ]
