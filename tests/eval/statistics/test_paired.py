"""Paired comparisons: an independent implementation, brute force, and the closed form."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.multitest import multipletests

from ddxgraph.eval.statistics.paired import EXACT_SIGNS, holm, mcnemar, paired, sign_flip

shares = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
pairs = st.lists(st.tuples(shares, shares), min_size=1, max_size=9)


@pytest.mark.parametrize("only_b", [0, 1, 3, 20, 141])
@pytest.mark.parametrize("only_a", [0, 1, 5, 20])
def test_mcnemar_agrees_with_an_independent_implementation(only_a, only_b):
    expected = reference_mcnemar([[50, only_a], [only_b, 50]], exact=True).pvalue
    assert mcnemar(only_a, only_b) == pytest.approx(expected if only_a + only_b else 1.0, rel=1e-12)


def test_mcnemar_in_closed_form():
    assert mcnemar(0, 6) == pytest.approx(2 * 0.5**6)
    assert mcnemar(1, 5) == pytest.approx(2 * 7 * 0.5**6)
    assert mcnemar(3, 3) == 1.0


def test_runs_of_one_sample_are_compared_by_mcnemar():
    a = [1, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    b = [1, 0, 1, 1, 1, 1, 1, 1, 0, 1]
    result = paired(a, b)
    assert result[:4] == (10, 1, 6, pytest.approx(0.5))
    assert (result.p_value, result.test) == (pytest.approx(16 / 128), "exact McNemar")
    assert -1 <= result.interval.low < 0.5 < result.interval.high <= 1


def test_runs_that_never_differ_differ_by_nothing():
    for values in ([1, 0, 1], [0.5, 0.25, 1.0]):
        result = paired(values, values)
        assert (result.only_a, result.only_b, result.difference, result.p_value) == (0, 0, 0.0, 1.0)
        assert result.interval == (0.0, 0.0)


@given(pairs)
def test_few_differences_are_tested_over_every_pattern_of_signs(rows):
    a, b = zip(*rows, strict=True)
    gains = [round(4 * (y - x)) for x, y in rows]
    sums = [sum(sign * gain for sign, gain in zip(signs, gains, strict=True)) for signs in _signs(len(rows))]
    brute = sum(abs(found) >= abs(sum(gains)) for found in sums) / len(sums)
    assert sign_flip(np.array(b) - np.array(a), seed=0) == pytest.approx(brute, rel=1e-12)


def _signs(count):
    return list(product((1, -1), repeat=count))


@given(st.integers(0, 8), st.integers(0, 8))
def test_on_right_and_wrong_the_sign_test_is_mcnemars(only_a, only_b):
    gains = np.array([-1.0] * only_a + [1.0] * only_b + [0.0] * 5)
    assert sign_flip(gains, seed=0) == pytest.approx(mcnemar(only_a, only_b), rel=1e-9)


def test_many_differences_are_tested_by_drawn_signs_and_agree_with_the_exact_distribution():
    """The exact one by convolution: the sum of signed whole numbers, one at a time."""
    rng = np.random.default_rng(3)
    quarters = rng.integers(-3, 5, size=60)
    assert np.count_nonzero(quarters) > EXACT_SIGNS
    exact = np.ones(1)
    for gain in np.abs(quarters):
        step = np.zeros(2 * gain + 1)
        step[0] += 0.5
        step[-1] += 0.5
        exact = np.convolve(exact, step)
    sums = np.arange(exact.size) - exact.size // 2
    expected = exact[np.abs(sums) >= abs(quarters.sum())].sum()
    drawn = sign_flip(quarters / 4, seed=0)
    assert drawn == pytest.approx(expected, abs=5 * math.sqrt(expected / 99_999))
    assert drawn == sign_flip(quarters[::-1] / 4, seed=0)
    assert 0.001 < expected < 0.5


def test_a_drawn_p_value_is_never_zero():
    assert sign_flip(np.full(200, 0.5), seed=0) == pytest.approx(1e-5)


@given(pairs, st.randoms(use_true_random=False))
def test_turning_the_runs_round_turns_the_result_round(rows, dice):
    a, b = (list(column) for column in zip(*rows, strict=True))
    there, back = paired(a, b), paired(b, a)
    assert back.p_value == pytest.approx(there.p_value)
    assert (back.only_a, back.only_b, back.difference) == (there.only_b, there.only_a, -there.difference)
    shuffled = dice.sample(rows, k=len(rows))
    assert paired(*zip(*shuffled, strict=True)) == there


def test_the_interval_of_the_difference_is_of_pairs():
    """Two runs that swing together differ by little, however unsure each of them is alone."""
    rng = np.random.default_rng(4)
    a = rng.binomial(1, 0.5, size=400).astype(float)
    b = a.copy()
    b[np.flatnonzero(a == 0)[:8]] = 1.0
    result = paired(a, b)
    error = np.std(b - a) / math.sqrt(400)
    assert result.difference == pytest.approx(0.02)
    assert result.interval == pytest.approx((0.02 - 1.96 * error, 0.02 + 1.96 * error), abs=2.6e-3)


@pytest.mark.parametrize(("a", "b"), [([], []), ([1], [1, 0]), ([1.5], [1]), ([math.nan], [1])])
def test_what_cannot_be_paired_is_refused(a, b):
    with pytest.raises(ValueError, match=r"give|finite"):
        paired(a, b)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_holm_agrees_with_an_independent_implementation(count):
    p_values = np.round(np.random.default_rng(count).beta(0.3, 2, size=count), 2).tolist()  # with ties
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], rel=1e-9, abs=1e-300)


def test_holm_steps_down_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="p value"):
        holm([0.1, math.nan])
