"""Laboratory cases: drawn from the generative model by a seed, solved, and put into words."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from itertools import combinations, count
from random import Random
from typing import Final, Literal, NamedTuple, get_args

from ddxgraph.common.errors import BadInput
from ddxgraph.lab.knowledge import Condition, Knowledge
from ddxgraph.lab.level import Level
from ddxgraph.lab.solver import Cards, Findings, chance, leaders, posterior
from ddxgraph.lab.wording import options, question, vignette
from ddxgraph.nodes.case import Case

SplitName = Literal["train", "dev", "test"]
SPLITS: Final[tuple[SplitName, ...]] = get_args(SplitName)

_SHARES: Final = {"train": range(160), "dev": range(160, 192), "test": range(192, 256)}
"""First byte of the hash of a findings set to the split that the set belongs to."""
_TRIES: Final = 20_000
"""Draws of one case before its level counts as impossible."""


class LabCase(NamedTuple):
    """A case and all that is known about it. A model may see only `case`."""

    case: Case
    level: Level
    cards: Cards
    findings: Findings
    truth: str
    """The condition that the findings were drawn from."""
    shares: Mapping[str, float]
    """Posterior probability of each candidate, in the order of the options."""

    @property
    def gold(self) -> str:
        """Letter of the likeliest candidate."""
        likeliest, _ = leaders(self.shares)
        return next(letter for letter, name in self.case.options.items() if name == likeliest)


class Draw(NamedTuple):
    """A choice of cases; the same draw gives the same cases on every machine."""

    knowledge: Knowledge
    level: Level
    split: SplitName = "train"
    seed: int = 0


def lab_cases(draw: Draw) -> Iterator[LabCase]:
    """Draw cases without end. No set of findings comes twice, and the gold letters take turns.

    A set of findings (which are present, which are absent) belongs to one split, by its hash. So no case
    shares it with a case of another split, whatever the seeds and levels.

    Raises:
        BadInput: hardly any draw fits the level's parameters.
    """
    seen: set[str] = set()
    for number in count():
        case = _drawn(draw, number, seen)
        seen.add(findings_key(case.findings))
        yield case


def findings_key(findings: Findings) -> str:
    """SHA-256 (hex) of a set of findings."""
    lines = sorted(f"{name}: {'present' if present else 'absent'}" for name, present in findings.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def split_of(findings: Findings) -> SplitName:
    """The split that a set of findings belongs to."""
    first = int(findings_key(findings)[:2], 16)
    return next(name for name in SPLITS if first in _SHARES[name])


def _drawn(draw: Draw, number: int, seen: Collection[str]) -> LabCase:
    """The first patient, by this number's own random numbers, in the split and with one clear answer."""
    level = draw.level
    rng = Random(f"{draw.seed}/{level.number}/{draw.split}/{number}")  # noqa: S311 - to be repeated, not secret
    for _ in range(_TRIES):
        cards = _cards(draw.knowledge, level, rng)
        if cards is None:
            continue
        truth, findings = _patient(cards, level, rng)
        if split_of(findings) != draw.split or findings_key(findings) in seen:
            continue
        shares = posterior(cards, findings, level.noise)
        likeliest, lead = leaders(shares)
        if lead >= level.margin:
            order = _placed(list(cards), likeliest, number, rng)
            ordered = {name: cards[name] for name in order}
            case = _case(draw, number, ordered, findings)
            return LabCase(case, level, ordered, findings, truth, {name: shares[name] for name in order})
    raise BadInput(f"level {level.number}: no case in {_TRIES} draws; its parameters leave hardly any")


def _cards(knowledge: Knowledge, level: Level, rng: Random) -> dict[str, tuple[str, ...]] | None:
    """Candidates and their cards; None if they overlap too little or too much, or have too few findings."""
    able: list[Condition] = [each for each in knowledge.conditions if len(each.findings) >= level.card]
    chosen = rng.sample(able, level.candidates)
    cards = {each.name: tuple(rng.sample(each.findings, level.card)) for each in chosen}
    pairs = list(combinations(map(set, cards.values()), 2))
    share = sum(len(a & b) for a, b in pairs) / len(pairs) / level.card
    least, most = level.overlap
    on_cards = set().union(*cards.values())
    return cards if least <= share <= most and len(on_cards) >= level.findings else None


def _patient(cards: Cards, level: Level, rng: Random) -> tuple[str, dict[str, bool]]:
    """A condition and the findings of a patient who has it."""
    truth = rng.choice(list(cards))
    asked = rng.sample(sorted(set().union(*cards.values())), level.findings)
    findings = {}
    for finding in asked:
        findings[finding] = rng.random() < chance(cards[truth], finding, level.noise)
    return truth, findings


def _placed(names: list[str], gold: str, number: int, rng: Random) -> list[str]:
    """The candidates in an order that gives the gold answer this case's letter."""
    others = [name for name in names if name != gold]
    rng.shuffle(others)
    place = number % len(names)
    return [*others[:place], gold, *others[place:]]


def _case(draw: Draw, number: int, cards: Cards, findings: Findings) -> Case:
    return Case(
        id=f"ddxlab-{draw.split}-{draw.level.number}-{draw.seed}-{number}",
        vignette=vignette(cards, findings),
        question=question(draw.level),
        options=options(cards),
        source="ddxlab",
        split=draw.split,
    )
