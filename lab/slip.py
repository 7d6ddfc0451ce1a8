"""A wrong turn that the teacher takes: something read wrongly that puts a wrong candidate in front."""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Literal, NamedTuple

from ddxgraph.lab.solver import Cards, Findings
from ddxgraph.lab.tally import Steps, tallies

SlipKind = Literal["misread", "overlooked"]


class Slip(NamedTuple):
    """What is read wrongly at first, and set right after the reflection that finds it."""

    kind: SlipKind
    """`misread`: the evidence of one candidate counts a finding as its opposite. `overlooked`: the first reading
    of the history passes over a finding."""
    finding: str
    condition: str = ""
    """The candidate whose evidence is misread."""


class Rates(NamedTuple):
    """How often the teacher takes a wrong turn, as probabilities a case; together one at most."""

    misread: float = 0.0
    overlooked: float = 0.0


def slip_of(cards: Cards, findings: Findings, steps: Steps, rates: Rates, rng: Random) -> Slip | None:
    """The slip of a case, if it has one: only such that the case's own evidence refutes what it leads to."""
    draw = rng.random()
    if draw < rates.misread:
        found = list(_misreadings(cards, findings, steps))
    elif draw < rates.misread + rates.overlooked:
        found = list(_oversights(cards, findings, steps))
    else:
        return None
    return rng.choice(found) if found else None


def without(findings: Findings, slip: Slip | None) -> dict[str, bool]:
    """The findings that the first reading gives."""
    passed_over = slip.finding if slip and slip.kind == "overlooked" else None
    return {name: there for name, there in findings.items() if name != passed_over}


def as_misread(condition: str, findings: Findings, slip: Slip | None) -> dict[str, bool]:
    """The findings as the first check of a candidate takes them."""
    wrong = slip.finding if slip and slip.kind == "misread" and slip.condition == condition else None
    return {name: there != (name == wrong) for name, there in findings.items()}


def _misreadings(cards: Cards, findings: Findings, steps: Steps) -> Iterator[Slip]:
    right = _ahead(tallies(cards, findings, steps))
    for condition, card in cards.items():
        for finding in (name for name in card if name in findings):
            slip = Slip("misread", finding, condition)
            found = {
                name: tallies({name: its}, as_misread(name, findings, slip), steps)[name]
                for name, its in cards.items()
            }
            if _ahead(found) not in {right, None}:
                yield slip


def _oversights(cards: Cards, findings: Findings, steps: Steps) -> Iterator[Slip]:
    right = _ahead(tallies(cards, findings, steps))
    for finding in findings:
        slip = Slip("overlooked", finding)
        if _ahead(tallies(cards, without(findings, slip), steps)) != right:
            yield slip


def _ahead(found: Mapping[str, int]) -> str | None:
    """The candidate with the highest tally; None where several have it."""
    most = max(found.values())
    ahead = [name for name, tally in found.items() if tally == most]
    return ahead[0] if len(ahead) == 1 else None
