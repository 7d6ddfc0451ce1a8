"""A laboratory case in English, and back."""

import re
from string import ascii_uppercase
from typing import Final, NamedTuple

from ddxgraph.common.errors import BadInput
from ddxgraph.lab.level import Level, Noise
from ddxgraph.lab.solver import Cards, Findings

_WHO: Final = "Findings of the patient: "
_HEAD: Final = "Reference cards, with what each condition typically shows:"
_PRESENT: Final = " present"
_ABSENT: Final = " absent"
_BETWEEN: Final = ", "
_ASKED: Final = (
    "Which condition is most likely? A finding on its card is present in {shown}% of its patients, any other in "
    "{stray}%."
)
_PERCENT: Final = re.compile(
    re.escape(_ASKED).replace(r"\{shown\}", r"(\d+)").replace(r"\{stray\}", r"(\d+)")
)


class Told(NamedTuple):
    """What a vignette tells."""

    findings: dict[str, bool]
    cards: dict[str, tuple[str, ...]]


def vignette(cards: Cards, findings: Findings) -> str:
    """The patient's findings in a sentence, then a card a line."""
    told = [f"{name}{_PRESENT if there else _ABSENT}" for name, there in findings.items()]
    lines = [f"{name}: {_BETWEEN.join(card)}." for name, card in cards.items()]
    return "\n".join((f"{_WHO}{_BETWEEN.join(told)}.", "", _HEAD, *lines))


def options(cards: Cards) -> dict[str, str]:
    """Letter to condition, in the order of the cards."""
    return dict(zip(ascii_uppercase, cards, strict=False))


def question(level: Level) -> str:
    """What is asked, with the generative model in words."""
    return _ASKED.format(shown=round((1 - level.missing) * 100), stray=round(level.misleading * 100))


def read_question(text: str) -> Noise:
    """The generative model that a question states.

    Raises:
        BadInput: it is none of `question`'s.
    """
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise BadInput(
            "this is no laboratory case: its question does not say how patients depart from a card"
        )
    return Noise(missing=(100 - int(match[1])) / 100, misleading=int(match[2]) / 100)


def read_vignette(text: str) -> Told:
    """The findings and cards that a vignette was made of.

    Raises:
        BadInput: it is none of `vignette`'s.
    """
    told, _, rest = text.partition("\n\n")
    head, *lines = rest.split("\n")
    if head != _HEAD or not told.startswith(_WHO) or not told.endswith("."):
        raise BadInput(
            "this is no laboratory case: its findings and reference cards are not where they belong"
        )
    return Told(dict(map(_finding, _split(told.removeprefix(_WHO)))), dict(map(_card, lines)))


def _finding(told: str) -> tuple[str, bool]:
    name, _, state = told.rpartition(" ")
    return name, f" {state}" == _PRESENT


def _card(line: str) -> tuple[str, tuple[str, ...]]:
    name, _, listed = line.partition(": ")
    return name, _split(listed)


def _split(listed: str) -> tuple[str, ...]:
    return tuple(listed.removesuffix(".").split(_BETWEEN))
