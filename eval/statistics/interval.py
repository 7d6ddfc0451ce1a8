"""Intervals: an estimate and how far it may be off. Fractions, not per cent; pure and seeded."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ddxgraph.common.errors import BadInput

RESAMPLES: Final = 10_000
"""Bootstrap resamples behind every percentile interval."""

_CROWD: Final = 8
"""Cases per distinct value from which drawing counts is quicker than drawing cases."""
_MOST_DRAWS: Final = 50_000_000
"""Cases times resamples above which a mean of many distinct values gets a normal interval instead."""
_CHUNK: Final = 4_000_000

Method = Literal["Wilson", "bootstrap over cases", "normal"]
Values = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean over cases with its interval."""

    value: float
    interval: Interval
    n: int
    """Cases."""
    method: Method
    """How the interval was made."""


class Group(NamedTuple):
    """The accuracies of one benchmark's cases, or the differences of two runs on them."""

    per_case: Sequence[float]
    """In 0..1, one a scored case; a difference in -1..1."""
    weight: float
    """Cases of the whole benchmark."""


def wilson(correct: int, total: int, level: float = 0.95) -> Interval | None:
    """Wilson's score interval of a share (J Am Stat Assoc 1927;22:209-212), without continuity correction.

    Args:
        correct: successes.
        total: trials.
        level: coverage, in 0..1.

    Returns:
        Ends in 0..1; None without trials.

    Raises:
        BadInput: a count is negative, `correct` exceeds `total`, or `level` is not in (0, 1).
    """
    if not 0 <= correct <= total:
        raise BadInput(f"{correct} of {total} is no share; give 0 <= correct <= total")
    coverage = _checked(level)
    if total == 0:
        return None
    ends = binomtest(correct, total).proportion_ci(coverage, method="wilson")
    return Interval(float(ends.low), float(ends.high))


def accuracy_of(per_case: Sequence[float], seed: int = 0, level: float = 0.95) -> Estimate | None:
    """Mean accuracy over cases.

    Args:
        per_case: one value a scored case, in 0..1: the mean over its samples.
        seed: of the bootstrap.
        level: coverage of the interval, in 0..1.

    Returns:
        With Wilson's interval if every value is 0 or 1. Otherwise with the percentile bootstrap over cases: the
        samples of a case are alike, so whole cases are resampled. None for no cases.

    Raises:
        BadInput: a value is outside 0..1.
    """
    values = accuracies(per_case)
    if values.size == 0 or not is_binary(values):
        return mean_of(values, seed, level)
    correct = int(values.sum())
    interval = wilson(correct, values.size, level)
    assert interval is not None  # noqa: S101 - there are cases
    return Estimate(correct / values.size, interval, values.size, "Wilson")


def mean_of(values: Sequence[float] | Values, seed: int = 0, level: float = 0.95) -> Estimate | None:
    """Mean over cases of any quantity, such as tokens or seconds, with its percentile bootstrap interval.

    Where a bootstrap would draw more than 50 million cases (more than 5,000 cases of mostly different values) the
    interval is the normal one: at that size the two hardly differ.

    Args:
        values: one a case.
        seed: of the bootstrap.
        level: coverage of the interval, in 0..1.

    Returns:
        None for no cases. The interval has no width where all values are equal.

    Raises:
        BadInput: a value is not a finite number.
    """
    known = as_values(values)
    if known.size == 0:
        return None
    mean = float(known.mean())
    if _is_crowded(known) or known.size * RESAMPLES <= _MOST_DRAWS:
        return Estimate(mean, bootstrap(known, seed, level), known.size, "bootstrap over cases")
    z = NormalDist().inv_cdf(0.5 + _checked(level) / 2)
    reach = z * float(known.std(ddof=1)) / math.sqrt(known.size)
    return Estimate(mean, Interval(mean - reach, mean + reach), known.size, "normal")


