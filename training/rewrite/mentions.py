"""Finds hypotheses by name in free prose; `quoting.Mentions` reads our own templates.

A text is put into a plain form (NFKC, case folded, one kind of dash, no Markdown emphasis, one line per
paragraph). Each mention in it becomes one private-use character, its sign.

A hypothesis is mentioned by its whole label, or by `option B` or `choice B` with a capital letter. A letter alone
may be an article, a vitamin or a list item, and mentions nothing. Hyphens, commas and brackets between the words
of a label do not matter. The longest mention counts: "bacterial pneumonia" does not mention "pneumonia". If two
labels have the same words, only the letter tells them apart. A label made only of words of our templates ("be")
needs its letter or quotation marks.
"""

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from ddxgraph.nodes.generate_differential import name_key
from ddxgraph.training.styles.phrases import our_words
from ddxgraph.training.styles.quoting import Name

_BRACKETED, _CALLED, _QUOTE, _NAMES = 0xE000, 0xE020, "\ue0ff", 0xE100
"""Signs of `(A)`, `option A`, any quoted finding, and the first name; further letters and names follow these."""
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
    """Labels next to another option's letter, each once."""


def plain(text: str) -> str:
    """The form in which texts and labels are compared; an option's letter becomes a sign, which has no case."""
    text = unicodedata.normalize("NFKC", _PRIVATE.sub(" ", text)).translate(_FOLDED)
    text = _LETTER.sub(lambda m: _sign(_BRACKETED, m[1]) if m[1] else _sign(_CALLED, m[2]), text)
    return "\n".join(" ".join(part.casefold().split()) for part in re.split(r"\n\s*\n", text))


class Namer:
    """Finds the hypotheses of one journey.

    Args:
        names: the hypotheses, each once.
        quotes: the case's findings. A finding in quotation marks mentions no hypothesis.
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
        """Mark a text's mentions. Where two overlap, the surer one counts, then the longer one."""
        flat = plain(text)
        taken = bytearray(len(flat))
        mentions: list[tuple[int, int, str]] = []
        for rank in self._ranks:
            spans = [(*match.span(), sign) for pattern, sign in rank for match in pattern.finditer(flat)]
            for start, end, sign in sorted(spans, key=lambda span: (span[0] - span[1], span)):
                if not any(taken[start:end]):
                    taken[start:end] = b"\1" * (end - start)
                    mentions.append((start, end, sign))
        text, done, misnamed = "", 0, dict[str, None]()
        for start, end, sign in sorted(mentions):
            text, done = f"{text}{flat[done:start]}{sign}", end
            if sign != _QUOTE and self._is_misnamed(self.name(sign), flat, start, end):
                misnamed[self.name(sign).label] = None
        return Marked(text + flat[done:], [*misnamed])

    def _is_misnamed(self, name: Name, flat: str, start: int, end: int) -> bool:
        """Whether another option's letter stands beside a mention."""
        own = {_sign(first, name.letter) for first in (_BRACKETED, _CALLED) if name.letter}
        beside = (_FOLLOWS.match(flat, end), _LEADS.search(flat, max(start - 4, 0), start))
        return any(match and match[1] not in own for match in beside) and any(
            each.letter for each in self._names
        )


def _sign(first: int, letter: str) -> str:
    return chr(first + ord(letter) - ord("A"))


def _in_quotes(pattern: str) -> str:
    return f'["\u201c]{pattern}["\u201d]'


def _loosely(label: str, key: Sequence[str]) -> str:
    """Matches a label as it stands, or its words with up to 3 other characters between them."""
    loose = r"[^\w\n+]{1,3}".join(map(re.escape, key))
    return f"(?:{re.escape(label)}|{loose})" if key else re.escape(label)
