"""Words of a text, and their sequences (n-grams) as 64-bit hashes."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ddxgraph.nodes.case import Case

Hashes = NDArray[np.uint64]

_WORD: Final = re.compile(r"[^\W_]+")
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT: Final = np.uint64(32)
_MOST_WORDS: Final = 1_000_000
"""Distinct words whose hashes are kept: some 150 MB."""


def words(text: str) -> list[str]:
    """Runs of letters and digits, case and typographic variants folded; everything else separates."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(folded.casefold())


class _Known(dict[str, int]):
    """Word to hash; the same in every process and on every machine."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_WORDS:
            self.clear()
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        found = self[word] = int.from_bytes(digest, "little")
        return found


class WordHasher:
    """Hashes texts; remembers the words that it has seen."""

    def __init__(self) -> None:
        self._known = _Known()

    def __call__(self, text: str) -> Hashes:
        """The words of a text, a hash each, in order."""
        found = words(text)
        return np.fromiter(map(self._known.__getitem__, found), np.uint64, len(found))


def ngrams(hashed: Hashes, n: int) -> Hashes:
    """The sequences of n words of a text, a hash each, in order.

    A text of fewer words than n is one sequence of all of them; one without words has none.

    Args:
        hashed: the words' hashes, shape (words,).
        n: words a sequence.

    Returns:
        Shape (max(words - n, 0) + 1,); (0,) where there are no words.
    """
    n = min(n, len(hashed))
    if not n:
        return hashed
    count = len(hashed) - n + 1
    total = np.zeros(count, np.uint64)
    for place in range(n):  # a polynomial modulo 2^64, as arrays of numpy wrap
        total = total * _BASE + hashed[place : place + count]
    return (total ^ (total >> _SHIFT)) * _MIX


def stem_of(case: Case) -> str:
    """Vignette and question of a case."""
    return f"{case.vignette}\n{case.question}"


def question_of(case: Case) -> str:
    """Vignette, question and options; the options by text, so that their order and letters do not matter."""
    return "\n".join([stem_of(case), *sorted(case.options.values(), key=words)])


def joined(passages: Sequence[str]) -> str:
    """Passages as one text."""
    return "\n".join(passages)
