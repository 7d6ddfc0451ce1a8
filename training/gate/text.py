"""What the gate compares: the free text of cases and journeys, its words, and their sequences as hashes."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.generate_differential import Differential

Hashes = NDArray[np.uint64]

_WORD: Final = re.compile(r"[^\W_]+")
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT: Final = np.uint64(32)
_MOST_WORDS: Final = 1_000_000
"""Distinct words whose hashes are kept: some 150 MB."""


def words(text: str) -> list[str]:
    """The words of a text: runs of letters and digits, with case and typographic variants folded."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORD.findall(folded.casefold())


class _Known(dict[str, int]):
    """Word to hash, which is the same on every machine."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_WORDS:
            self.clear()
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        hashed = self[word] = int.from_bytes(digest, "little")
        return hashed


class WordHasher:
    """Hashes texts, and remembers the words that it has seen."""

    def __init__(self) -> None:
        self._known = _Known()

    def __call__(self, text: str) -> Hashes:
        """The words of a text in order, one hash each."""
        in_order = words(text)
        return np.fromiter(map(self._known.__getitem__, in_order), np.uint64, len(in_order))


def ngrams(hashed: Hashes, n: int) -> Hashes:
    """The sequences of n words of a text in order, one hash each.

    A text of fewer words than n is one sequence of all of them; a text without words has none.

    Args:
        hashed: the words' hashes, shape (words,).
        n: words in a sequence.

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
    """Vignette, question and options; the options sorted, so that their order and letters do not count."""
    return "\n".join([stem_of(case), *sorted(case.options.values(), key=words)])


def joined(passages: Sequence[str]) -> str:
    """Passages as one text."""
    return "\n".join(passages)


def reasoning_of(trace: Trace) -> list[str]:
    """The reasoning of a traversal, in order: thoughts, quotes, rationales, reasons, critiques.

    Names of hypotheses are left out: those of the options are the case's own words, repeated at every visit.
    """
    return [text for step in trace.steps for text in step.words]


def remainder_of(trace: Trace) -> list[str]:
    """What replies hold beyond the reasoning, in order, since training data may hold it too.

    It is names of free hypotheses, quotes that are not in the case, the whole of a reply that is no JSON, and
    what a reasoning model thought.
    """
    return [text for step in trace.steps for text in _beyond(step)]


def _beyond(step: Step) -> Iterator[str]:
    if step.thoughts:
        yield step.thoughts
    known = set(step.words)
    if isinstance(step.output, Differential):
        free = [hypothesis.label for hypothesis in step.output.hypotheses if hypothesis.letter is None]
        known.update(free)
        yield from free
    if step.text:
        yield from (text for text in _strings(_read(step.text)) if text and text not in known)


def _read(text: str) -> Any:
    """A reply as JSON; its text if it is none."""
    try:
        return from_json(text)
    except ValueError:
        return text


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
