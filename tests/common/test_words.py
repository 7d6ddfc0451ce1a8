"""Numbers and texts as a reader is shown them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.common.words import count, cut, signed, whole_percent


@given(st.text(max_size=80), st.integers(1, 20))
def test_a_text_is_cut_to_one_line_and_no_more_than_was_asked_for(text, most):
    short = cut(text, most)
    assert len(short) <= most
    assert len(short.splitlines()) <= 1
    whole = " ".join(text.split())
    assert short == whole or short.endswith("…")
    assert whole.startswith(short.removesuffix("…")) or "…" in whole


def test_a_text_that_fits_is_left_as_it_is():
    assert cut("sharp chest pain", 16) == "sharp chest pain"
    assert cut("sharp\n chest\tpain", 16) == "sharp chest pain"
    assert cut("sharp chest pain", 15) == "sharp chest pa…"
    assert cut("sharp chest pain", 7) == "sharp…", "no space before the ellipsis"
    assert cut("", 5) == ""


def test_a_text_of_little_but_white_space_says_that_more_follows():
    assert cut("a" + " " * 100 + "b", 10).endswith("…")


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0%"),
        (1e-9, "<1%"),
        (0.0049, "<1%"),
        (0.006, "1%"),
        (0.5, "50%"),
        (0.994, "99%"),
        (0.995, ">99%"),
        (0.99999, ">99%"),
        (1, "100%"),
    ],
)
def test_a_share_that_is_not_quite_nothing_or_all_is_not_rounded_to_it(share, said):
    assert whole_percent(share) == said


def test_a_number_has_its_sign():
    assert [signed(number) for number in (-2, 0, 3)] == ["−2", "0", "+3"]


def test_a_noun_goes_by_its_number():
    assert [count(number, "step") for number in (0, 1, 2, 1200)] == [
        "0 steps",
        "1 step",
        "2 steps",
        "1,200 steps",
    ]
    assert count(2, "hypothesis", "hypotheses") == "2 hypotheses"
