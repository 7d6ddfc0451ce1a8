"""Walk one case through the graph, step by step, and make a trace of it."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal, NamedTuple, cast

from langchain_core.runnables import RunnableConfig

from ddxgraph.common.errors import BadInput, CheckpointError
from ddxgraph.graph.routing import Limit
from ddxgraph.graph.state import Journey, applied, last_on_trunk, usage_so_far
from ddxgraph.graph.topology import JourneyGraph
from ddxgraph.graph.trace import EndReason, Outcome, Step, Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import Failure, FailureKind

DURABILITY: Final[Literal["async"]] = "async"
"""When LangGraph writes a checkpoint. `exit` writes nothing until the end, so that a killed process loses all of
it; `sync` waits for every write before the next step; `async` writes while the next step runs, and loses what
ended in the last milliseconds at most. On an instant model `async` and `sync` cost alike; on an engine that takes
its time the writes of `async` cost none of it (`benchmarks/checkpoints.py` measures the three)."""
_ENDED: Final[Mapping[Limit, EndReason]] = {
    "tokens": "budget_tokens",
    "calls": "budget_calls",
    "backtracks": "budget_backtracks",
}
_INTERRUPTED: Final = Failure(
    boundary="user",
    kind=FailureKind.INTERRUPTED,
    message="the traversal was interrupted before its end; run it again with the same settings",
)


class Traversal:
    """One walk of a case through a graph; iterate over it to see each step as it is taken.

    Checks of one round come as they finish; the trace has them in the order of their hypotheses.

    Whoever stops it early (break, cancellation, Ctrl-C) still gets what there is from `trace()`, marked as
    interrupted.

    Args:
        graph: from `build_graph`.
        case: the case.
        sample: number of the sample, from 0; changes the seed.
        thread: as in `asolve`, for `async for`; the steps that are kept come first, at once.

    Example:
        >>> import asyncio
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> async def nodes(case: Case) -> list[str]:
        ...     return [step.node async for step in Traversal(build_graph(ScriptedChatModel()), case)]
        >>> asyncio.run(nodes(Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})))
        ['review_history', 'generate_differential', 'check_evidence', 'check_evidence', 'reflect', 'conclude']
    """

    def __init__(
        self, graph: JourneyGraph, case: Case, sample: int = 0, *, thread: str | None = None
    ) -> None:
        self._graph = graph
        self._thread, self._case, self._sample = thread, case, sample
        self._input: Any = {"case": case, "sample": sample}
        self._state: Journey = {}
        self._start = time.perf_counter()
        self._elapsed: float | None = None
        self._resumed = False

    def __iter__(self) -> Iterator[Step]:
        for mode, chunk in self._graph.stream(self._input, stream_mode=["updates", "values"]):
            yield from self._taken(mode, chunk)
        self._elapsed = time.perf_counter() - self._start

    async def __aiter__(self) -> AsyncIterator[Step]:
        given, config, durability = self._input, None, None
        if self._thread is not None:
            place = await resume_point(self._graph, self._thread, self._case, self._sample)
            self._state, self._resumed = place.state, bool(place.state)
            for step in place.state.get("steps", []):
                yield step
            if place.ended:
                return
            given, config, durability = None if place.state else given, place.config, DURABILITY
        chunks = self._graph.astream(given, config, stream_mode=["updates", "values"], durability=durability)
        # Whoever leaves early has the walk stopped, and its last step written, before anything else happens.
        async with aclosing(cast(AsyncGenerator[Any, None], chunks)) as stream:
            async for mode, chunk in stream:
                for step in self._taken(mode, chunk):
                    yield step
        self._elapsed = time.perf_counter() - self._start

    def trace(self) -> Trace:
        """The trace of the walk so far.

        Raises:
            BadInput: the walk was stopped before its first step was done.
        """
        if "setting" not in self._state:
            raise BadInput("the walk was stopped before its first step was done: there is nothing to trace")
        elapsed: float | None = time.perf_counter() - self._start if self._elapsed is None else self._elapsed
        if self._resumed:
            elapsed = None  # part of it passed in another process
        if self._state.get("conclusion") or self._state.get("failure"):
            return trace_of(self._state, elapsed)
        return trace_of({**self._state, "failure": _INTERRUPTED}, elapsed)

    def _taken(self, mode: str, chunk: Any) -> Iterator[Step]:
        """Steps out of LangGraph's stream: updates come as stops finish, values once a superstep is joined."""
        if mode == "values":
            self._state = cast(Journey, chunk)
            return
        if chunk.get("__metadata__", {}).get("cached"):  # out of a checkpoint: in the state already
            return
        for stop, update in chunk.items():
            if stop == "__interrupt__":  # the walk is paused
                continue
            self._state = applied(self._state, cast(Journey, update or {}))
            if update and "steps" in update:
                yield from self._state["steps"][-len(update["steps"]) :]


