"""Shuffled options: what was chosen is compared by its text, what is preferred by its letter."""

import pytest

from ddxgraph.eval.statistics.interval import wilson
from ddxgraph.eval.statistics.paired import paired
from ddxgraph.eval.statistics.shuffle import Choice, letter_bias, shuffle_sensitivity

FIRST = {
    "one": Choice("gout", True),
    "two": Choice("sepsis", False),
    "three": Choice("asthma", True),
    "four": Choice(None, False),
    "only here": Choice("gout", True),
}
SECOND = {
    "four": Choice("gout", True),
    "three": Choice("asthma", True),
    "two": Choice("anemia", True),
    "one": Choice("lupus", False),
    "only there": Choice("gout", False),
}


def test_a_choice_changed_if_its_text_did():
    found = shuffle_sensitivity(FIRST, SECOND)
    assert (found.n, found.changed, found.unanswered) == (3, 2, 1)
    assert found.share == pytest.approx(2 / 3)
    assert found.interval == wilson(2, 3)


def test_accuracy_is_compared_over_all_cases_that_both_runs_scored():
    """An unanswered case is a wrong one: leaving it out would flatter the run that answers less."""
    found = shuffle_sensitivity(FIRST, SECOND)
    assert found.accuracy == paired([0, 1, 1, 0], [1, 0, 1, 1])  # by id: four, one, three, two
    assert (found.accuracy.only_a, found.accuracy.only_b) == (1, 2)


def test_runs_that_share_no_answered_case_cannot_be_compared():
    assert shuffle_sensitivity(FIRST, {}) is None
    assert shuffle_sensitivity({"a": Choice(None, False)}, {"a": Choice("gout", True)}) is None


def test_a_run_that_answers_one_letter_only_is_as_far_off_as_that_letter_is_rare():
    found = letter_bias(["C"] * 4, ["A", "B", "C", "D"])
    assert found.answered == {"A": 0, "B": 0, "C": 1, "D": 0}
    assert found.gold == dict.fromkeys("ABCD", 0.25)
    assert found.distance == 0.75


def test_letters_in_the_right_shares_show_no_bias_even_if_every_answer_is_wrong():
    assert letter_bias(["A", "B"], ["B", "A"]).distance == 0.0
    assert letter_bias(["A", "A"], ["B", "B"]).distance == 1.0


def test_the_gold_letters_are_those_of_the_answered_traces():
    found = letter_bias(["A", None, "B"], ["A", "C", "B"])
    assert (found.n, found.gold, found.distance) == (2, {"A": 0.5, "B": 0.5}, 0.0)
    assert letter_bias([None], ["A"]) is None
    with pytest.raises(ValueError, match="one each"):
        letter_bias(["A"], [])
