"""The teacher's reply at each stop: pure functions of the case and of the slip."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ddxgraph.lab.level import Noise
from ddxgraph.lab.slip import Slip, as_misread, without
from ddxgraph.lab.solver import Cards, Findings, leaders, posterior
from ddxgraph.lab.tally import Steps, steps_of, strength, tallies, tally

Reply = Mapping[str, Any]
"""In the form of the stop's reply."""


class Lesson(NamedTuple):
    """A case on its way through the graph, as the teacher sees it."""

    options: Mapping[str, str]
    """Letter to condition."""
    cards: Cards
    findings: Findings
    """As the case states them."""
    noise: Noise
    slip: Slip | None
    again: bool
    """A reflection has already found the slip."""
    listed: Sequence[str]
    """Findings that earlier readings of the history gave, in order: F1, F2, ..."""

    @property
    def steps(self) -> Steps:
        """The weight of a finding."""
        return steps_of(self.noise)

    @property
    def due(self) -> Slip | None:
        """The slip, until a reflection finds it."""
        return None if self.again else self.slip

    @property
    def read(self) -> dict[str, bool]:
        """The findings as read so far."""
        return without(self.findings, self.due)

    def seen_for(self, condition: str) -> dict[str, bool]:
        """The findings as the check of a candidate sees them."""
        return as_misread(condition, self.read, self.due)


def review_history(lesson: Lesson) -> Reply:
    """The findings; at a second reading, those that the first one skipped."""
    unread = [(name, present) for name, present in lesson.read.items() if name not in lesson.listed]
    return {"reasoning": "", "asks": "diagnosis", "findings": [_noted(*finding) for finding in unread]}


def generate_differential(lesson: Lesson) -> Reply:
    """The options, all equally likely."""
    prior = 100 // len(lesson.options)
    options = {letter: {"rationale": "", "prior": prior} for letter in lesson.options}
    return {"reasoning": "", "options": options, "others": []}


def check_evidence(lesson: Lesson, letter: str) -> Reply:
    """The card of a candidate, compared with the findings."""
    condition = lesson.options[letter]
    card, seen = lesson.cards[condition], lesson.seen_for(condition)
    mentioned = [name for name in card if name in seen]
    return {
        "reasoning": f"Its card, summed up: {_summed_up(card, seen, lesson.steps)}.",
        "weights": [_weight(lesson, name, strength(name, seen, lesson.steps)) for name in mentioned]
        or [_weight(lesson, lesson.listed[0], 0)],
        "missing": "",
    }


def reflect(lesson: Lesson) -> Reply:
    """The sums side by side, and what was read wrongly, if anything."""
    sums = {
        letter: tally(lesson.cards[name], lesson.seen_for(name), lesson.steps)
        for letter, name in lesson.options.items()
    }
    critique = "Sums: " + ", ".join(f"{letter} {_signed(total)}" for letter, total in sums.items()) + "."
    slip = lesson.due
    if slip is None:
        return {"critique": critique, "refuted": [], "verdict": "conclude", "targets": []}
    state = _state(slip.finding, lesson.findings)
    if slip.kind == "overlooked":
        critique += f" But {slip.finding}, {state} in the case, was overlooked."
        return {"critique": critique, "refuted": [], "verdict": "reread_history", "targets": []}
    letter = next(letter for letter, name in lesson.options.items() if name == slip.condition)
    critique += f" But {slip.finding} is {state} in the case, and was misread for {letter}."
    return {"critique": critique, "refuted": [], "verdict": "recheck_evidence", "targets": [letter]}


def conclude(lesson: Lesson) -> Reply:
    """The likeliest candidate, by the exact solver."""
    likeliest, _ = leaders(posterior(lesson.cards, lesson.findings, lesson.noise))
    letter = next(letter for letter, name in lesson.options.items() if name == likeliest)
    total = tallies(lesson.cards, lesson.findings, lesson.steps)[likeliest]
    return {"justification": f"Most speaks for {letter}: {_signed(total)}.", "answer": letter}


def _noted(name: str, present: bool) -> Reply:
    kind = "symptom" if present else "pertinent_negative"
    return {"quote": name, "kind": kind, "polarity": "present" if present else "absent", "salience": 2}


def _weight(lesson: Lesson, name: str, steps: int) -> Reply:
    return {"finding": f"F{lesson.listed.index(name) + 1}", "reason": "", "strength": steps}


def _summed_up(card: Sequence[str], seen: Findings, steps: Steps) -> str:
    """The findings of a card, each with its state and the running sum."""
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
