"""Whether two free-form answers say the same, letter for letter once writing habits are taken off."""

import re
import unicodedata
from typing import Final

MATCH: Final = "1"
"""Version of the rule; stands in every report beside the scorer's."""

_RAISED: Final = {ord(sign): f"^{unicodedata.digit(sign)}" for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹"}
"""NFKC alone would make 10⁵ the same as 105."""
_DASH: Final = {"Pd": "-"}
_MINUS: Final = "\N{MINUS SIGN}"
_LEADING: Final = re.compile(r"\A(\W*)(?:(?:an?|the)\s+)+(?=\S)")
_APOSTROPHES: Final = frozenset("'`\u2018\u2019\u00b4\u02bc")
_IN_NUMBERS: Final = frozenset(".,:/-")


def normalised(text: str) -> str:
    """An answer without the habits of writing that mean nothing; nothing in it is guessed.

    In this order: raised digits become `^` and the digit; Unicode NFKC; case folded; every dash a hyphen; the
    articles `a`, `an` and `the` at the beginning (with white space behind them) and `the` elsewhere are dropped;
    apostrophes are dropped; any other punctuation becomes a space, but for `%`, and for `. , : / -` before a
    digit and not behind a letter (`2.5`, `-5`, `1/2` keep theirs, `COVID-19` does not); white space becomes one
    space.

    An `a` elsewhere stays: hepatitis A is not hepatitis. Spelling, word order, plurals, synonyms and
    abbreviations are left as they are: those are for a judge.
    """
    text = unicodedata.normalize("NFKC", text.translate(_RAISED)).casefold()
    text = unicodedata.normalize("NFKC", text)  # folding may leave what NFKC would compose
    text = "".join("-" if c == _MINUS else _DASH.get(unicodedata.category(c), c) for c in text)
    text = _LEADING.sub(r"\1", text)
    kept = (_kept(text, place) for place in range(len(text)))
    return " ".join(word for word in "".join(kept).split() if word != "the")


def same(answer: str, gold: str) -> bool:
    """Whether two answers are the same once normalised; what normalises to nothing is the same as nothing."""
    said = normalised(answer)
    return bool(said) and said == normalised(gold)


def _kept(text: str, place: int) -> str:
    """What becomes of a character at its place."""
    sign = text[place]
    if sign in _APOSTROPHES:
        return ""
    if sign == "%" or not unicodedata.category(sign).startswith("P"):
        return sign
    before, after = text[max(place - 1, 0) : place], text[place + 1 : place + 2]
    return sign if sign in _IN_NUMBERS and after.isdigit() and not before.isalpha() else " "
