"""Sentences of a traversal that lead off a path: to another hypothesis, or back. Pure."""

import re
from collections.abc import Sequence
from typing import Final

from ddxgraph.training.styles.quoting import Name

_BACK: Final = (
    r"reconsider\w*|re-?(?:read|check|visit|think|thought|weigh|assess|examin)\w*|backtrack\w*"
    r"|(?:go|goes|going|went|gone|look|looking) (?:back|again)|second (?:look|thought|reading|glance)"
    r"|on reflection|(?:at first|initially),? I|I (?:at first|initially|first)|chang\w+ my mind"
    r"|I was wrong|mistake\w*"
)
"""Words of a change of mind."""
_ASIDE: Final = (
    r"rivals?|alternatives?|competing|competitors?|runner-up|contenders?|unlike|whereas|rather than"
    r"|instead of|(?:more|less|better|worse|rather)(?: \w+){0,3} than|unlikely|improbable"
    r"|(?:less|least) (?:likely|probable)"
    r"|(?:an|the|any|all|every)?other (?:option|hypothes|candidate|diagnos|choice|possibilit|cause)\w*"
    r"|rul(?:e|es|ed|ing)(?: \w+)? out|exclud\w+|refut\w+|eliminat\w+|dismiss\w*|discard\w*|abandon\w*"
)
"""Words of a comparison."""
_TURNS_BACK: Final = re.compile(rf"\b(?:{_BACK})\b", re.IGNORECASE)
_TURNS: Final = re.compile(rf"\b(?:{_ASIDE}|{_BACK})\b", re.IGNORECASE)
_CLAUSE: Final = re.compile(r"\s*[;,:]\s+|\s+[\u2013\u2014-]\s+")
_LEAST_WORDS: Final = 3
"""Fewest words that a clause must have to stand for its sentence."""
_SENTENCE: Final = re.compile(r"\S.*?(?:[.!?]+[\"')\]]*(?=\s)|$)")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|vs|Dr|St|cf|approx)|\b[A-Z])\.$")


class Detours:
    """Finds sentences that lead off the path: to another hypothesis, a comparison, a change of mind.

    Other hypotheses are known by their whole names, in any case, and by their options' letters. Other words for
    them (an abbreviation, a part of the name) are not found.

    Args:
        names: all the hypotheses of the traversal.
        right: the one that the answer names; None where none does.
    """

    def __init__(self, names: Sequence[Name], right: Name | None) -> None:
        others = [name for name in names if name != right]
        labels = sorted({name.label for name in others}, key=len, reverse=True)
        self._right = _any_of([right.label] if right else [])
        self._others = _any_of(labels)
        # A name that holds the right one counts, although the right one within it does not.
        self._longer = _any_of([s for s in labels if right and right.label.casefold() in s.casefold()])
        letters = "".join(name.letter for name in others if name.letter and name.letter != "A")
        marks = [rf"(?<![\w'-])[{letters}](?![\w'-])"] if letters else []
        if any(name.letter == "A" for name in others):
            marks.append(
                r"(?<![\w'-])A(?=[).,:;]|$| (?:is|was|does|fails|cannot|can|has|and|or|would|but)\b)"
            )
        self._letters = re.compile("|".join(marks)) if marks else None

    def straight(self, text: str) -> str:
        """A text without the sentences that lead off the path."""
        if not text or not self._leaves(text):
            return text
        return " ".join(sentence for sentence in _sentences(text) if not self._leaves(sentence))

    def clauses(self, text: str) -> str:
        """The same; where no whole sentence is left, the beginnings of sentences that stay on the path."""
        kept = self.straight(text)
        if kept:
            return kept
        return " ".join(filter(None, (self._beginning(sentence) for sentence in _sentences(text))))

    def _beginning(self, sentence: str) -> str:
        """The clauses of a sentence before the first that leads off the path, as a sentence; empty if too few."""
        end = 0
        for border in _CLAUSE.finditer(sentence):
            if self._leaves(sentence[: border.start()]):
                break
            end = border.start()
        begun = sentence[:end]
        return f"{begun}." if len(begun.split()) >= _LEAST_WORDS else ""

    def _leaves(self, sentence: str) -> bool:
        if any(p.search(sentence) for p in (_TURNS, self._letters, self._longer) if p):
            return True
        rest = self._right.sub(" ", sentence) if self._right else sentence
        return bool(self._others and self._others.search(rest))


def without_turns_back(text: str) -> str:
    """A text without the sentences that speak of a change of mind; those that compare hypotheses stay."""
    if not _TURNS_BACK.search(text):
        return text
    return " ".join(sentence for sentence in _sentences(text) if not _TURNS_BACK.search(sentence))


def _any_of(labels: Sequence[str]) -> re.Pattern[str] | None:
    """Finds any of some names as whole words; None for no names."""
    alternatives = "|".join(rf"(?<!\w){re.escape(label)}(?!\w)" for label in labels)
    return re.compile(alternatives, re.IGNORECASE) if labels else None


def _sentences(text: str) -> list[str]:
    """The sentences of a text of one line; an abbreviation ends none."""
    sentences: list[str] = []
    for match in _SENTENCE.finditer(text):
        if sentences and _ABBREVIATED.search(sentences[-1]):
            sentences[-1] += f" {match.group()}"
        else:
            sentences.append(match.group())
    return sentences
