"""Words that lead off the successful path: another hypothesis, a comparison, a change of mind."""

import re
from collections.abc import Sequence
from typing import Final

from ddxgraph.training.styles.quoting import Name

_TURNS: Final = re.compile(
    r"\b(?:rivals?|alternatives?|competing|competitors?|runner-up|contenders?|unlike|whereas|rather than"
    r"|instead of|(?:more|less|better|worse|rather)(?: \w+){0,3} than|unlikely|improbable"
    r"|(?:less|least) (?:likely|probable)"
    r"|(?:an|the|any|all|every)?other (?:option|hypothes|candidate|diagnos|choice|possibilit|cause)\w*"
    r"|rul(?:e|es|ed|ing)(?: \w+)? out|exclud\w+|refut\w+|eliminat\w+|dismiss\w*|discard\w*|abandon\w*"
    r"|reconsider\w*|re-?(?:read|check|visit|think|thought|weigh|assess|examin)\w*|backtrack\w*"
    r"|(?:go|goes|going|went|gone|look|looking) (?:back|again)|second (?:look|thought|reading|glance)"
    r"|on reflection|(?:at first|initially),? I|I (?:at first|initially|first)|chang\w+ my mind"
    r"|I was wrong|mistake\w*)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"\S.*?(?:[.!?]+[\"')\]]*(?=\s)|$)")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|vs|Dr|St|cf|approx)|\b[A-Z])\.$")


class Detours:
    """Finds sentences that lead off the path.

    Other hypotheses are known by their whole names, whatever the case of their letters, and by their options'
    letters. What a text calls them by other words (an abbreviation, a part of the name) is not found.

    Args:
        names: all the hypotheses of the traversal.
        right: the one that the answer names; None where none does.
    """

    def __init__(self, names: Sequence[Name], right: Name | None) -> None:
        others = [name for name in names if name != right]
        labels = sorted({name.label for name in others}, key=len, reverse=True)
        letters = "".join(name.letter for name in others if name.letter and name.letter != "A")
        wanted = [rf"(?<!\w){re.escape(label)}(?!\w)" for label in labels]
        self._right = re.compile(rf"(?<!\w){re.escape(right.label)}(?!\w)", re.IGNORECASE) if right else None
        self._labels = re.compile("|".join(wanted), re.IGNORECASE) if wanted else None
        self._holding = _holding(labels, right)
        marked = [rf"(?<![\w'-])[{letters}](?![\w'-])"] if letters else []
        if any(name.letter == "A" for name in others):
            marked.append(
                r"(?<![\w'-])A(?=[).,:;]|$| (?:is|was|does|fails|cannot|can|has|and|or|would|but)\b)"
            )
        self._letters = re.compile("|".join(marked)) if marked else None

    def straight(self, text: str) -> str:
        """A text without the sentences that lead off the path."""
        if not text or not self._leaves(text):
            return text
        return " ".join(said for said in _sentences(text) if not self._leaves(said))

    def _leaves(self, said: str) -> bool:
        if _TURNS.search(said) or (self._letters and self._letters.search(said)):
            return True
        if self._holding and self._holding.search(said):
            return True
        rest = self._right.sub(" ", said) if self._right else said
        return bool(self._labels and self._labels.search(rest))


def _holding(labels: Sequence[str], right: Name | None) -> re.Pattern[str] | None:
    """Finds the names that hold the right one: they count, though what they hold does not."""
    held = [label for label in labels if right and right.label.casefold() in label.casefold()]
    return (
        re.compile("|".join(rf"(?<!\w){re.escape(label)}(?!\w)" for label in held), re.IGNORECASE)
        if held
        else None
    )


def _sentences(text: str) -> list[str]:
    """The sentences of a text of one line; an abbreviation ends none."""
    told: list[str] = []
    for found in _SENTENCE.finditer(text):
        if told and _ABBREVIATED.search(told[-1]):
            told[-1] += f" {found.group()}"
        else:
            told.append(found.group())
    return told
