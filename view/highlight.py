"""Where the findings stand in the text of a case. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from ddxgraph.nodes.review_history import Finding, comparable, folded


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
            found[finding.id] = Span(places[start], places[start + len(quote) - 1] + 1)
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
def _folded(text: str) -> tuple[str, tuple[int, ...]]:
    """A text as quotes are compared with it, and where each of its characters comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = character.lower() if character.isascii() else folded(character)
        if not plain.isspace():
            characters.append(plain)
            places.extend([place] * len(plain))
    return "".join(characters), tuple(places)