def solve(graph: JourneyGraph, case: Case, sample: int = 0) -> Trace:
    """Walk a case to its end and return the trace.

    Example:
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> model = ScriptedChatModel(script={"conclude": {"justification": "Crackles.", "answer": "B"}})
        >>> solve(build_graph(model), case).answer
        'B'
    """
    start = time.perf_counter()
    state = graph.invoke(cast(Any, {"case": case, "sample": sample}))
    return trace_of(cast(Journey, state), time.perf_counter() - start)


async def asolve(graph: JourneyGraph, case: Case, sample: int = 0, *, thread: str | None = None) -> Trace:
    """`solve` on the running event loop; many at a time share the engine.

    Args:
        graph: from `build_graph`.
        case: the case.
        sample: number of the sample, from 0; changes the seed.
        thread: where the graph has a checkpointer, the name to keep the walk under. A walk that is kept under
            that name goes on from its last step; one that has ended is not walked again. It has to say all that
            decides the walk, as a trace's id does (`GraphStrategy().settle(model).trace_id(case)`).

    Raises:
        CheckpointError: the walk that is kept under that name is of another case or sample.

    Example:
        >>> import asyncio
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> asyncio.run(asolve(build_graph(ScriptedChatModel()), case)).answer
        'A'
    """
    start = time.perf_counter()
    given: Any = {"case": case, "sample": sample}
    if thread is None:
        return trace_of(cast(Journey, await graph.ainvoke(given)), time.perf_counter() - start)
    place = await resume_point(graph, thread, case, sample)
    if place.ended:
        return trace_of(place.state)
    state = await graph.ainvoke(None if place.state else given, place.config, durability=DURABILITY)
    return trace_of(cast(Journey, state), None if place.state else time.perf_counter() - start)


def trace_of(state: Journey, elapsed_s: float | None = None) -> Trace:
    """Make a trace of a graph's state, final or not.

    Args:
        state: what `graph.invoke` returned, or a snapshot's `values`.
        elapsed_s: wall time in seconds; the sum of the steps' latencies where it was not measured.

    Example:
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> trace_of(build_graph(ScriptedChatModel()).invoke({"case": case})).answer
        'A'
    """
    setting, steps = state["setting"], state.get("steps", [])
    conclusion, failure = state.get("conclusion"), state.get("failure")
    return Trace(
        id=setting.trace_id,
        case=state["case"],
        sample=state.get("sample", 0),
        strategy=setting.strategy,
        provenance=setting.provenance,
        system=setting.system,
        opening=setting.opening,
        steps=tuple(steps),
        compactions=tuple(state.get("compactions", [])),
        answer=conclusion.answer if conclusion else None,
        distribution=conclusion.distribution if conclusion else {},
        distribution_from=conclusion.distribution_from if conclusion else "none",
        outcome=_outcome(state),
        ended=_ended(state),
        failure=failure or (steps[-1].failure if steps else None),
        usage=usage_so_far(state),
        elapsed_s=sum(s.latency_s for s in steps) if elapsed_s is None else elapsed_s,
    )


def _outcome(state: Journey) -> Outcome:
    conclusion = state.get("conclusion")
    if state.get("failure") or conclusion is None:
        return "error"
    if conclusion.answer is not None:
        return "answered"
    last = last_on_trunk(state.get("steps", []))
    return "unparsed" if last and last.failure else "abstained"


def _ended(state: Journey) -> EndReason:
    failure = state.get("failure")
    if failure:
        return "interrupted" if failure.boundary == "user" else "failure"
    if state.get("conclusion") is None:
        return "interrupted"
    spent = [step.move.limit for step in state.get("steps", []) if step.move.limit]
    return _ENDED[spent[0]] if spent else "concluded"


class Place(NamedTuple):
    """Where a kept traversal goes on."""

    state: Journey
    """What is known already; empty where nothing is kept."""
    config: RunnableConfig
    ended: bool
    """The traversal has come to its conclusion."""


async def resume_point(graph: JourneyGraph, thread: str, case: Case, sample: int) -> Place:
    """Where the traversal that is kept under a name goes on.

    One that an engine's failure ended goes on from before that failure; where it was one of a round of checks,
    LangGraph makes the whole round again.

    Raises:
        CheckpointError: what is kept under that name is another case's, or another sample's.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    latest = await graph.aget_state(config)
    state = cast(Journey, latest.values)
    if state and (Case.model_validate(state["case"]), state.get("sample", 0)) != (case, sample):
        raise CheckpointError(
            f"the walk kept under {thread!r} is of another case or sample; keep this one under another name, "
            "such as its trace's id"
        )
    if state.get("failure"):
        async for past in graph.aget_state_history(config):
            if past.next and past.values and not past.values.get("failure"):
                return Place(cast(Journey, past.values), past.config, ended=False)
    if state.get("conclusion"):
        return Place(state, config, ended=True)
    # Tasks rather than `next`, which leaves out those that had ended when the walk was broken off.
    return Place(state if latest.tasks else {}, config, ended=False)
