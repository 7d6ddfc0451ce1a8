"""What the program knows of a node and of a stop of the graph, and what a stop's node is told.

A node's own file makes one of these records; `ddxgraph.nodes.registry` lists them. Whatever enumerates stops (the
graph, views, styles, the gate) takes them from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:  # these modules import this one
    from ddxgraph.nodes.case import Case
    from ddxgraph.nodes.check_evidence import Weight
    from ddxgraph.nodes.conclude import Conclusion
    from ddxgraph.nodes.consultation import Consultation
    from ddxgraph.nodes.generate_differential import Hypothesis, Refutation
    from ddxgraph.nodes.review_history import Asks, Finding
    from ddxgraph.nodes.settings import Limits

OutputT = TypeVar("OutputT", bound=BaseModel)


_NOTHING: Final[Mapping[str, Any]] = {}


class Standpoint(NamedTuple):
    """What stands at one point of a journey. `graph/replay.py` gives it for each step of a trace."""

    asks: Asks | None = None
    """What the question asks for; None before the first reading."""
    findings: Mapping[str, Finding] = _NOTHING
    """By id, in the order of reading."""
    hypotheses: Mapping[str, Hypothesis] = _NOTHING
    """By id, in the order of the last differential."""
    evidence: Mapping[str, Mapping[str, Weight]] = _NOTHING
    """Hypothesis id to finding id to the last weight."""
    refuted: Mapping[str, Refutation] = _NOTHING
    """By the id of the hypothesis; without those that were revived since."""
    critique: str = ""
    """The last reflection's."""
    conclusion: Conclusion | None = None
    credence: Mapping[str, float] = _NOTHING
    """Hypothesis id to credence in 0..1, in the differential's order; the graph computes it, a node need not."""

    @property
    def ranking(self) -> list[str]:
        """Ids of the hypotheses that are not refuted, by falling credence; equals in the differential's order."""
        standing = [key for key in self.credence if key not in self.refuted]
        return sorted(standing, key=lambda key: -self.credence[key])


class Briefing(NamedTuple):
    """What the graph tells a stop's node."""

    case: Case
    limits: Limits
    now: Standpoint
    standing: Sequence[str] = ()
    """One line a hypothesis for a prompt, the leader first."""
    before: BaseModel | None = None
    """The output of the stop that led here; None at the start, and where that stop settled nothing."""
    spent: bool = False
    """The budget sent the journey here."""


def _learn_nothing(now: Standpoint, output: BaseModel) -> Standpoint:  # noqa: ARG001
    return now


@dataclass(frozen=True, kw_only=True)
class Node(Generic[OutputT]):
    """A node, as traces name it and readers see it."""

    name: str
    """As traces hold it."""
    title: str
    """What readers call it."""
    letter: str
    """Stands for it where a path has one line."""
    colour: str
    """Of the mark on its box in a picture, as `#rrggbb`."""
    output: type[OutputT]
    """What its step settles."""
    words: Callable[[OutputT], Iterable[str]]
    """What of an output is the model's own words, in order: reasoning, quotes, reasons; empty ones may be among
    them. The gate checks them, reviewers and pages show them, training texts quote them. Names of hypotheses are
    left out: those of the options are the case's own words, told at every visit."""
    learn: Callable[[Standpoint, OutputT], Standpoint] = _learn_nothing
    """What stands after an output, given what stood before; the credence is left to the graph."""


@dataclass(frozen=True, kw_only=True)
class Stop(Node[OutputT]):
    """A stop of the graph."""

    room: Callable[[Briefing], int]
    """Most completion tokens of a reply."""
    prompt: str = ""
    """Name of its prompt; the stop's own by default."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", self.prompt or self.name)


@dataclass(frozen=True, kw_only=True)
class TrunkStop(Stop[OutputT]):
    """A stop that a journey makes as a whole, rather than one branch for each hypothesis."""

    think: Callable[[Briefing, Consultation], Awaitable[OutputT]]
    """The node: asks the model and settles an output.

    Raises:
        EngineFailed: the model gave no reply at all.
    """
    errand: str = ""
    """What its call is for, after "no room left"; by default `for` and its name."""
    without_call: Callable[[Briefing], OutputT] | None = None
    """What the stop settles when the budget has no room for its call; None: nothing, and the journey goes on to
    its conclusion."""


AnyNode = Node[Any]
AnyStop = Stop[Any]
