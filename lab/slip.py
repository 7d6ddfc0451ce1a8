"""The teacher's wrong turns: misreadings that put a wrong candidate in the lead."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Literal, NamedTuple

from ddxgraph.lab.solver import Cards, Findings
from ddxgraph.lab.tally import Steps, tallies

SlipKind = Literal["misread", "overlooked"]


class Slip(NamedTuple):
    """A misreading, corrected after the reflection that finds it."""

    kind: SlipKind
    """`misread`: the evidence check of one candidate counts a finding as its opposite. `overlooked`: the first
    reading of the history skips a finding."""
    finding: str
    condition: str = ""
    """The candidate whose evidence is misread."""


class Rates(NamedTuple):
    """Probabilities of a wrong turn in a case; their sum is at most one."""

    misread: float = 0.0
    overlooked: float = 0.0


def slip_of(cards: Cards, findings: Findings, steps: Steps, rates: Rates, rng: Random) -> Slip | None:
    """The slip of a case, if any; only one whose consequence the case's own evidence refutes.

    Args:
        cards: of the candidates.
        findings: of the patient.
        steps: the weight of a finding.
        rates: how often slips occur.
        rng: decides.

    Returns:
        The slip; None for a case without one.
    """
    draw = rng.random()
    if draw < rates.misread:
        possible = list(_misreadings(cards, findings, steps))
    elif draw < rates.misread + rates.overlooked:
        possible = list(_oversights(cards, findings, steps))
    else:
        return None
    return rng.choice(possible) if possible else None


def without(findings: Findings, slip: Slip | None) -> dict[str, bool]:
    """The findings that a reading with this slip gives."""
    skipped = slip.finding if slip and slip.kind == "overlooked" else None
    return {name: there for name, there in findings.items() if name != skipped}


def as_misread(condition: str, findings: Findings, slip: Slip | None) -> dict[str, bool]:
    """The findings as a candidate's evidence check with this slip sees them.

    Args:
        condition: the candidate.
        findings: of the patient.
        slip: the slip, if any.

    Returns:
        Finding to whether it is taken to be present.
    """
    wrong = slip.finding if slip and slip.kind == "misread" and slip.condition == condition else None
    return {name: there != (name == wrong) for name, there in findings.items()}


def _misreadings(cards: Cards, findings: Findings, steps: Steps) -> Iterator[Slip]:
    right = _ahead(tallies(cards, findings, steps))
    for condition, card in cards.items():
        for finding in (name for name in card if name in findings):
            slip = Slip("misread", finding, condition)
            misread = {
                name: tallies({name: its}, as_misread(name, findings, slip), steps)[name]
                for name, its in cards.items()
            }
            if _ahead(misread) not in {right, None}:
                yield slip


def _oversights(cards: Cards, findings: Findings, steps: Steps) -> Iterator[Slip]:
    right = _ahead(tallies(cards, findings, steps))
    for finding in findings:
        slip = Slip("overlooked", finding)
        if _ahead(tallies(cards, without(findings, slip), steps)) != right:
            yield slip


def _ahead(sums: Mapping[str, int]) -> str | None:
    """The candidate with the highest tally; None if several have it."""
    most = max(sums.values())
    ahead = [name for name, tally in sums.items() if tally == most]
    return ahead[0] if len(ahead) == 1 else None
