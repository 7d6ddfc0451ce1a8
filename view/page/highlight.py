"""Locates findings in the text of a case. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from ddxgraph.nodes.review_history import Finding, comparable, folded

_MOST_MARKS: Final = 30
"""Maximal number of characters that are folded together; no text has more marks on a letter."""


class Span(NamedTuple):
    """A range of characters, excluding its end."""

    start: int
    end: int


class Segment(NamedTuple):
    """A piece of a text, and the findings that quote it."""

    text: str
    findings: tuple[str, ...]
    """Their ids."""
    begins: tuple[str, ...]
    """Ids of those whose quote begins here."""


def located(text: str, findings: Iterable[Finding]) -> dict[str, Span]:
    """Finding id to the place of its quote; findings without one are left out.

    Quotes are compared as in the history review: white space, case and typographic variants do not matter. Of
    several places, the first that no longer quote takes counts, whole words before parts of words: in "pain on
    coughing absent, pain present" the quote "pain" is the second one, if another finding quotes the first three
    words.
    """
    folded_text = _folded(text)
    quotes = {finding.id: comparable(finding.quote) for finding in findings}
    spans: dict[str, Span] = {}
    for key in sorted(quotes, key=lambda key: -len(quotes[key])):
        places = list(_places(folded_text, quotes[key]))
        if places:
            taken = list(spans.values())
            spans[key] = min(places, key=lambda place: (_overlaps(place, taken), _cuts_a_word(place, text)))
    return {key: spans[key] for key in quotes if key in spans}


def _places(folded_text: "_Folded", quote: str) -> Iterator[Span]:
    """Where a folded quote stands in a text, from left to right."""
    start = folded_text.text.find(quote) if quote else -1
    while start >= 0:
        yield Span(folded_text.firsts[start], folded_text.lasts[start + len(quote) - 1] + 1)
        start = folded_text.text.find(quote, start + 1)


def _overlaps(place: Span, taken: Iterable[Span]) -> bool:
    return any(place.start < other.end and other.start < place.end for other in taken)


def _cuts_a_word(place: Span, text: str) -> bool:
    edges = (text[max(place.start - 1, 0) : place.start + 1], text[place.end - 1 : place.end + 1])
    return any(len(edge) > 1 and edge.isalnum() for edge in edges)


def segments(text: str, spans: Mapping[str, Span], within: Span | None = None) -> Iterator[Segment]:
    """Cut a text wherever a quote begins or ends; quotes may overlap.

    Args:
        text: the text.
        spans: finding id to its quote's place, from `located`.
        within: the part to cut; by default all.
    """
    start, end = within or Span(0, len(text))
    cuts = {start, end} | {cut for span in spans.values() for cut in span if start < cut < end}
    edges = sorted(cuts)
    for left, right in pairwise(edges):
        here = tuple(key for key, span in spans.items() if span.start <= left and right <= span.end)
        yield Segment(text[left:right], here, tuple(key for key in here if spans[key].start == left))


class _Folded(NamedTuple):
    """A text as quotes are compared with it, and the places in the text that each of its characters is from."""

    text: str
    firsts: Sequence[int]
    lasts: Sequence[int]


@lru_cache(maxsize=16)  # samples of a case follow one another
def _folded(text: str) -> _Folded:
    if text.isascii():  # true of most cases, and many times as fast
        kept = [place for place, letter in enumerate(text) if not letter.isspace()]
        return _Folded("".join(text.split()).lower(), kept, kept)
    characters: list[str] = []
    firsts: list[int] = []
    lasts: list[int] = []
    for place in _letters(text):
        plain = folded(text[place.start : place.end])
        characters.append(plain)
        firsts.extend([place.start] * len(plain))
        lasts.extend([place.end - 1] * len(plain))
    return _Folded("".join(characters), firsts, lasts)


def _letters(text: str) -> Iterator[Span]:
    """Units of a text that fold independently: a letter with the marks that fold into it."""
    start = 0
    for place in range(1, len(text)):
        if text[place].isascii() or place - start >= _MOST_MARKS or not _folds_in(text, start, place):
            yield Span(start, place)
            start = place
    if text:
        yield Span(start, len(text))


def _folds_in(text: str, start: int, place: int) -> bool:
    before, here = text[start:place], text[place]
    return bool(unicodedata.combining(here)) or folded(before + here) != folded(before) + folded(here)
