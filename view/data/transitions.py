"""The ways of many journeys together: how often each was taken, and where journeys fail."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ddxgraph.common.errors import MissingExtra
from ddxgraph.graph.trace import Step, Trace

if TYPE_CHECKING:
    import networkx as nx

START, END = "start", "end"
Correct = Callable[[Trace], bool | None]
"""Whether a journey's answer is right; None where that is not known."""


class Way(NamedTuple):
    """From one kind of stop to another."""

    start: str
    end: str


@dataclass
class WayCount:
    """How often a way was taken."""

    count: int = 0
    """Moves."""
    back: int = 0
    """Those of them that go back."""
    journeys: int = 0
    """Journeys that took it at least once."""
    correct: int = 0
    """Those of them with a right answer."""
    incorrect: int = 0
    triggers: Counter[str] = field(default_factory=Counter)
    """Who decided, to moves; nobody did at the start, nor where a journey was broken off."""


@dataclass
class StopCount:
    """What happened at a kind of stop."""

    visits: int = 0
    journeys: int = 0
    repairs: int = 0
    """Replies that did not fit their schema."""
    failures: int = 0
    """Visits that failed."""
    completion_tokens: int = 0
    latency_s: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    """Journeys whose last step was here, by how they ended and came out, such as `concluded, answered`."""


@dataclass
class Flow:
    """Counts over journeys, taken one at a time.

    A step of the trunk makes one move, however many checks it sends for. A check makes one move, to where the
    checks are joined; so a way that leads from checks is counted once a check. Only moves that were followed
    count; every journey goes to `end` once, from its last step, even where it was broken off.
    """

    stops: dict[str, StopCount] = field(default_factory=dict)
    ways: dict[Way, WayCount] = field(default_factory=dict)
    journeys: int = 0

    def add(self, trace: Trace, correct: bool | None = None) -> None:
        """Count a journey."""
        self.journeys += 1
        taken: set[Way] = set()
        for way, step in _moves(trace):
            found = self.ways.setdefault(way, WayCount())
            found.count += 1
            if step is not None:
                found.back += step.move.backtrack
                found.triggers[step.move.trigger] += 1
            taken.add(way)
        for way in taken:
            found = self.ways[way]
            found.journeys += 1
            found.correct += correct is True
            found.incorrect += correct is False
        self._visit(trace)

    def _visit(self, trace: Trace) -> None:
        for step in trace.steps:
            found = self.stops.setdefault(step.node, StopCount())
            found.visits += 1
            found.repairs += len(step.attempts)
            found.failures += step.failure is not None
            found.completion_tokens += step.usage.completion_tokens
            found.latency_s += step.latency_s
        for node in {step.node for step in trace.steps}:
            self.stops[node].journeys += 1
        last = trace.steps[-1].node if trace.steps else START
        self.stops.setdefault(last, StopCount()).ended[f"{trace.ended}, {trace.outcome}"] += 1

    def probability(self, way: Way) -> float:
        """Share of the moves out of a way's start that take it, in 0..1."""
        return self.ways[way].count / sum(
            one.count for key, one in self.ways.items() if key.start == way.start
        )

    @property
    def ranked(self) -> Sequence[Way]:
        """The ways, the commonest first."""
        return sorted(self.ways, key=lambda way: -self.ways[way].count)


def _moves(trace: Trace) -> Iterator[tuple[Way, Step | None]]:
    """Every move that was followed, with the step that made it; none did the first.

    Every journey goes to its end from its last step; where it was broken off, that step did not move there.
    """
    leaving: list[Step] = []
    """The stop that was left last, or the checks of a round that is under way."""
    for step in trace.steps:
        if _same_round(leaving, step):
            leaving.append(step)
            continue
        if not leaving:
            yield Way(START, step.node), None
        for last in leaving if step.branch is None else leaving[-1:]:
            yield Way(last.node, step.node), last
        leaving = [step]
    if leaving:
        yield Way(leaving[-1].node, END), leaving[-1] if leaving[-1].move.to == END else None
    else:
        yield Way(START, END), None


def _same_round(leaving: Sequence[Step], step: Step) -> bool:
    """Whether a step is a check of the round that is under way."""
    if not leaving or step.branch is None:
        return False
    return leaving[-1].branch is not None and leaving[-1].parent == step.parent


def flow_of(traces: Iterable[Trace], correct: Correct | None = None) -> Flow:
    """Count journeys, one in memory at a time."""
    flow = Flow()
    for trace in traces:
        flow.add(trace, correct(trace) if correct else None)
    return flow


def transitions(traces: Iterable[Trace], correct: Correct | None = None) -> "nx.DiGraph[str]":
    """The ways of many journeys as a NetworkX graph.

    Args:
        traces: read one at a time, such as by `read_traces`.
        correct: whether a journey's answer is right.

    Returns:
        Nodes are the kinds of stop, `start` and `end`, with the counts of `StopCount`; edges the ways between
        them, with those of `WayCount` and `probability`, which sums to one over the ways out of a stop.

    Raises:
        MissingExtra: NetworkX is not installed.

    Example:
        >>> from ddxgraph import Case, build_graph, solve
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> trace = solve(build_graph(ScriptedChatModel()), Case(vignette="Fever and cough."))
        >>> transitions([trace]).edges["reflect", "conclude"]["probability"]
        1.0
    """
    try:
        import networkx as nx  # noqa: PLC0415 - pages count without it
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"ddxgraph.transitions needs {error.name}, which this Python lacks: pip install 'ddxgraph[view]'"
        ) from error
    flow = flow_of(traces, correct)
    graph: nx.DiGraph[str] = nx.DiGraph(journeys=flow.journeys)
    for node in dict.fromkeys([*flow.stops, *(end for way in flow.ways for end in way)]):
        graph.add_node(node, **_plain(vars(flow.stops.get(node, StopCount()))))
    for node in {START, END} & set(graph):
        graph.nodes[node].update(visits=flow.journeys, journeys=flow.journeys)
    for way, found in flow.ways.items():
        graph.add_edge(*way, probability=flow.probability(way), **_plain(vars(found)))
    return graph


def _plain(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts as JSON has them."""
    return {key: dict(value) if isinstance(value, Counter) else value for key, value in counts.items()}
