"""The looser rule on real strings. What is expected here is what the published script finds in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.eval.scoring.rule import find_letters

OPTIONS = {"A": "Influenza", "B": "Pneumonia", "C": "Asthma", "D": "Heart failure"}


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("The answer is B.", "B", "B"),
        ("answer is C. No: the answer is\n D", "C", "D"),
        ("The answer is Asthma", "A", "A"),  # the first capital letter behind the phrase
        ("the answer is asthma", "C", "C"),  # by the option's text
        ("The correct answer is E.", "E", "E"),  # any letter up to N
        ("I think A is wrong. The answer is B", "B", "B"),
        ("Thinking: the answer is A.\n\n## Final Response\n\nIt is (C).", "C", "C"),
        ("## Final Response\n\nB.\n\n## Final Response\n\n**D**", "D", "D"),
        ('{"justification":"A. does not fit","answer":"B"}', "A", "B"),
        ("A patient with fever has B.", "B", "B"),
        ("A,B,C", "A", "C"),
        ("选C是", "C", "C"),
        ("AB or BC", "D", "D"),  # nothing found: all are equally unlike, and the last wins
        ("", "D", "D"),
        ("It is pneumonia, not influenza.", "A", "A"),
        ("influenza? pneumonia. influenza!", "B", "A"),  # first mentions: pneumonia comes later
        ("pneumonitis", "B", "B"),  # the most similar text
    ],
)
def test_letters_are_found_as_the_published_script_finds_them(text, first, last):
    assert find_letters(text, OPTIONS) == (first, last)


def test_of_options_at_the_same_place_the_first_is_found():
    assert find_letters("heart failure", {"A": "Heart", "B": "Heart failure"}) == ("A", "A")


def test_only_letters_of_the_options_stand_alone():
    assert find_letters("E. or so, asthma", OPTIONS) == ("C", "C")
    assert find_letters("E. or so, asthma", {**OPTIONS, "E": "Gout"}) == ("E", "E")


@given(st.text(max_size=60) | st.text('ABCDE is.,"answer\n', max_size=40))
def test_a_letter_is_found_in_any_text(text):
    found = find_letters(text, OPTIONS)
    assert set(found) <= set("ABCDEFGHIJKLMN")
