"""Words and their sequences: what counts as the same text."""

from unicodedata import normalize

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph import Case
from ddxgraph.training.gate.text import WordHasher, ngrams, question_of, words

SAID = "A 24-year-old woman; temp. 38.5°C — “burning” pain"
HASH = WordHasher()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SAID, ["a", "24", "year", "old", "woman", "temp", "38", "5", "c", "burning", "pain"]),
        ("ﬁbrosis CAFÉ", ["fibrosis", "café"]),
        (normalize("NFD", "café"), ["café"]),
        ("x_y", ["x", "y"]),
        ("+—!", []),
        ("", []),
    ],
)
def test_words_are_letters_and_digits_folded(text, expected):
    assert words(text) == expected


def test_hashes_are_the_same_on_every_machine():
    assert HASH("Fever, cough").tolist() == [11024901700203319014, 12491871112462557315]
    assert ngrams(HASH("Fever, cough, chills"), 2).tolist() == [5482995854444169468, 8010675352059013772]


@given(st.lists(st.sampled_from("abcde"), max_size=30), st.integers(1, 15))
def test_equal_sequences_have_equal_hashes_and_others_do_not(letters, n):
    found = ngrams(HASH(" ".join(letters)), n).tolist()
    n = min(n, len(letters))
    expected = [tuple(letters[place : place + n]) for place in range(len(letters) - n + 1)] if letters else []
    assert len(found) == len(expected)
    assert len(set(zip(found, expected, strict=True))) == len(set(found)) == len(set(expected))


def test_a_text_without_words_has_no_ngrams():
    assert ngrams(HASH("..."), 13).tolist() == []
    assert HASH("").dtype == np.uint64


def test_order_and_letters_of_the_options_make_no_difference():
    one = Case(vignette="Fever.", options={"A": "Influenza", "B": "Pneumonia"})
    other = Case(vignette="Fever.", options={"B": "Influenza", "A": "Pneumonia"})
    assert question_of(one) == question_of(other)
