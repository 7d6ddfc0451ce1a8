"""Finds hypotheses by name in free prose; `embedding.Mentions` reads our own templates.

A text is put into a plain form (NFKC, case folded, one kind of dash, no Markdown emphasis, a line a paragraph),
and each mention in it becomes one private-use character, its sign.

A hypothesis is mentioned by its whole label, or by `option B` or `choice B` with a capital letter. A bare letter
is no mention: it may be an article, a vitamin or an item of a list. Hyphens, commas and brackets between the
words of a label do not matter. The longest mention counts: "pneumonia" within "bacterial pneumonia" is none.
Where two labels have the same words, only the letter tells them apart. A label that holds only words of our
templates ("be") needs its letter or quotation marks.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from ddxgraph.nodes.generate_differential import name_key
from ddxgraph.training.styles.phrases import our_words
from ddxgraph.training.styles.quoting import Name

_BRACKETED, _CALLED, _QUOTE, _NAMES = 0xE000, 0xE020, "\ue0ff", 0xE100
"""Signs: the first of `(A)`, the first of `option A`, a quoted finding, the first of the names in their order."""
NAME: Final = "[\ue100-\uf8ff]"
"""Matches one mention in a marked text."""

_FOLDED: Final = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        **dict.fromkeys("\u2018\u2019", "'"),
        **dict.fromkeys("\u201e\u201f", "\u201c"),
        "\u2015": "\u2014",
        **dict.fromkeys("*`\u00ad\u200b\u200c\u200d\u2060"),
    }
)
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]+")
_LETTER: Final = re.compile(r"\(([A-Z])\)|\b(?:[Oo]ption|[Cc]hoice) ([A-Z])(?![\w'])")
_FOLLOWS: Final = re.compile(' ?[,(\u201d"]{0,2} ?([\ue000-\ue039])')
_LEADS: Final = re.compile("([\ue020-\ue039])[,:(]? ?$")


class Marked(NamedTuple):
    """A text in plain form, each mention one sign."""

    text: str
    misnamed: Sequence[str]
    """Labels that stand with the letter of another option, each once."""


def plain(text: str) -> str:
    """The form in which texts and labels are compared; option letters become signs, which have no case."""
    text = unicodedata.normalize("NFKC", _PRIVATE.sub(" ", text)).translate(_FOLDED)
    text = _LETTER.sub(lambda m: _sign(_BRACKETED, m[1]) if m[1] else _sign(_CALLED, m[2]), text)
    return "\n".join(" ".join(part.casefold().split()) for part in re.split(r"\n\s*\n", text))


class Namer:
    """Finds the names of one journey.

    Args:
        names: the hypotheses, each once.
        quotes: findings of the case: one of them in quotation marks mentions nothing.
    """

    def __init__(self, names: Sequence[Name], quotes: Collection[str] = ()) -> None:
        self._names = names
        labels = [plain(name.label) for name in names]
        keys = [name_key(label).split() for label in labels]
        sure, likely = [], []
        for place, (name, label, key) in enumerate(zip(names, labels, keys, strict=True)):
            sign, words = chr(_NAMES + place), _loosely(label, key)
            if name.letter:
                sure.append((f"{words} ?{_sign(_BRACKETED, name.letter)}", sign))
                likely.append((_sign(_CALLED, name.letter), sign))
            if not label:
                sure.append(("\u201c\u201d", sign))
            elif keys.count(key) == 1:
                sure.append((_in_quotes(words), sign))
                if not key or not our_words().issuperset(key):
                    likely.append((rf"(?<![^\W_+]){words}(?![^\W_]|\+)", sign))
        findings = {plain(quote) for quote in quotes} - {*labels, ""}
        quoted = [(_in_quotes(re.escape(finding)), _QUOTE) for finding in findings]
        self._ranks = [
            [(re.compile(pattern), sign) for pattern, sign in rank] for rank in (sure, quoted, likely)
        ]

    def sign(self, name: Name) -> str:
        """The sign of a hypothesis in a marked text."""
        return chr(_NAMES + self._names.index(name))

    def name(self, sign: str) -> Name:
        """The hypothesis that a sign stands for."""
        return self._names[ord(sign) - _NAMES]

    def mentioned(self, text: str) -> set[Name]:
        """The hypotheses that a text names."""
        return {self.name(sign) for sign in re.findall(NAME, self.marked(text).text)}

    def marked(self, text: str) -> Marked:
        """Mark a text's mentions: the surest first, of equally sure ones the longest; none overlaps another."""
        flat = plain(text)
        taken = bytearray(len(flat))
        parts: list[tuple[int, int, str]] = []
        for rank in self._ranks:
            spans = [(*match.span(), sign) for pattern, sign in rank for match in pattern.finditer(flat)]
            for start, end, sign in sorted(spans, key=lambda span: (span[0] - span[1], span)):
                if not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    parts.append((start, end, sign))
        text, done, misnamed = "", 0, {}
        for start, end, sign in sorted(parts):
            text, done = f"{text}{flat[done:start]}{sign}", end
            if sign != _QUOTE:
                misnamed.update(dict.fromkeys(self._misnamed(flat, start, end, self.name(sign))))
        return Marked(text + flat[done:], [*misnamed])

    def _misnamed(self, flat: str, start: int, end: int, name: Name) -> Iterator[str]:
        """The label of a mention beside which another letter stands."""
        if any(other.letter for other in self._names):
            for beside in (_FOLLOWS.match(flat, end), _LEADS.search(flat, max(start - 4, 0), start)):
                if beside and (ord(beside[1]) - _BRACKETED) % 32 != ord(name.letter or "\0") - ord("A"):
                    yield name.label


def _sign(first: int, letter: str) -> str:
    return chr(first + ord(letter) - ord("A"))


def _in_quotes(pattern: str) -> str:
    return f'["\u201c]{pattern}["\u201d]'


def _loosely(label: str, key: Sequence[str]) -> str:
    """Matches a label as it stands, or its words with up to 3 other characters between them."""
    loose = r"[^\w\n+]{1,3}".join(map(re.escape, key))
    return f"(?:{re.escape(label)}|{loose})" if key else re.escape(label)
