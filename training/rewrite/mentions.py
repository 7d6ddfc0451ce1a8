"""Finds hypotheses by name in prose that anybody may have written.

`embedding.Mentions` reads our own templates; here the prose is free. A text is put into a plain form (NFKC, case
folded, one kind of dash, no Markdown emphasis, a line a paragraph), and every mention in it becomes one sign.

A hypothesis is mentioned by its whole label, or by `option B` or `choice B` with its capital letter; a bare
letter is no mention, since it may be an article, a vitamin or an item of a list. Between the words of a label any
few signs may stand, so that hyphens, commas and brackets do not matter. The longest mention counts: "pneumonia"
within "bacterial pneumonia" is none. Where two hypotheses have the same words, only the letter tells them apart.
A label of nothing but words that our own sentences use ("be") is found with its letter or in quotation marks.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from ddxgraph.training.styles.phrases import our_words
from ddxgraph.training.styles.quoting import Name

BRACKETED, CALLED, QUOTE, NAMES = 0xE000, 0xE020, 0xE0FF, 0xE100
"""First private-use characters of `(A)`, of `option A`, of a quoted finding, and of the names in their order."""
NAME: Final = f"[{chr(NAMES)}-\uf8ff]"
"""Matches one mention in a marked text."""

_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **dict.fromkeys("\u2018\u2019", "'"),
        "\u2015": "\u2014",
        "\u201e": "\u201c",
        "\u201f": "\u201c",
        **dict.fromkeys("*`\u00ad\u200b\u200c\u200d\u2060"),
    }
)
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]+")
_PARAGRAPHS: Final = re.compile(r"\n\s*\n")
_BRACKETED: Final = re.compile(r"\(([A-Z])\)")
_CALLED: Final = re.compile(r"\b(?:[Oo]ption|[Cc]hoice) ([A-Z])(?![\w'])")
_SPARE: Final = 3
"""Signs that may stand between two words of a label, or as many as the label itself has there."""


class Mention(NamedTuple):
    """A place where a hypothesis is named."""

    place: int
    name: Name


class Marked(NamedTuple):
    """A text in plain form, each mention one sign."""

    text: str
    mentions: tuple[Mention, ...]
    """In order; `place` is an index into `text`."""
    misnamed: tuple[str, ...]
    """Labels that stand with the letter of another option."""

    def of(self, name: Name) -> list[int]:
        """Where a hypothesis is named."""
        return [mention.place for mention in self.mentions if mention.name == name]


def plain(text: str) -> str:
    """A text in the form that texts are compared in; that of a label stands in that of its text."""
    text = unicodedata.normalize("NFKC", _PRIVATE.sub(" ", text)).translate(_SIGNS)
    return "\n".join(" ".join(_lettered(part).casefold().split()) for part in _PARAGRAPHS.split(text))


def _lettered(text: str) -> str:
    """A text whose option letters are signs, which case folding leaves alone."""
    text = _BRACKETED.sub(lambda found: _sign(BRACKETED, found[1]), text)
    return _CALLED.sub(lambda found: _sign(CALLED, found[1]), text)


def _sign(first: int, letter: str) -> str:
    return chr(first + ord(letter) - ord("A"))


class _Span(NamedTuple):
    start: int
    end: int
    name: int | None
    """Place among the names; None for a quoted finding."""


class Namer:
    """Finds the names of one journey.

    Args:
        names: the hypotheses, each once.
        quotes: findings of the case: what stands in quotation marks as one of them mentions nothing.
    """

    def __init__(self, names: Sequence[Name], quotes: Collection[str] = ()) -> None:
        self._names = names
        labels = [plain(name.label) for name in names]
        self._labels = [_label_pattern(label) for label in labels]
        keys = [tuple(_words(label)) for label in labels]
        self._shared = {place for place, key in enumerate(keys) if keys.count(key) > 1}
        self._usual = {place for place, key in enumerate(keys) if key and our_words().issuperset(key)}
        own = set(labels)
        self._quotes = sorted({plain(quote) for quote in quotes} - own - {""}, key=len, reverse=True)
        self._letters = {name.letter: place for place, name in enumerate(names) if name.letter}

    def name(self, sign: str) -> Name:
        """The hypothesis that a sign of a marked text stands for."""
        return self._names[ord(sign) - NAMES]

    def marked(self, text: str) -> Marked:
        """Mark a text's mentions."""
        flat = plain(text)
        chosen = sorted(_apart(self._spans(flat), len(flat)))
        parts: list[str] = []
        mentions: list[Mention] = []
        length = done = 0
        for span in chosen:
            parts += [flat[done : span.start], chr(QUOTE if span.name is None else NAMES + span.name)]
            length += span.start - done
            if span.name is not None:
                mentions.append(Mention(length, self._names[span.name]))
            length += 1
            done = span.end
        parts.append(flat[done:])
        return Marked("".join(parts), tuple(mentions), tuple(self._misnamed(flat, chosen)))

    def _spans(self, flat: str) -> Iterator[list[_Span]]:
        """Mentions by falling certainty; those of one certainty by falling length."""
        sure, likely = [], []
        for place, (name, label) in enumerate(zip(self._names, self._labels, strict=True)):
            if not label:
                sure += _found("\u201c\u201d", flat, place)
            if name.letter:
                sign = _sign(BRACKETED, name.letter)
                sure += _found(rf"{label} ?{sign}", flat, place)
            if label and place not in self._shared:
                sure += _found(rf"[\"\u201c]{label}[\"\u201d]", flat, place)
            if label and place not in self._shared | self._usual:
                likely += _found(rf"(?<![^\W_+]){label}(?![^\W_]|\+)", flat, place)
        for letter, place in self._letters.items():
            likely += _found(_sign(CALLED, letter), flat, place)
        yield _longest_first(sure)
        yield _longest_first(
            span
            for quote in self._quotes
            for span in _found(rf"[\"\u201c]{re.escape(quote)}[\"\u201d]", flat, None)
        )
        yield _longest_first(likely)

    def _misnamed(self, flat: str, chosen: Iterable[_Span]) -> Iterator[str]:
        """Labels that stand with a letter which is not theirs."""
        if not self._letters:
            return
        for start, end, place in chosen:
            if place is None:
                continue
            name = self._names[place]
            follows = re.compile(rf" ?[,(\u201d\"]{{0,2}} ?([{_range(BRACKETED)}{_range(CALLED)}])").match(
                flat, end
            )
            leads = re.compile(rf"([{_range(CALLED)}])[,:(]? ?$").search(flat, max(start - 4, 0), start)
            for found in (follows, leads):
                if found and _letter(found[1]) != name.letter:
                    yield name.label


