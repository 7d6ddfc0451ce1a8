"""The record of a node or a stop, and what a stop's node is given.

Each node's module makes its own record, and `ddxgraph.nodes.registry` lists them. Everything that enumerates
stops (the graph, views, styles, the gate) reads the registry.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

if TYPE_CHECKING:  # these modules import this one
    from ddxgraph.nodes.call.consultation import Consultation
    from ddxgraph.nodes.case import Case
    from ddxgraph.nodes.check_evidence import Weight
    from ddxgraph.nodes.conclude import Conclusion
    from ddxgraph.nodes.generate_differential import Hypothesis, Refutation
    from ddxgraph.nodes.review_history import Asks, Finding
    from ddxgraph.nodes.settings import Limits

OutputT = TypeVar("OutputT", bound=BaseModel)


_NOTHING: Final[Mapping[str, Any]] = {}


class Standpoint(NamedTuple):
    """What is known at one point of a journey. `graph.replay` gives it for each step of a trace."""

    asks: Asks | None = None
    """What the question asks for; None before the first review of the history."""
    findings: Mapping[str, Finding] = _NOTHING
    """By id, in order of appearance."""
    hypotheses: Mapping[str, Hypothesis] = _NOTHING
    """By id, in the order of the last differential."""
    evidence: Mapping[str, Mapping[str, Weight]] = _NOTHING
    """Hypothesis id to finding id to the last weight."""
    refuted: Mapping[str, Refutation] = _NOTHING
    """By hypothesis id; without hypotheses that have been revived."""
    critique: str = ""
    """That of the last reflection."""
    conclusion: Conclusion | None = None
    credence: Mapping[str, float] = _NOTHING
    """Hypothesis id to credence in 0..1, in the order of the differential. The graph computes it."""

    @property
    def ranking(self) -> list[str]:
        """Ids of the hypotheses that stand, by falling credence; equals in the order of the differential."""
        standing = [key for key in self.credence if key not in self.refuted]
        return sorted(standing, key=lambda key: -self.credence[key])


class Briefing(NamedTuple):
    """What the graph gives a stop's node."""

    case: Case
    limits: Limits
    now: Standpoint
    standing: Sequence[str] = ()
    """One line per hypothesis for a prompt, the leader first."""
    before: BaseModel | None = None
    """The output of the previous stop on the trunk; None at the start, or if that stop had none. An expert's edit
    is no stop."""
    spent: bool = False
    """Whether a spent budget led here."""
    again: bool = False
    """Whether this stop was visited before."""
    edited: bool = False
    """Whether an expert changed something since the last reply."""


def _learn_nothing(now: Standpoint, output: BaseModel) -> Standpoint:  # noqa: ARG001
    return now


@dataclass(frozen=True, kw_only=True)
class Node(Generic[OutputT]):
    """A node: its name in traces, how views show it, and its output."""

    name: str
    """In traces."""
    title: str
    """In pages, pictures and training texts."""
    letter: str
    """Sign in a path on one line."""
    colour: str
    """Of the mark on its box in a picture: `#rrggbb`."""
    output: type[OutputT]
    """Type of the output, which a trace holds as the step's `output`."""
    words: Callable[[OutputT], Iterable[str]]
    """The model's own words in an output, in order: reasoning, quotes, reasons. The gate checks them, pages and
    reviews show them, training texts quote them. Names of hypotheses are left out, since those of the options are
    the case's words and recur at every visit. Texts may be empty."""
    learn: Callable[[Standpoint, OutputT], Standpoint] = _learn_nothing
    """The standpoint after an output, from the one before. The graph then computes the credence."""


@dataclass(frozen=True, kw_only=True)
class Stop(Node[OutputT]):
    """A stop of the graph."""

    room: Callable[[Briefing], int]
    """Maximum number of completion tokens in a reply."""
    prompt: str = ""
    """Name of its prompt; by default the name of the stop."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", self.prompt or self.name)


@dataclass(frozen=True, kw_only=True)
class TrunkStop(Stop[OutputT]):
    """A stop that is visited once at a time, rather than once per hypothesis in parallel."""

    think: Callable[[Briefing, Consultation], Awaitable[OutputT]]
    """The node: asks the model and returns its output. Raises `EngineFailed` if the model gives no reply."""
    errand: str = ""
    """Purpose of the call, to follow "no room left" in a reason; by default `for` and the stop's name."""
    without_call: Callable[[Briefing], OutputT] | None = None
    """Makes the output when the budget cannot pay for a call; None: there is none, and the journey goes on to its
    conclusion."""


AnyNode = Node[Any]
AnyStop = Stop[Any]
