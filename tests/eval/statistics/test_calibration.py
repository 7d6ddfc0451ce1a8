"""Calibration: closed forms, a small independent implementation, and forecasts known to be calibrated."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.eval.statistics.calibration import (
    Bin,
    Confidence,
    CoveragePoint,
    Forecast,
    brier_score,
    calibrate,
    confidence,
    coverage_area,
    coverage_curve,
    ece,
    reliability,
)
from ddxgraph.eval.statistics.interval import wilson

LETTERS = "ABCD"
EVEN = dict.fromkeys(LETTERS, 0.25)

forecasts = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1)


def columns(rows):
    return [list(column) for column in zip(*rows, strict=True)]


def test_confidence_is_the_largest_probability_and_ties_go_to_the_first_letter():
    assert confidence({"B": 0.2, "A": 0.8}) == Confidence("A", 0.8)
    assert confidence({"D": 0.4, "B": 0.4, "A": 0.2}) == Confidence("B", 0.4)


def test_a_bin_is_closed_above():
    """0.1 belongs to the first bin, 0 too, and 1 to the last."""
    bins = reliability([0.0, 0.1, 0.1001, 1.0], [False, True, True, True])
    assert bins == [
        Bin(0.0, 0.1, 2, pytest.approx(0.05), 0.5, *wilson(1, 2)),
        Bin(0.1, 0.2, 1, 0.1001, 1.0, *wilson(1, 1)),
        Bin(0.9, 1.0, 1, 1.0, 1.0, *wilson(1, 1)),
    ]


def test_the_calibration_error_in_closed_form():
    """Ten forecasts at 0.8 of which six are right, ten at 0.55 of which all are."""
    sure = [0.8] * 10 + [0.55] * 10
    right = [True] * 6 + [False] * 4 + [True] * 10
    assert ece(sure, right) == pytest.approx((10 * 0.2 + 10 * 0.45) / 20)
    assert ece(sure, right, bins=1) == pytest.approx(abs(0.8 - 0.675))
    assert ece([1.0, 1.0], [True, True]) == 0.0
    assert ece([1.0, 1.0], [False, False]) == 1.0


@given(forecasts, st.integers(1, 15))
def test_the_calibration_error_agrees_with_a_plain_loop(rows, count):
    sure, right = columns(rows)
    sums = {}
    for value, hit in rows:
        place = next(place for place in range(count) if value <= np.linspace(0, 1, count + 1)[place + 1])
        sums[place] = sums.get(place, 0.0) + hit - value
    assert ece(sure, right, count) == pytest.approx(sum(map(abs, sums.values())) / len(rows))
    assert sum(part.count for part in reliability(sure, right, count)) == len(rows)


def test_the_brier_score_in_closed_form():
    assert brier_score({"A": 1.0}, "A", LETTERS) == 0.0
    assert brier_score({"B": 1.0}, "A", LETTERS) == 2.0
    assert brier_score(EVEN, "C", LETTERS) == pytest.approx(0.75)
    assert brier_score({"A": 0.7, "B": 0.3}, "A", "AB") == pytest.approx(2 * 0.3**2)
    both = calibrate([Forecast(shares, LETTERS, "A", "A") for shares in ({"A": 1.0}, EVEN)])
    assert both.brier == pytest.approx(0.375)


@given(st.lists(st.integers(1, 100), min_size=5, max_size=5), st.sampled_from("ABCDE"))
def test_the_brier_score_agrees_with_vectors(weights, gold):
    shares = np.array(weights) / sum(weights)
    truth = np.array([letter == gold for letter in "ABCDE"])
    found = brier_score(dict(zip("ABCDE", shares.tolist(), strict=True)), gold, "ABCDE")
    assert found == pytest.approx(float(np.sum((shares - truth) ** 2)))
    assert 0 <= found <= 2


@pytest.mark.parametrize(
    ("distribution", "gold", "said"),
    [
        (EVEN, "E", "none of the options A, B, C, D"),
        ({"A": 0.5, "H1": 0.5}, "A", "no distribution"),
        ({"A": 1.5, "B": -0.5}, "A", "no distribution"),
        ({"A": 0.5, "B": 0.4}, "A", "sums to 0.9"),
        ({"A": math.nan}, "A", "sums to nan"),
    ],
)
def test_what_is_no_forecast_over_the_options_is_refused(distribution, gold, said):
    with pytest.raises(ValueError, match=said):
        brier_score(distribution, gold, LETTERS)


def test_accuracy_at_coverage_in_closed_form():
    curve = coverage_curve([0.9, 0.5, 0.7, 0.6], [True, False, True, False])
    assert curve == [
        CoveragePoint(0.25, 1.0, 0.9),
        CoveragePoint(0.5, 1.0, 0.7),
        CoveragePoint(0.75, pytest.approx(2 / 3), 0.6),
        CoveragePoint(1.0, 0.5, 0.5),
    ]
    assert coverage_area(curve) == pytest.approx((1 + 1 + 2 / 3 + 1 / 2) / 4)


def test_forecasts_of_equal_confidence_are_used_together():
    assert coverage_curve([0.5, 0.5, 0.9], [True, False, False]) == [
        CoveragePoint(pytest.approx(1 / 3), 0.0, 0.9),
        CoveragePoint(1.0, pytest.approx(1 / 3), 0.5),
    ]
    assert coverage_area(coverage_curve([0.5] * 4, [True, False, True, True])) == 0.75
    assert coverage_curve([], []) == []


@given(forecasts, st.randoms(use_true_random=False))
def test_no_figure_depends_on_the_order_of_forecasts(rows, dice):
    there, back = columns(rows), columns(dice.sample(rows, k=len(rows)))
    assert coverage_curve(*there) == coverage_curve(*back)
    assert ece(*there) == pytest.approx(ece(*back))


@given(forecasts)
def test_the_curve_agrees_with_a_plain_threshold(rows):
    sure, right = columns(rows)
    for point in coverage_curve(sure, right):
        used = [hit for value, hit in rows if value >= point.threshold]
        assert point.coverage == pytest.approx(len(used) / len(rows))
        assert point.accuracy == pytest.approx(sum(used) / len(used))
    assert coverage_curve(sure, right)[-1].coverage == 1.0


def drawn(count, bend=1.0):
    """Forecasts whose gold letters are drawn from their own distributions, then sharpened by `bend`."""
    rng = np.random.default_rng(12)
    shares = rng.dirichlet(np.ones(4), size=count)
    golds = [LETTERS[(rng.random() > np.cumsum(row)[:3]).sum()] for row in shares]
    told = shares**bend / (shares**bend).sum(axis=1, keepdims=True)
    return [
        Forecast(dict(zip(LETTERS, row.tolist(), strict=True)), LETTERS, LETTERS[int(row.argmax())], gold)
        for row, gold in zip(told, golds, strict=True)
    ]


def test_calibrated_forecasts_have_no_calibration_error_and_sharpened_ones_do():
    honest, bold = calibrate(drawn(20_000)), calibrate(drawn(20_000, bend=4))
    assert honest.ece < 0.012
    assert honest.accuracy == pytest.approx(honest.confidence, abs=0.01)
    assert all(part.accuracy_low - 0.03 < part.confidence < part.accuracy_high + 0.03 for part in honest.bins)
    assert bold.accuracy == honest.accuracy  # sharpening keeps every order
    assert bold.ece > 0.15
    assert bold.brier > honest.brier
    assert honest.coverage_area > honest.accuracy


def test_answers_without_a_distribution_are_counted_and_left_out():
    found = calibrate(
        [
            Forecast({"A": 0.75, "B": 0.25}, "AB", "A", "A"),
            Forecast({"A": 0.75, "B": 0.25}, "AB", "B", "B"),
            Forecast({}, "AB", "A", "A"),
        ]
    )
    assert (found.traces, found.without, found.differing) == (2, 1, 1)
    assert (found.accuracy, found.confidence, found.ece) == (0.5, 0.75, 0.25)
    assert found.brier == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2)
    assert calibrate([Forecast({}, "AB", "A", "A")]) is None
    assert calibrate([]) is None


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(ValueError, match="one each"):
        ece([0.5], [True, False])
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        coverage_curve([1.5], [True])
    with pytest.raises(ValueError, match="bins"):
        reliability([0.5], [True], bins=0)
    with pytest.raises(ValueError, match="no forecast"):
        ece([], [])
    with pytest.raises(ValueError, match="no forecast"):
        coverage_area([])
