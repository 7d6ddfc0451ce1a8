"""Quotes in the text of a case: found as the history review compares them, cut where they begin and end."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddxgraph.nodes.review_history import Finding, comparable, folded
from ddxgraph.view.page.highlight import Segment, Span, located, segments


def finding(key: str, quote: str) -> Finding:
    return Finding(id=key, quote=quote, kind="symptom", polarity="present", salience=2)


def found(text: str, *quotes: str) -> list[str | None]:
    """What is marked for each quote; None where it is not found."""
    spans = located(text, [finding(str(place), quote) for place, quote in enumerate(quotes)])
    return [text[slice(*spans[str(place)])] if str(place) in spans else None for place in range(len(quotes))]


@pytest.mark.parametrize(
    ("text", "quote", "marked"),
    [
        ("He has Fever today.", "fever", "Fever"),
        ("He has fever today.", "FEVER TODAY", "fever today"),
        ("a productive\n  cough\tnow", "productive cough", "productive\n  cough"),
        ("white cell count 15,000", "whitecell  count", "white cell count"),
        ("the patient\u2019s pulse", "patient's pulse", "patient\u2019s pulse"),
        ("the patient's pulse", "patient\u2019s pulse", "patient's pulse"),
        ("he said \u201cit burns\u201d twice", 'said "it burns" twice', "said \u201cit burns\u201d twice"),
        ("a 3\u201312 day course", "3-12 day", "3\u201312 day"),
        ("a 3\u201412 day course", "3\u221212 day", "3\u201412 day"),
        ("the \ufb01rst \ufb02are", "first flare", "\ufb01rst \ufb02are"),
        ("the first flare", "\ufb01rst \ufb02are", "first flare"),
        ("10 mg/m\u00b2 daily", "mg/m2", "mg/m\u00b2"),
        ("3 \u00b5g of it", "3 \u03bcg", "3 \u00b5g"),
        ("the Stra\u00dfe is wet", "STRASSE", "Stra\u00dfe"),
        ("a caf\u00e9 au lait spot", "cafe\u0301 au lait", "caf\u00e9 au lait"),
        ("a cafe\u0301 au lait spot", "caf\u00e9 au lait", "cafe\u0301 au lait"),
        ("\uff76\uff9e is seen", "\u30ac", "\uff76\uff9e"),
        (
            "\uff26\uff45\uff56\uff45\uff52 \uff13\uff18",
            "fever 38",
            "\uff26\uff45\uff56\uff45\uff52 \uff13\uff18",
        ),
        ("left\xa0calf is tender", "left calf", "left\xa0calf"),
        ("He has fever.", "...fever.", "fever"),
        ("He has fever.", '"fever"', "fever"),
    ],
)
def test_a_quote_is_found_up_to_case_white_space_and_typographic_signs(text, quote, marked):
    assert found(text, quote) == [marked]


def test_what_does_not_stand_there_is_left_out():
    text = "He has fever and cough."
    assert located(text, [finding("F1", "headache"), finding("F2", "cough"), finding("F3", " ... ")]) == {
        "F2": Span(17, 22)
    }
    assert located("", [finding("F1", "cough")]) == {}


def test_a_quote_that_stands_twice_is_marked_where_it_stands_first():
    assert located("fever, then fever", [finding("F1", "fever")]) == {"F1": Span(0, 5)}


@pytest.mark.parametrize(
    ("text", "quotes", "places"),
    [
        ("pain on coughing absent, pain present", ["pain on coughing", "pain"], [0, 25]),
        ("pain on coughing absent, pain present", ["pain", "pain on coughing"], [25, 0]),
        ("no fever at first, then fever", ["no fever", "fever"], [0, 24]),
        ("fever on day 1, fever on day 3", ["fever", "fever"], [0, 16]),
        ("a painless lump, then pain", ["pain"], [22]),
        ("feverish, then fever and more fever", ["fever"], [15]),
        ("unpainful", ["pain"], [2]),
        ("at 00:0", ["0"], [6]),
        ("no leg pain, pain in the caf\u00e9", ["no leg pain", "pain", "caf\u00e9"], [0, 13, 25]),
    ],
)
def test_of_several_places_the_one_that_is_free_and_whole_counts(text, quotes, places):
    spans = located(text, [finding(str(place), quote) for place, quote in enumerate(quotes)])
    assert [spans[str(place)].start for place in range(len(quotes))] == places


def test_quotes_that_overlap_share_the_piece_between_them():
    text = "sharp chest pain today"
    spans = located(text, [finding("F1", "sharp chest"), finding("F2", "chest pain")])
    assert list(segments(text, spans)) == [
        Segment("sharp ", ("F1",), ("F1",)),
        Segment("chest", ("F1", "F2"), ("F2",)),
        Segment(" pain", ("F2",), ()),
        Segment(" today", (), ()),
    ]


def test_a_quote_within_another_begins_and_ends_within_it():
    text = "no sharp chest pain"
    spans = located(text, [finding("F1", text), finding("F2", "chest"), finding("F3", "no")])
    assert list(segments(text, spans)) == [
        Segment("no", ("F1", "F3"), ("F1", "F3")),
        Segment(" sharp ", ("F1",), ()),
        Segment("chest", ("F1", "F2"), ("F2",)),
        Segment(" pain", ("F1",), ()),
    ]


def test_a_part_of_a_text_is_cut_as_the_whole_is():
    text = "fever\nWhat is it?"
    spans = located(text, [finding("F1", "fever What"), finding("F2", "is it")])
    assert list(segments(text, spans, Span(0, 5))) == [Segment("fever", ("F1",), ("F1",))]
    assert list(segments(text, spans, Span(6, len(text)))) == [
        Segment("What", ("F1",), ()),
        Segment(" ", (), ()),
        Segment("is it", ("F2",), ("F2",)),
        Segment("?", (), ()),
    ]


ODD = (
    "aA .,;:'\"-\n\t\xa0\u3000\u2019\u201c\u2013\u2014\u2033\u2026\u00b4\u00bd"
    "\ufb01\ufb02\ufb03\u00df\u00e9e\u0301\u0323\u0130\uff76\uff9e\u3131\u314f\u1100\u1161\u05e9\U0001f9e0"
)
"""What folds into more, less or other characters than it has."""
TEXTS = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS, st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=8), st.data())
def test_the_pieces_together_are_the_text(text, edges, data):
    spans = {
        f"F{place}": Span(*sorted(min(edge, len(text)) for edge in pair)) for place, pair in enumerate(edges)
    }
    start = data.draw(st.integers(0, len(text)))
    within = data.draw(st.none() | st.just(Span(start, len(text))) | st.just(Span(0, start)))
    pieces = list(segments(text, spans, within))
    assert "".join(piece.text for piece in pieces) == (text[slice(*within)] if within else text)
    at = within.start if within else 0
    for piece in pieces:
        here = range(at, at + len(piece.text))
        assert set(piece.findings) == {
            key for key, span in spans.items() if any(span.start <= one < span.end for one in here)
        }
        at += len(piece.text)


def stands_alone(text: str, span: Span) -> bool:
    """Whether a span begins and ends where words do."""
    return not any(text[edge - 1].isalnum() and text[edge].isalnum() for edge in span if 0 < edge < len(text))


@given(TEXTS, st.integers(0, 40), st.integers(1, 20))
@example("ab\uff76\uff9ecd", 1, 3)
@example("x \u314e\u314f y", 0, 5)
@example("00:0", 0, 1)
@example("e\u0301 xe", 0, 1)
def test_a_quote_cut_out_of_a_text_is_found_in_it_and_says_the_same(text, start, length):
    """Where the history review takes a quote, the page can mark it: the first place, or a whole word."""
    quote = text[start : start + length]
    wanted = comparable(quote)
    spans = located(text, [finding("F1", quote)])
    if wanted and wanted in folded(text):
        assert wanted in comparable(text[slice(*spans["F1"])])
        read_before_its_end = folded(text[: start + length])
        if wanted in read_before_its_end and folded(text).startswith(read_before_its_end):
            assert spans["F1"].start <= start + length or stands_alone(text, spans["F1"])
    elif not wanted:
        assert spans == {}


@given(TEXTS, TEXTS)
def test_what_is_marked_reads_as_the_quote_does(text, quote):
    for span in located(text, [finding("F1", quote)]).values():
        assert 0 <= span.start < span.end <= len(text)
        assert comparable(quote) in folded(text[slice(*span)])
        assert comparable(quote) not in folded(text[span.start + 1 : span.end])
        assert comparable(quote) not in folded(text[span.start : span.end - 1])
