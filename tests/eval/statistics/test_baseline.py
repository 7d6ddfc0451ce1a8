"""Baselines: what an accuracy has to beat."""

import pytest

from ddxgraph.eval.statistics.vote import Baseline, chance, majority_class


def test_the_majority_class_of_the_jama_test_items_is_c():
    golds = ["A"] * 80 + ["B"] * 192 + ["C"] * 246 + ["D"] * 128
    found = majority_class(golds)
    assert found == Baseline("C", 246, 246 / 646)
    assert found.accuracy == pytest.approx(0.381, abs=5e-4)


def test_of_equally_frequent_letters_the_first_is_named():
    assert majority_class(["D", "B", "B", "D"]) == Baseline("B", 2, 0.5)


def test_chance_is_the_mean_over_cases_and_not_over_options():
    assert chance([4, 4, 5]) == pytest.approx((0.25 + 0.25 + 0.2) / 3)


@pytest.mark.parametrize("options", [[], [0], [4, 0]])
def test_there_is_no_chance_level_without_options(options):
    assert chance(options) is None


def test_no_cases_have_no_majority():
    assert majority_class([]) is None
