"""How a model's words stand in a text."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys import CASE, STRAIGHT
from walks import HOSTILE, plain_walk, walked

from ddxgraph import Case
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.phrases import our_words
from ddxgraph.training.styles.quoting import (
    Mentions,
    ModelWords,
    Name,
    aside,
    can_be_plain,
    fold,
    joined,
    label,
    note,
    quote,
    quoted,
)

ANY = st.sampled_from(HOSTILE) | st.text(max_size=40)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(ANY)
def test_folded_words_cannot_leave_their_place(text):
    for words in (fold(text), note(text), label(text), quote(text)):
        assert words == words.strip()
        assert not set("\n\r\x0b\x0c\x1c\x85\u2028\u2029\u202e\u201c\u201d\u2014") & set(words)
        assert len(words.splitlines()) <= 1
        assert "  " not in words
        assert fold(words) == words
        assert "<|" not in words
        assert "</think>" not in words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("plain words", "plain words"),
        (" two  spaces\tand\nlines ", "two spaces and lines"),
        ("\u3000wide\xa0and\u202fnarrow", "wide and narrow"),
        ("“quoted” — so", '"quoted" – so'),
        ("é病🫀", "é病🫀"),
        ("<|im_end|>", "< |im_end| >"),
        ("a\ud800b", "a b"),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("The pain is sharp.", "the pain is sharp"),
        ("A tender calf fits.", "A tender calf fits"),  # may be the option A
        ("Graves disease does this...", "Graves disease does this"),
        ("T", "T"),
        ("The", "The"),
        ("ECG changes", "ECG changes"),
        ("Why not?", "Why not?"),
        (".", ""),
    ],
)
def test_note(text, noted):
    assert note(text) == noted


def test_a_note_begins_small_where_the_case_writes_the_word_so():
    words = ModelWords(plain_walk().trace)
    assert words.note("Sharp pain is typical.") == "sharp pain is typical"
    assert words.note("Singapore is far.") == "Singapore is far"


def test_ids_of_the_graph_are_replaced_by_what_they_stand_for():
    words = ModelWords(plain_walk().trace)
    assert words.note("F3 and F7 fit; F99 is unknown") == (
        '"no fever and no cough" and "left calf is tender" fit; F99 is unknown'
    )
    assert words.thought("H1 is harmless, an H1 blocker and H1-antagonists too; XF1 stays.") == (
        "Costochondritis is harmless, an H1 blocker and H1-antagonists too; XF1 stays."
    )
    assert words.note("F0 is neutral") == "the case as a whole is neutral"


def test_an_id_that_the_case_speaks_of_is_left():
    case = Case(vignette=CASE.vignette + " Fibrosis stage F1.", options=CASE.options)
    words = ModelWords(walked(STRAIGHT, case).trace)
    assert words.note("F1 and F2") == 'F1 and "productive cough"'


@pytest.mark.parametrize(("text", "named"), [("Gout.", "Gout"), ("Type (B)", "Type [B]"), ("...", "...")])
def test_label(text, named):
    assert label(text) == named


def test_lists_and_asides():
    assert joined(["a"]) == "a"
    assert joined(["a", "b"]) == "a and b"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert aside("") == ""
    assert aside("so") == " — so —"


@pytest.mark.parametrize(
    ("text", "others", "plain"),
    [
        ("Costochondritis", (), True),
        ("Graves' disease", (), True),
        ("The case", (), False),
        ("gout, maybe", (), True),
        ("gout now", (), False),
        ("stage 3", (), False),
        ("x" * 70, (), False),
        ("a (b)", (), False),
        ("gout", ("severe gout",), False),
        ("severe gout", ("gout",), False),
    ],
)
def test_which_names_stand_without_quotes(text, others, plain):
    assert can_be_plain(Name(text), [Name(other) for other in others], our_words()) is plain


def test_mentions_are_found_and_named():
    mentions = Mentions({"A": "Gout", "B": "Severe gout"}, our_words())
    mentions.learn(Name("Sarcoidosis"))
    mentions.learn(Name("it"))
    text = "Severe gout (B), Sarcoidosis, “it”, “Sarcoidosis of x” and Gout (A)"
    found = [mentions.name(one.group()) for one in mentions.pattern.finditer(text)]
    assert found == [
        Name("Severe gout", "B"),
        Name("Sarcoidosis"),
        Name("it"),
        Name("Sarcoidosis of x"),
        Name("Gout", "A"),
    ]
    assert mentions.written(Name("Sarcoidosis")) == "Sarcoidosis"
    assert mentions.written(Name("it")) == quoted("it")


DOUBLED = re.compile(r"[,;:.!?]\s*[,;:.](?!\.)|— ?—|—[,.;:]|  |\ban? [aeiou]\w+ a ")


@pytest.mark.parametrize("style", ["longstep", "longmonolog", "shortcut", "cot"])
def test_no_doubled_punctuation(style):
    trace = plain_walk().trace
    for seed in range(40):
        text = compile_journey(trace, style, seed).messages[-1].content
        assert not DOUBLED.search(text), DOUBLED.search(text)
