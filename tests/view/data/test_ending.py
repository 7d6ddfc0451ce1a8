"""Why a journey ended, in a sentence: every end and every outcome has one."""

from typing import get_args

import pytest
from journeys import CASE, FREE, STRAIGHT, answer
from langchain_core.exceptions import ModelConnectionError
from walks import doubting, walked

from ddxgraph import Budget
from ddxgraph.graph.trace import EndReason, Outcome
from ddxgraph.view.data.ending import answer_in_words, choice_in_words, ending

TRACE = walked(STRAIGHT, CASE).trace


@pytest.mark.parametrize("ended", get_args(EndReason))
@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_end_with_every_outcome_is_said_in_a_sentence(ended, outcome):
    said = ending(TRACE.model_copy(update={"ended": ended, "outcome": outcome}))
    assert said.endswith(".")
    assert said[0].isupper()
    assert "  " not in said


def test_ends_differ_from_one_another():
    assert len({ending(TRACE.model_copy(update={"ended": ended})) for ended in get_args(EndReason)}) == 6


def test_a_walk_says_why_it_ended():
    assert ending(TRACE) == "It came to its conclusion."
    spent = walked(doubting(3), CASE, budget=Budget(max_backtracks=1)).trace
    assert "go back once more" in ending(spent)
    short = walked(STRAIGHT, CASE, budget=Budget(max_calls=5)).trace
    assert "calls was spent" in ending(short)


def test_a_failure_says_what_broke_and_that_it_is_no_wrong_answer():
    broken = walked(STRAIGHT | {"reflect": ModelConnectionError("refused by peer")}, CASE).trace
    said = ending(broken)
    assert "not count as a wrong answer" in said
    assert broken.failure.message in said


def test_an_unread_conclusion_is_not_called_one():
    unread = walked(STRAIGHT | {"conclude": "I cannot say."}, CASE).trace
    assert unread.outcome == "unparsed"
    assert "came to its conclusion" not in ending(unread)
    assert "could not be read" in ending(unread)


def test_an_answer_is_given_with_its_options_text():
    assert answer_in_words(TRACE) == "B. Pneumonia"
    assert answer_in_words(TRACE.model_copy(update={"answer": None})) == "No answer"
    assert answer_in_words(TRACE.model_copy(update={"answer": "Z"})) == "Z"
    free = walked({"conclude": answer("gout")}, FREE).trace
    assert answer_in_words(free) == "gout"
    assert choice_in_words("A", CASE.options) == "A. Influenza"
    assert choice_in_words("gout", {}) == "gout"
