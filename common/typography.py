"""Characters of texts: what typography alone makes different, and what could control a terminal. Pure."""

import re
import unicodedata
from typing import Final

DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""Hyphens, dashes and the minus sign, apart from ASCII's hyphen."""
_SIGNS: Final = str.maketrans(
    dict.fromkeys("\u2018\u2019\u2032\u02bc", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb\u2033", '"')
    | dict.fromkeys(DASHES, "-")
)
_UNFIT: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, those that change the direction of writing, and lone surrogates."""


def typed(text: str) -> str:
    """A text as a plain keyboard types it: Unicode NFKC, straight quotes, and a hyphen for every dash.

    Example:
        >>> typed("X\N{NON-BREAKING HYPHEN}linked, Crohn\N{RIGHT SINGLE QUOTATION MARK}s")
        "X-linked, Crohn's"
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)


def is_invisible(character: str) -> bool:
    """Whether a character takes no room: a soft hyphen, a zero-width space or joiner, a mark of direction.

    Example:
        >>> [is_invisible(character) for character in "-\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}"]
        [False, True, True]
    """
    return unicodedata.category(character) == "Cf"


def harmless(text: str) -> str:
    r"""A text without the characters that could control a terminal or turn the direction of writing.

    Example:
        >>> harmless("\x1b]0;owned\x07model")
        ']0;ownedmodel'
    """
    return _UNFIT.sub("", text)


def harmless_json(text: str) -> str:
    """JSON with those characters escaped, so that it says the same."""
    return _UNFIT.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
