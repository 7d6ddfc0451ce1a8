"""The events of a journey: what happens in it, in the order walked, without prompts, costs or credences."""

from dataclasses import dataclass, field
from typing import Literal

from ddxgraph.nodes.check_evidence import Strength
from ddxgraph.nodes.review_history import Asks, FindingKind, Polarity, Salience
from ddxgraph.training.styles.quoting import Name

Why = Literal["doubt", "all_refuted", "too_close", "nothing_to_recheck"]
"""What sent the journey back: the model's own doubt, or a rule of the graph."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the question asks for."""

    asks: Asks


@dataclass(frozen=True, slots=True)
class Thought:
    """A thought: the reasoning at a stop, a reflection's critique, or the justification at the end."""

    stop: str
    """Its name."""
    text: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A finding is noted."""

    quote: str
    polarity: Polarity
    kind: FindingKind | None = field(default=None, compare=False)
    """Told by `longstep` alone, as is the salience."""
    salience: Salience | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Named:
    """A hypothesis joins the differential, or gets another prior or rationale."""

    hypothesis: Name
    percent: int
    """Prior as stated, 1 to 99; relative to the others."""
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class Revived:
    """All hypotheses had been refuted: they stand again."""


@dataclass(frozen=True, slots=True)
class Checked:
    """The evidence on a hypothesis is taken up; the weights that follow are about it."""

    hypothesis: Name


@dataclass(frozen=True, slots=True)
class Weighed:
    """What a finding says about the hypothesis under test."""

    finding: str
    """The finding's quote; empty for the case as a whole."""
    strength: Strength
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """What would settle the hypothesis under test."""

    text: str


@dataclass(frozen=True, slots=True)
class Refuted:
    """A hypothesis is given up."""

    hypothesis: Name
    because: str = ""


@dataclass(frozen=True, slots=True)
class WentBack:
    """A backtrack."""

    to: str
    """Name of the stop."""
    targets: tuple[Name, ...] = ()
    """The hypotheses whose evidence is rechecked."""
    why: Why = "doubt"


@dataclass(frozen=True, slots=True)
class Halted:
    """The budget ended the journey."""

    limit: Literal["backtracks", "room"]
    """Backtracks were spent, or tokens or calls."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """The answer."""

    answer: str
    """An option's letter; words in a free-form case."""


Event = (
    Asked
    | Thought
    | Noted
    | Named
    | Revived
    | Checked
    | Weighed
    | Missing
    | Refuted
    | WentBack
    | Halted
    | Concluded
)
Journey = tuple[Event, ...]
"""Every text in it is folded (`quoting`)."""
