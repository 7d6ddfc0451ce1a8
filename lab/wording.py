"""A laboratory case in English, and back."""

import re
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, NamedTuple

from ddxgraph.lab.level import Level
from ddxgraph.lab.solver import Cards, Findings

_HEAD: Final = "Reference cards, with what each condition typically shows:"
_BETWEEN: Final = re.compile(r", | and | or ")
_SENTENCE: Final = re.compile(r"(?:A|The) patient (has|does not have) (.+)\.")


class Told(NamedTuple):
    """What a vignette tells."""

    findings: dict[str, bool]
    cards: dict[str, tuple[str, ...]]


def vignette(cards: Cards, findings: Findings) -> str:
    """The patient's findings in one or two sentences, then a card a line."""
    present = [name for name, there in findings.items() if there]
    absent = [name for name, there in findings.items() if not there]
    sentences = [f"A patient has {_listed(present)}."] if present else []
    if absent:
        who = "The patient" if present else "A patient"
        sentences.append(f"{who} does not have {_listed(absent, 'or')}.")
    lines = [f"{name}: {_listed(card)}." for name, card in cards.items()]
    return "\n".join((" ".join(sentences), "", _HEAD, *lines))


def options(cards: Cards) -> dict[str, str]:
    """Letter to condition, in the order of the cards."""
    return dict(zip(ascii_uppercase, cards, strict=False))


def question(level: Level) -> str:
    """What is asked, with the generative model in words."""
    shown, stray = round((1 - level.missing) * 100), round(level.misleading * 100)
    return (
        f"Which condition is most likely? Of patients with a condition, {shown}% show a given finding of its "
        f"card and {stray}% a given other finding."
    )


def read_vignette(text: str) -> Told:
    """The findings and cards that a vignette was made of.

    Raises:
        ValueError: it is none of `vignette`'s.
    """
    told, _, rest = text.partition("\n\n")
    head, *lines = rest.split("\n")
    if head != _HEAD:
        raise ValueError(
            "this is no laboratory case: its findings and reference cards are not where they belong"
        )
    findings: dict[str, bool] = {}
    for sentence in told.replace(". ", ".\n").split("\n"):
        match = _SENTENCE.fullmatch(sentence)
        if match is None:
            raise ValueError(f"this is no laboratory case: {sentence!r} tells of no finding")
        findings |= dict.fromkeys(_BETWEEN.split(match[2]), match[1] == "has")
    return Told(findings, dict(map(_card, lines)))


def _card(line: str) -> tuple[str, tuple[str, ...]]:
    name, _, listed = line.partition(": ")
    return name, tuple(_BETWEEN.split(listed.removesuffix(".")))


def _listed(names: Sequence[str], before_last: str = "and") -> str:
    *most, last = names
    return f"{', '.join(most)} {before_last} {last}" if most else last
