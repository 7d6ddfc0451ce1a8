"""Moves of many traversals, counted: how often each was made, and where traversals fail."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ddxgraph.common.errors import MissingExtra
from ddxgraph.common.extras import install
from ddxgraph.graph.trace import Step, Trace

if TYPE_CHECKING:
    import networkx as nx

START, END = "start", "end"
Correct = Callable[[Trace], bool | None]
"""Whether the answer of a trace is right; None if that is not known."""


class Way(NamedTuple):
    """A move from one stop to another."""

    start: str
    end: str


@dataclass
class WayCount:
    """How often a move was made."""

    count: int = 0
    """Times that the move was made."""
    back: int = 0
    """Of these, backtracks."""
    journeys: int = 0
    """Traversals that made it at least once."""
    correct: int = 0
    """Of these, with a right answer."""
    incorrect: int = 0
    triggers: Counter[str] = field(default_factory=Counter)
    """Who decided, to the number of moves. Nobody decides the first move, nor the last one of a traversal that
    broke off."""


@dataclass
class StopCount:
    """What happened at a stop."""

    visits: int = 0
    journeys: int = 0
    repairs: int = 0
    """Replies that did not match their schema."""
    failures: int = 0
    """Visits that failed."""
    completion_tokens: int = 0
    latency_s: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    """Traversals whose last step was here, by end and outcome, such as `concluded, answered`."""


@dataclass
class Flow:
    """Counts over traversals, added one at a time.

    A step on the trunk makes one move, however many checks it starts. A check makes one move, to the stop that
    joins the checks, so a move from checks is counted once per check. Only moves that were followed count. Every
    traversal goes to `end` once, from its last step, even if it broke off.
    """

    stops: dict[str, StopCount] = field(default_factory=dict)
    ways: dict[Way, WayCount] = field(default_factory=dict)
    journeys: int = 0

    def add(self, trace: Trace, correct: bool | None = None) -> None:
        """Count a traversal."""
        self.journeys += 1
        taken: set[Way] = set()
        for way, step in _moves(trace):
            tally = self.ways.setdefault(way, WayCount())
            tally.count += 1
            if step is not None:
                tally.back += step.move.backtrack
                tally.triggers[step.move.trigger] += 1
            taken.add(way)
        for way in taken:
            tally = self.ways[way]
            tally.journeys += 1
            tally.correct += correct is True
            tally.incorrect += correct is False
        self._visit(trace)

    def _visit(self, trace: Trace) -> None:
        for step in trace.steps:
            stop = self.stops.setdefault(step.node, StopCount())
            stop.visits += 1
            stop.repairs += len(step.attempts)
            stop.failures += step.failure is not None
            stop.completion_tokens += step.usage.completion_tokens
            stop.latency_s += step.latency_s
        for node in {step.node for step in trace.steps}:
            self.stops[node].journeys += 1
        last = trace.steps[-1].node if trace.steps else START
        self.stops.setdefault(last, StopCount()).ended[f"{trace.ended}, {trace.outcome}"] += 1

    def merge(self, other: "Flow") -> None:
        """Add the counts of other traversals."""
        self.journeys += other.journeys
        for name, stop in other.stops.items():
            _add_to(self.stops.setdefault(name, StopCount()), stop)
        for way, tally in other.ways.items():
            _add_to(self.ways.setdefault(way, WayCount()), tally)

    def probability(self, way: Way) -> float:
        """Share of the moves out of the same stop that are this one, in 0..1."""
        out = sum(tally.count for other, tally in self.ways.items() if other.start == way.start)
        return self.ways[way].count / out

    @property
    def ranked(self) -> Sequence[Way]:
        """The moves, the most frequent first."""
        return sorted(self.ways, key=lambda way: -self.ways[way].count)


def _add_to(counts: StopCount | WayCount, more: StopCount | WayCount) -> None:
    for name, count in vars(more).items():
        setattr(counts, name, getattr(counts, name) + count)


def _moves(trace: Trace) -> Iterator[tuple[Way, Step | None]]:
    """Every move that was followed, with the step that made it; None for the first move.

    Every traversal moves to `end` from its last step; if it broke off, that step did not make the move.
    """
    leaving: list[Step] = []
    """The last step, or the checks of the current round so far."""
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
    """Whether a step is a check of the current round."""
    if not leaving or step.branch is None:
        return False
    return leaving[-1].branch is not None and leaving[-1].parent == step.parent


def flow_of(traces: Iterable[Trace], correct: Correct | None = None) -> Flow:
    """Count traversals, with one trace in memory at a time."""
    flow = Flow()
    for trace in traces:
        flow.add(trace, correct(trace) if correct else None)
    return flow


def transitions(traces: Iterable[Trace], correct: Correct | None = None) -> "nx.DiGraph[str]":
    """The moves of many traversals as a NetworkX graph.

    Args:
        traces: read one at a time, such as from `read_traces`.
        correct: whether the answer of a trace is right.

    Returns:
        Nodes are the stops, `start` and `end`, with the counts of `StopCount`. Edges are the moves between them,
        with the counts of `WayCount` and `probability`, which sums to 1 over the moves out of a stop.

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
        import networkx as nx  # noqa: PLC0415 - pages count without NetworkX
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"ddxgraph.transitions needs {error.name}, which this Python lacks: {install('view')}"
        ) from error
    flow = flow_of(traces, correct)
    graph: nx.DiGraph[str] = nx.DiGraph(journeys=flow.journeys)
    for node in dict.fromkeys([*flow.stops, *(end for way in flow.ways for end in way)]):
        graph.add_node(node, **_plain(vars(flow.stops.get(node, StopCount()))))
    for node in {START, END} & set(graph):
        graph.nodes[node].update(visits=flow.journeys, journeys=flow.journeys)
    for way, tally in flow.ways.items():
        graph.add_edge(*way, probability=flow.probability(way), **_plain(vars(tally)))
    return graph


def _plain(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts as JSON can hold them."""
    return {key: dict(value) if isinstance(value, Counter) else value for key, value in counts.items()}
