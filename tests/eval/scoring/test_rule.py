"""The strict rule, outcome by outcome; and what must never change a verdict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.eval.scoring.rule import Verdict, choice_of, verdict_of

OPTIONS = {"A": "Influenza", "B": "Pneumonia", "C": "Asthma", "D": "Heart failure"}
LETTERS = st.sampled_from("ABCD")
OUTCOMES = st.sampled_from(["answered", "abstained", "unparsed", "error"])
ANSWERS = st.none() | LETTERS | st.text(max_size=8)


@pytest.mark.parametrize(
    ("outcome", "answer", "verdict"),
    [
        ("answered", "B", Verdict.CORRECT),
        ("answered", "A", Verdict.INCORRECT),
        ("answered", "E", Verdict.UNPARSED),
        ("answered", "b", Verdict.UNPARSED),
        ("answered", "B.", Verdict.UNPARSED),
        ("answered", " B", Verdict.UNPARSED),
        ("answered", "Pneumonia", Verdict.UNPARSED),
        ("answered", "", Verdict.UNPARSED),
        ("answered", None, Verdict.UNPARSED),
        ("unparsed", None, Verdict.UNPARSED),
        ("unparsed", "B", Verdict.UNPARSED),
        ("abstained", None, Verdict.ABSTAINED),
        ("abstained", "B", Verdict.ABSTAINED),
        ("error", None, Verdict.ERROR),
        ("error", "B", Verdict.ERROR),
    ],
)
def test_a_letter_is_taken_as_the_strategy_states_it(outcome, answer, verdict):
    assert verdict_of(outcome, answer, "B", OPTIONS) is verdict


@pytest.mark.parametrize(
    ("outcome", "answer", "verdict"),
    [
        ("answered", "crohn’s DISEASE.", Verdict.CORRECT),
        ("answered", "Ulcerative colitis", Verdict.INCORRECT),
        ("answered", "regional enteritis", Verdict.INCORRECT),
        ("answered", "Crohn", Verdict.INCORRECT),
        ("answered", "...", Verdict.UNPARSED),
        ("answered", None, Verdict.UNPARSED),
        ("abstained", "Crohn's disease", Verdict.ABSTAINED),
        ("error", "Crohn's disease", Verdict.ERROR),
    ],
)
def test_a_free_form_answer_is_the_gold_text_once_normalised(outcome, answer, verdict):
    assert verdict_of(outcome, answer, "The Crohn's disease", {}) is verdict


def test_an_answers_choice_is_its_options_text():
    assert choice_of("B", OPTIONS) == "Pneumonia"
    assert choice_of("E", OPTIONS) is None
    assert choice_of("The  Gout.", {}) == "gout"
    assert choice_of(None, {}) is choice_of("!", {}) is None


@given(OUTCOMES, LETTERS, LETTERS, st.permutations("ABCD"))
def test_shuffling_the_options_changes_no_verdict_and_no_choice(outcome, answer, gold, order):
    moved = dict(zip("ABCD", order, strict=True))
    shuffled = {moved[letter]: text for letter, text in OPTIONS.items()}
    assert verdict_of(outcome, moved[answer], moved[gold], shuffled) is verdict_of(
        outcome, answer, gold, OPTIONS
    )
    assert choice_of(moved[answer], shuffled) == choice_of(answer, OPTIONS)


@given(OUTCOMES, ANSWERS, LETTERS, st.sampled_from([OPTIONS, {}]))
def test_an_error_is_never_scored_and_nothing_but_an_error_is_left_unscored(outcome, answer, gold, options):
    assert (verdict_of(outcome, answer, gold, options) is Verdict.ERROR) == (outcome == "error")


@given(OUTCOMES, ANSWERS, LETTERS)
def test_correct_is_the_gold_letter_answered_and_nothing_else(outcome, answer, gold):
    correct = verdict_of(outcome, answer, gold, OPTIONS) is Verdict.CORRECT
    assert correct == (outcome == "answered" and answer == gold)
