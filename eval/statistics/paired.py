"""The paired comparison of two runs on the same cases. Pure and seeded."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
from scipy.stats import binomtest

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Interval, Values, accuracies, bootstrap, is_binary

SIGN_DRAWS: Final = 99_999
"""Random sign patterns of the permutation test; its smallest p is one in 100,000."""
EXACT_SIGNS: Final = 16
"""Differing cases up to which all sign patterns are enumerated instead: 65,536 of them."""

_SLACK: Final = 1e-9
"""Relative difference below which two sums of the same numbers count as equal."""

Test = Literal["exact McNemar", "sign-flip permutation"]


class Paired(NamedTuple):
    """Run b against run a on the same cases."""

    n: int
    """Cases that both runs scored."""
    only_a: int
    """Cases on which a did better; with one sample each, those that only a answered correctly."""
    only_b: int
    """Cases on which b did better."""
    difference: float
    """Mean of b minus mean of a, in -1..1."""
    interval: Interval
    """Of the difference: paired percentile bootstrap over cases, 95%."""
    p_value: float
    """Two-sided, unadjusted."""
    test: Test


def paired(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Paired:
    """Compare two runs case by case.

    McNemar's exact test (Psychometrika 1947;12:153-157; binomial on the discordant pairs) if every value is 0 or
    1. Otherwise the test that flips the signs of the differences: over all patterns if few cases differ, else
    over `SIGN_DRAWS` random ones, p = (as extreme + 1) / (drawn + 1), which is never 0 (Phipson and Smyth, Stat
    Appl Genet Mol Biol 2010;9:39). On values of 0 and 1, all sign patterns give McNemar's p.

    Args:
        a: accuracy of each case in 0..1, in some order of the cases.
        b: the other run's, in the same order.
        seed: of the bootstrap and of the random signs.

    Returns:
        The comparison.

    Raises:
        BadInput: the runs differ in length, have no case, or a value is outside 0..1.
    """
    first, second = accuracies(a), accuracies(b)
    if first.size != second.size or first.size == 0:
        raise BadInput(
            f"cannot pair {first.size} cases with {second.size}; give the cases that both runs scored"
        )
    gains = second - first
    only_a, only_b = int((gains < 0).sum()), int((gains > 0).sum())
    exact = is_binary(first) and is_binary(second)
    return Paired(
        n=first.size,
        only_a=only_a,
        only_b=only_b,
        difference=float(gains.mean()),
        interval=bootstrap(gains, seed),
        p_value=mcnemar(only_a, only_b) if exact else sign_flip(gains, seed),
        test="exact McNemar" if exact else "sign-flip permutation",
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p that discordant pairs fall to either run alike; 1 if there are none."""
    discordant = only_a + only_b
    return float(binomtest(only_a, discordant).pvalue) if discordant else 1.0


def sign_flip(gains: Values, seed: int) -> float:
    """Two-sided p of the mean gain if each case's gain could just as well have the other sign.

    `scipy.stats.permutation_test` would draw every case's sign; here equal gains are drawn together, by
    binomials.
    """
    sizes, counts = np.unique(np.abs(gains[gains != 0]), return_counts=True)
    cases = int(counts.sum())
    if cases == 0:
        return 1.0
    seen = abs(float(gains.sum())) - _SLACK * float(sizes @ counts)
    if cases <= EXACT_SIGNS:
        sums = np.zeros(1)
        for size in np.repeat(sizes, counts):
            sums = np.concatenate([sums + size, sums - size])
        return float(np.mean(np.abs(sums) >= seen))
    rng = np.random.default_rng(seed)
    sums = np.zeros(SIGN_DRAWS)
    for size, count in zip(sizes, counts, strict=True):
        sums += size * (2.0 * rng.binomial(count, 0.5, size=SIGN_DRAWS) - count)
    return float((np.sum(np.abs(sums) >= seen) + 1) / (SIGN_DRAWS + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for testing several hypotheses at once, by Holm's step-down rule.

    Scand J Stat 1979;6:65-70. Compare each with the level that a single test would have had.

    Returns:
        In the order given; never below the p value itself, never above 1.

    Raises:
        BadInput: a value is outside 0..1.
    """
    known = np.asarray(p_values, dtype=np.float64)
    if not ((known >= 0) & (known <= 1)).all():
        raise BadInput("a p value is outside 0..1")
    order = np.argsort(known, kind="stable")
    scaled = np.minimum(1.0, known[order] * np.arange(known.size, 0, -1))
    adjusted = np.empty_like(known)
    adjusted[order] = np.maximum.accumulate(scaled)
    return [float(p) for p in adjusted]
