"""Where the findings stand in the text of a case. Pure."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from ddxgraph.nodes.review_history import Finding, comparable, folded

_MOST_MARKS: Final = 30
"""Characters that are folded together at most; more marks on a letter are no text."""


class Span(NamedTuple):
    """Characters of a text, the end not included."""

    start: int
    end: int


class Segment(NamedTuple):
    """A piece of a text, and the findings that were quoted from it."""

    text: str
    findings: tuple[str, ...]
    """Ids; empty for what no finding quotes."""
    begins: tuple[str, ...]
    """Ids of the findings whose quote begins here."""


def located(text: str, findings: Iterable[Finding]) -> dict[str, Span]:
    """Finding id to where its quote first stands; what cannot be found is left out.

    Quotes are compared as the history review does: white space, case and typographic signs do not count.
    """
    plain, places = _folded(text)
    found = {}
    for finding in findings:
        quote = comparable(finding.quote)
        start = plain.find(quote) if quote else -1
        if start >= 0:
            found[finding.id] = Span(places[start].start, places[start + len(quote) - 1].end)
    return found


def segments(text: str, spans: Mapping[str, Span], within: Span | None = None) -> Iterator[Segment]:
    """Cut a text, or a part of it, where a quote begins or ends; quotes may overlap."""
    start, end = within or Span(0, len(text))
    cuts = {start, end} | {cut for span in spans.values() for cut in span if start < cut < end}
    edges = sorted(cuts)
    for left, right in pairwise(edges):
        here = tuple(key for key, span in spans.items() if span.start <= left and right <= span.end)
        yield Segment(text[left:right], here, tuple(key for key in here if spans[key].start == left))


@lru_cache(maxsize=16)  # the samples of a case stand one after another
def _folded(text: str) -> tuple[str, tuple[Span, ...]]:
    """A text as quotes are compared with it, and where each of its characters comes from."""
    if text.isascii():  # most cases are; 3 times as fast
        kept = [place for place, letter in enumerate(text) if not letter.isspace()]
        return "".join([text[place] for place in kept]).lower(), tuple(
            Span(place, place + 1) for place in kept
        )
    characters: list[str] = []
    places: list[Span] = []
    for place in _letters(text):
        plain = folded(text[place.start : place.end])
        characters.append(plain)
        places.extend([place] * len(plain))
    return "".join(characters), tuple(places)


def _letters(text: str) -> Iterator[Span]:
    """A text cut where its characters fold one by one: a letter and the marks that fold into it stay together."""
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
