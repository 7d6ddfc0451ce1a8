"""What the teacher says at each stop: pure functions of what it was told and of its slip."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ddxgraph.lab.level import Noise
from ddxgraph.lab.slip import Slip, as_misread, without
from ddxgraph.lab.solver import Cards, Findings, leaders, posterior
from ddxgraph.lab.tally import Steps, steps_of, strength, tallies, tally

Reply = Mapping[str, Any]
"""As the form of the stop's reply has it."""


class Lesson(NamedTuple):
    """A case as the teacher walks it, and where it is on the way."""

    options: Mapping[str, str]
    """Letter to condition."""
    cards: Cards
    findings: Findings
    """As the case tells them."""
    noise: Noise
    slip: Slip | None
    again: bool
    """A reflection has found the slip."""
    listed: Sequence[str]
    """Findings that the readings of the history have given so far, in their order: F1, F2, ..."""

    @property
    def steps(self) -> Steps:
        """The weight of a finding."""
        return steps_of(self.noise)

    @property
    def due(self) -> Slip | None:
        """The slip, while nothing has found it."""
        return None if self.again else self.slip

    @property
    def read(self) -> dict[str, bool]:
        """The findings as they have been read so far."""
        return without(self.findings, self.due)

    def seen_for(self, condition: str) -> dict[str, bool]:
        """The findings as a check of this candidate takes them."""
        return as_misread(condition, self.read, self.due)


def review_history(lesson: Lesson) -> Reply:
    """The findings; of a second reading, what the first one passed over."""
    told = {name: there for name, there in lesson.read.items() if name not in lesson.listed}
    return {"reasoning": "", "asks": "diagnosis", "findings": [_noted(*one) for one in told.items()]}


def generate_differential(lesson: Lesson) -> Reply:
    """The options, each as likely as the others."""
    prior = 100 // len(lesson.options)
    options = {letter: {"rationale": "", "prior": prior} for letter in lesson.options}
    return {"reasoning": "", "options": options, "others": []}


def check_evidence(lesson: Lesson, letter: str) -> Reply:
    """The card of a candidate, held against the findings."""
    condition = lesson.options[letter]
    card, seen = lesson.cards[condition], lesson.seen_for(condition)
    told = [name for name in card if name in seen]
    return {
        "reasoning": f"Its card, summed up: {_summed_up(card, seen, lesson.steps)}.",
        "weights": [_weight(lesson, name, strength(name, seen, lesson.steps)) for name in told]
        or [_weight(lesson, lesson.listed[0], 0)],
        "missing": "",
    }


def reflect(lesson: Lesson) -> Reply:
    """The sums side by side; and what was read wrongly, if anything was."""
    sums = {
        letter: tally(lesson.cards[name], lesson.seen_for(name), lesson.steps)
        for letter, name in lesson.options.items()
    }
    said = "Sums: " + ", ".join(f"{letter} {_signed(total)}" for letter, total in sums.items()) + "."
    slip = lesson.due
    if slip is None:
        return {"critique": said, "refuted": [], "verdict": "conclude", "targets": []}
    state = _state(slip.finding, lesson.findings)
    if slip.kind == "overlooked":
        found = f"But {slip.finding}, {state} in the case, was overlooked."
        return {"critique": f"{said} {found}", "refuted": [], "verdict": "reread_history", "targets": []}
    letter = next(letter for letter, name in lesson.options.items() if name == slip.condition)
    found = f"But {slip.finding} is {state} in the case, and was misread for {letter}."
    return {
        "critique": f"{said} {found}",
        "refuted": [],
        "verdict": "recheck_evidence",
        "targets": [letter],
    }


def conclude(lesson: Lesson) -> Reply:
    """The likeliest candidate, by the exact solver."""
    likeliest, _ = leaders(posterior(lesson.cards, lesson.findings, lesson.noise))
    letter = next(letter for letter, name in lesson.options.items() if name == likeliest)
    total = tallies(lesson.cards, lesson.findings, lesson.steps)[likeliest]
    return {"justification": f"Most speaks for {letter}: {_signed(total)}.", "answer": letter}


def _noted(name: str, there: bool) -> Reply:
    kind = "symptom" if there else "pertinent_negative"
    return {"quote": name, "kind": kind, "polarity": "present" if there else "absent", "salience": 2}


def _weight(lesson: Lesson, name: str, said: int) -> Reply:
    return {"finding": f"F{lesson.listed.index(name) + 1}", "reason": "", "strength": said}


def _summed_up(card: Sequence[str], seen: Findings, steps: Steps) -> str:
    """What is on a card, each with its state and the sum so far."""
    sums = (tally(card[:place], seen, steps) for place in range(1, len(card) + 1))
    return ", ".join(
        f"{name} {_state(name, seen)} {_signed(total)}" for name, total in zip(card, sums, strict=True)
    )


def _state(name: str, findings: Findings) -> str:
    if name not in findings:
        return "not mentioned"
    return "present" if findings[name] else "absent"


def _signed(total: int) -> str:
    return f"{total:+d}" if total else "0"
