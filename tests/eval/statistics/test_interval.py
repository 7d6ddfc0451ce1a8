"""Intervals: closed forms, an independent implementation, and the bootstrap against what it stands for."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ddxgraph.eval.statistics.interval import (
    Group,
    Interval,
    accuracy_of,
    bootstrap,
    mean_of,
    weighted_accuracy,
    weighted_difference,
    wilson,
)
from ddxgraph.eval.statistics.paired import paired

Z = 1.959963984540054


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize("total", [1, 2, 10, 308, 1273])
def test_wilson_agrees_with_an_independent_implementation(total, level):
    for correct in sorted({0, 1, total // 3, total // 2, total - 1, total}):
        expected = proportion_confint(correct, total, alpha=1 - level, method="wilson")
        assert wilson(correct, total, level) == pytest.approx(expected, abs=1e-12)


def test_wilson_of_none_and_of_all_is_the_closed_form():
    reach = Z**2 / (10 + Z**2)
    assert wilson(0, 10) == (0.0, pytest.approx(reach))
    assert wilson(10, 10) == (pytest.approx(1 - reach), 1.0)


@given(st.integers(1, 3000), st.data())
def test_the_ends_are_the_shares_that_the_score_test_just_accepts(total, data):
    correct = data.draw(st.integers(0, total))
    interval = wilson(correct, total)
    assert 0 <= interval.low <= correct / total <= interval.high <= 1
    for end in interval:
        if 0 < end < 1:
            error = math.sqrt(end * (1 - end) / total)
            assert abs(correct / total - end) / error == pytest.approx(Z, rel=1e-6)


def test_nothing_tried_is_nothing_known():
    assert wilson(0, 0) is None
    assert accuracy_of([]) is None
    assert mean_of([]) is None


@pytest.mark.parametrize(
    ("correct", "total", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 0.0), (1, 2, 1.0), (0, 0, 95)]
)
def test_what_is_no_share_or_no_level_is_refused(correct, total, level):
    with pytest.raises(ValueError, match="give"):
        wilson(correct, total, level)


def test_right_or_wrong_cases_get_wilsons_interval():
    estimate = accuracy_of([1, 0, 1, 1.0, False])
    assert estimate == (0.6, wilson(3, 5), 5, "Wilson")


def test_cases_of_several_samples_are_resampled_as_cases():
    """Whatever the samples of a case have in common does not narrow the interval."""
    one_sample = [1.0, 0.0] * 50
    estimate = accuracy_of([*one_sample, 0.5])
    assert estimate.method == "bootstrap over cases"
    assert estimate.n == 101
    width = estimate.interval.high - estimate.interval.low
    assert width == pytest.approx(2 * Z * np.std([*one_sample, 0.5]) / math.sqrt(101), rel=0.06)


def test_the_bootstrap_of_three_cases_has_the_ends_that_its_27_resamples_have():
    """A mean of 0 (and of 1) comes with probability 1/27, which is over 2.5%; at 90% it is under 5%."""
    assert bootstrap(np.array([0.0, 0.5, 1.0]), seed=0) == (0.0, 1.0)
    means = np.array([(a + b + c) / 3 for a in (0, 0.5, 1) for b in (0, 0.5, 1) for c in (0, 0.5, 1)])
    share = np.mean(means <= 1 / 6 + 1e-9)
    assert 0.05 < share < 0.2
    assert bootstrap(np.array([0.0, 0.5, 1.0]), seed=0, level=0.9) == pytest.approx((1 / 6, 5 / 6))


@pytest.mark.parametrize("seed", [0, 1])
def test_drawing_counts_and_drawing_cases_are_the_same_bootstrap(seed):
    """Values that hardly differ are drawn case by case, equal ones by their counts."""
    rng = np.random.default_rng(7)
    values = rng.integers(0, 5, size=400) / 4
    jittered = values + rng.uniform(0, 1e-9, size=400)
    assert np.unique(jittered).size == 400
    assert bootstrap(values, seed) == pytest.approx(bootstrap(jittered, seed), abs=3e-3)


def test_the_bootstrap_covers_what_it_says():
    rng = np.random.default_rng(11)
    covered = 0
    for seed in range(200):
        interval = accuracy_of(rng.binomial(4, 0.6, size=80) / 4, seed).interval
        covered += interval.low <= 0.6 <= interval.high
    assert 180 <= covered <= 199


@given(
    st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=40), st.randoms(use_true_random=False)
)
def test_an_interval_depends_on_the_seed_and_not_on_the_order(values, dice):
    shuffled = dice.sample(values, k=len(values))
    assert accuracy_of(values, seed=3) == accuracy_of(shuffled, seed=3)
    known = mean_of(values, seed=3)
    assert known == mean_of(shuffled, seed=3)
    assert known.interval.low <= known.value + 1e-12
    assert known.interval.high >= known.value - 1e-12


def test_equal_values_have_an_interval_without_width():
    assert accuracy_of([0.5, 0.5, 0.5]).interval == (0.5, 0.5)
    assert mean_of([700]) == (700.0, (700.0, 700.0), 1, "bootstrap over cases")


def test_many_different_values_get_the_normal_interval_and_it_is_the_bootstraps():
    rng = np.random.default_rng(5)
    lengths = rng.lognormal(6, 0.5, size=5001)
    quick, slow = mean_of(lengths), mean_of(lengths[:5000])
    assert (quick.method, slow.method) == ("normal", "bootstrap over cases")
    assert quick.interval == pytest.approx(slow.interval, rel=2e-3)
    error = np.std(lengths, ddof=1) / math.sqrt(5001)
    assert quick.interval == pytest.approx((quick.value - Z * error, quick.value + Z * error))


@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan, math.inf])
def test_what_is_no_accuracy_is_refused(value):
    with pytest.raises(ValueError, match=r"outside 0\.\.1|finite"):
        accuracy_of([1.0, value])


def test_the_weighted_mean_weighs_benchmarks_by_size_and_not_by_what_was_run():
    """Four cases of a benchmark of 900 weigh nine times the hundred of one of 100."""
    sampled, whole = Group([1.0, 1.0, 0.0, 0.0], 900), Group([1.0] * 100, 100)
    estimate = weighted_accuracy([sampled, whole])
    assert estimate.value == pytest.approx(0.55)
    assert estimate.n == 104
    assert estimate.interval == pytest.approx((0.1, 1.0))  # both of the four's ends come in over 2.5%
    assert weighted_accuracy([sampled]).value == 0.5


def test_the_weighted_interval_is_made_of_the_benchmarks_apart():
    """Two benchmarks without spread within leave nothing to be unsure of, though they differ."""
    assert weighted_accuracy([Group([0.0] * 9, 5), Group([1.0] * 9, 5)]).interval == (0.5, 0.5)
    rng = np.random.default_rng(2)
    groups = [Group(rng.binomial(1, p, size=n), n) for p, n in ((0.5, 646), (0.65, 308), (0.8, 1273))]
    errors = [np.var(group.per_case) / len(group.per_case) * (group.weight / 2227) ** 2 for group in groups]
    estimate = weighted_accuracy(groups)
    reach = Z * math.sqrt(sum(errors))
    assert estimate.interval == pytest.approx(
        Interval(estimate.value - reach, estimate.value + reach), abs=2e-3
    )


def test_a_benchmark_without_a_scored_case_leaves_no_weighted_mean():
    assert weighted_accuracy([Group([1.0], 5), Group([], 5)]) is None
    assert weighted_accuracy([]) is None
    with pytest.raises(ValueError, match="weight"):
        weighted_accuracy([Group([1.0], 0)])


def test_a_weighted_difference_weighs_benchmarks_as_an_accuracy_does():
    """It is linear: what is lost counts as what is gained."""
    first, second = [1.0, 0.0, 0.0, -1.0, 0.0], [1.0, 1.0, 0.0, 0.0]
    found = weighted_difference([Group(first, 900), Group(second, 100)], seed=3)
    assert found.value == pytest.approx(0.9 * 0 + 0.1 * 0.5)
    assert found.n == 9
    moved = [Group([(1 + gain) / 2 for gain in gains], size) for gains, size in ((first, 900), (second, 100))]
    as_shares = weighted_accuracy(moved, seed=3)
    assert found.interval == pytest.approx([2 * end - 1 for end in as_shares.interval])


def test_on_one_benchmark_the_weighted_difference_is_that_of_the_paired_test():
    rng = np.random.default_rng(4)
    a, b = rng.binomial(1, 0.5, size=60).astype(float), rng.binomial(1, 0.6, size=60).astype(float)
    known = paired(a, b, seed=2)
    found = weighted_difference([Group(list(b - a), 1272)], seed=2)
    assert (found.value, found.interval) == (pytest.approx(known.difference), pytest.approx(known.interval))


def test_a_benchmark_without_a_case_leaves_no_weighted_difference():
    assert weighted_difference([Group([1.0], 5), Group([], 5)]) is None
    assert weighted_difference([]) is None
    with pytest.raises(ValueError, match="weight"):
        weighted_difference([Group([-1.0], 0)])
    with pytest.raises(ValueError, match="finite"):
        weighted_difference([Group([math.nan], 1)])