def weighted_accuracy(groups: Sequence[Group], seed: int = 0, level: float = 0.95) -> Estimate | None:
    """Mean accuracy over benchmarks, each weighted by its size: the "Mean Acc." of the paper's Table 1.

    A benchmark of which only a sample was run still has its whole weight. The interval is the percentile
    bootstrap over the cases of each benchmark.

    Args:
        groups: one a benchmark.
        seed: of the bootstrap.
        level: coverage of the interval, in 0..1.

    Returns:
        None for no groups, and where a group has no scored case: the mean of the rest would be another quantity.

    Raises:
        BadInput: an accuracy is outside 0..1, or a weight is not above 0.
    """
    return _weighted(groups, [accuracies(group.per_case) for group in groups], seed, level)


def weighted_difference(groups: Sequence[Group], seed: int = 0, level: float = 0.95) -> Estimate | None:
    """Mean paired difference over benchmarks, each weighted by its size, as in `weighted_accuracy`.

    Args:
        groups: for each case one run's accuracy less the other's, in -1..1. Of a single benchmark the value and
            the interval are those of `paired.paired`.
        seed: of the bootstrap.
        level: coverage of the interval, in 0..1.

    Returns:
        None for no groups, and where a group has no case.

    Raises:
        BadInput: a difference is not a finite number, or a weight is not above 0.
    """
    return _weighted(groups, [as_values(group.per_case) for group in groups], seed, level)


def _weighted(groups: Sequence[Group], parts: Sequence[Values], seed: int, level: float) -> Estimate | None:
    if any(not group.weight > 0 for group in groups):
        raise BadInput("a weight is not above 0; give the number of cases of the benchmark")
    if not parts or any(part.size == 0 for part in parts):
        return None
    weights = np.array([group.weight for group in groups], dtype=np.float64)
    weights /= weights.sum()
    rng = np.random.default_rng(seed)
    means = sum(
        (weight * _resampled_means(part, rng) for weight, part in zip(weights, parts, strict=True)),
        start=np.zeros(RESAMPLES),
    )
    value = math.fsum(weight * part.mean() for weight, part in zip(weights, parts, strict=True))
    cases = sum(part.size for part in parts)
    return Estimate(value, _percentiles(means, level), cases, "bootstrap over cases")


def bootstrap(values: Values, seed: int, level: float = 0.95) -> Interval:
    """Percentile interval of the mean over `RESAMPLES` resamples with replacement.

    It depends on the values and the seed, not on the order of the values. `scipy.stats.bootstrap` would depend on
    their order, and knows no drawing by counts.

    Args:
        values: one a case, at least one.
        seed: of the generator.
        level: coverage, in 0..1.

    Returns:
        The interval.
    """
    return _percentiles(_resampled_means(values, np.random.default_rng(seed)), level)


def as_values(values: Sequence[float] | Values) -> Values:
    """Values as an array.

    Raises:
        BadInput: a value is not a finite number.
    """
    known = np.asarray(values, dtype=np.float64)
    if not np.isfinite(known).all():
        raise BadInput("a value is not a finite number; leave unscored cases out")
    return known


def accuracies(per_case: Sequence[float] | Values) -> Values:
    """Accuracies of cases as an array.

    Raises:
        BadInput: a value is outside 0..1.
    """
    values = as_values(per_case)
    if values.size and (values.min() < 0 or values.max() > 1):
        raise BadInput("an accuracy is outside 0..1; give one value a case, the mean over its samples")
    return values


def is_binary(values: Values) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.isin(values, (0.0, 1.0)).all())


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise BadInput(f"a level of {level} is impossible; give a share between 0 and 1, such as 0.95")
    return level


def _percentiles(means: Values, level: float) -> Interval:
    tail = (1 - _checked(level)) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _is_crowded(values: Values) -> bool:
    return np.unique(values).size * _CROWD <= values.size


def _resampled_means(values: Values, rng: np.random.Generator) -> Values:
    distinct, counts = np.unique(values, return_counts=True)
    total = values.size
    if distinct.size == 1:
        return np.full(RESAMPLES, distinct[0])
    if _is_crowded(values):
        drawn = rng.multinomial(total, counts / total, size=RESAMPLES)
        return np.asarray(drawn @ distinct / total, dtype=np.float64)
    ordered = np.sort(values)
    rows = max(1, _CHUNK // total)
    means = [
        ordered[rng.integers(total, size=(min(rows, RESAMPLES - done), total), dtype=np.int32)].mean(axis=1)
        for done in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(means)