def _apart(ranks: Iterable[list[_Span]], size: int) -> Iterator[_Span]:
    """Spans of which none overlaps one that was chosen before it."""
    taken = bytearray(size)
    for rank in ranks:
        for span in rank:
            if not any(taken[span.start : span.end]):
                taken[span.start : span.end] = b"\1" * (span.end - span.start)
                yield span


def _longest_first(spans: Iterable[_Span]) -> list[_Span]:
    return sorted(spans, key=lambda span: (span.start - span.end, span.start))


def _found(pattern: str, flat: str, place: int | None) -> list[_Span]:
    return [_Span(*found.span(), place) for found in _compiled(pattern).finditer(flat)]


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _label_pattern(label: str) -> str:
    """Matches a label as it stands, or its words with other signs between them; empty for an empty label."""
    words = _words(label)
    if not words:
        return re.escape(label)
    gaps = re.split("|".join(re.escape(word) for word in words), label)[1:-1]
    loose = re.escape(words[0])
    for gap, word in zip(gaps, words[1:], strict=False):
        loose += rf"[^\w\n+]{{1,{max(len(gap), _SPARE)}}}{re.escape(word)}"
    return rf"(?:{re.escape(label)}|{loose})"


def _words(label: str) -> list[str]:
    """Runs of letters, digits, marks and plus signs, and signs for letters."""
    return "".join(
        c if c == "+" or unicodedata.category(c)[:1] in "LNM" or c >= "\ue000" else " " for c in label
    ).split()


def _range(first: int) -> str:
    return f"{chr(first)}-{chr(first + 25)}"


def _letter(sign: str) -> str:
    code = ord(sign)
    return chr(code - (CALLED if code >= CALLED else BRACKETED) + ord("A"))
