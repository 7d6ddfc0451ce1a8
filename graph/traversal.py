"""One case through the graph: step by step or at once, resumed from a checkpoint, made into a trace."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Final, Literal, NamedTuple, cast

from langchain_core.runnables import RunnableConfig

from ddxgraph.common.errors import BadInput, CheckpointError
from ddxgraph.graph.cutprompts import cut_prompts, warned
from ddxgraph.graph.journeygraph import JourneyGraph
from ddxgraph.graph.routing import Limit
from ddxgraph.graph.state import Journey, applied, journey_of, last_stop, usage_so_far
from ddxgraph.graph.trace import EndReason, Outcome, Step, Trace
from ddxgraph.nodes.case import Case, CaseLike, as_case
from ddxgraph.nodes.failure import Failure, FailureKind

DURABILITY: Final[Literal["async"]] = "async"
"""When LangGraph writes a checkpoint. `exit` writes at the end, so that a killed process loses everything. `sync`
waits for every write before the next step. `async` writes while the next step runs, and loses at most the last
milliseconds. On an instant model `async` and `sync` take equally long; on a real engine the writes of `async`
take no extra time (`benchmarks/checkpoints.py` measures the three)."""
_ENDED: Final[Mapping[Limit, EndReason]] = {
    "tokens": "budget_tokens",
    "calls": "budget_calls",
    "backtracks": "budget_backtracks",
}
_TRACED: Final = ("case", "sample", "setting", "steps", "compactions", "failure", "conclusion")
"""Keys of the state that `trace_of` reads."""
_INTERRUPTED: Final = Failure(
    boundary="user",
    kind=FailureKind.INTERRUPTED,
    message="the traversal was interrupted before its end; run it again with the same settings",
)


class Traversal:
    """A traversal of the graph; iterate over it to get each step as it ends.

    The checks of a round come as they end; the trace has them in the order of their hypotheses. If you stop early
    (break, cancellation, Ctrl-C), `trace()` returns the steps so far, marked as interrupted.

    Args:
        graph: from `build_graph`.
        case: the case, in a form that `as_case` takes.
        sample: number of the sample, from 0; changes the seed.
        thread: as in `asolve`, for `async for`; steps that are kept under it come first, at once.

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
        # After an early exit, the traversal is stopped and its last step written before anything else happens.
        async with aclosing(cast(AsyncGenerator[Any, None], chunks)) as stream:
            async for mode, chunk in stream:
                for step in self._taken(mode, chunk):
                    yield step
        self._elapsed = time.perf_counter() - self._start

    def trace(self) -> Trace:
        """The trace of the traversal so far.

        Raises:
            BadInput: the traversal was stopped before its first step ended.
        """
        if "setting" not in self._state:
            raise BadInput("the traversal was stopped before its first step ended: there is nothing to trace")
        elapsed: float | None = time.perf_counter() - self._start if self._elapsed is None else self._elapsed
        if self._resumed:
            elapsed = None  # part of it passed in another process
        ended = self._elapsed is not None  # by itself, at its end or at a pause
        if ended or self._state.get("conclusion") or self._state.get("failure"):
            return trace_of(self._state, elapsed)
        return trace_of({**self._state, "failure": _INTERRUPTED}, elapsed)

    def _taken(self, mode: str, chunk: Any) -> Iterator[Step]:
        """Steps from LangGraph's stream: updates come as stops end, values after each superstep."""
        if mode == "values":
            self._state = cast(Journey, chunk)
            return
        if chunk.get("__metadata__", {}).get("cached"):  # from a checkpoint: already in the state
            return
        for stop, update in chunk.items():
            if stop == "__interrupt__":  # the traversal is paused
                continue
            self._state = applied(self._state, cast(Journey, update or {}))
            if update and "steps" in update:
                yield from self._state["steps"][-len(update["steps"]) :]


def solve(graph: JourneyGraph, case: CaseLike, sample: int = 0) -> Trace:
    """Take a case through the graph.

    Args:
        graph: from `build_graph`.
        case: the case, in a form that `as_case` takes.
        sample: number of the sample, from 0; changes the seed.

    Returns:
        The trace.

    Raises:
        CaseTooLong: the case does not fit the context window.

    Example:
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> model = ScriptedChatModel(script={"conclude": {"justification": "Crackles.", "answer": "B"}})
        >>> solve(build_graph(model), case).answer
        'B'
    """
    start = time.perf_counter()
    state = graph.invoke(cast(Any, {"case": as_case(case), "sample": sample}))
    return warned(trace_of(cast(Journey, state), time.perf_counter() - start))


async def asolve(graph: JourneyGraph, case: CaseLike, sample: int = 0, *, thread: str | None = None) -> Trace:
    """`solve` on the running event loop, where many traversals share the engine.

    Args:
        graph: from `build_graph`.
        case: the case, in a form that `as_case` takes.
        sample: number of the sample, from 0; changes the seed.
        thread: for a graph with a checkpointer, the name under which to keep the traversal. A traversal that is
            kept under it resumes from its last step; one that has ended is not repeated. Use a name that depends
            on all settings, such as the trace id (`GraphStrategy().settle(model).trace_id(case)`).

    Returns:
        The trace.

    Raises:
        CaseTooLong: the case does not fit the context window.
        CheckpointError: the traversal under that name is of another case or sample.

    Example:
        >>> import asyncio
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> asyncio.run(asolve(build_graph(ScriptedChatModel()), case)).answer
        'A'
    """
    start = time.perf_counter()
    case = as_case(case)
    given: Any = {"case": case, "sample": sample}
    if thread is None:
        return warned(trace_of(await _walked(graph, given), time.perf_counter() - start))
    place = await resume_point(graph, thread, case, sample)
    if place.ended:
        return trace_of(place.state)
    state = await _walked(graph, None if place.state else given, place.config, durability=DURABILITY)
    return warned(trace_of(state, None if place.state else time.perf_counter() - start))


async def _walked(
    graph: JourneyGraph, given: Any, config: RunnableConfig | None = None, **how: Any
) -> Journey:
    """What a trace is made of, at the end of a traversal.

    `ainvoke` would stream the updates too, and the whole state after every superstep: some 6% of a traversal on
    an instant model.
    """
    state: Any = {}
    chunks = graph.astream(given, config, stream_mode="values", output_keys=_TRACED, **how)
    async for state in chunks:  # noqa: B007
        pass
    return cast(Journey, state)


def trace_of(state: Journey, elapsed_s: float | None = None) -> Trace:
    """Make a trace of a graph's state, final or not.

    Args:
        state: what `graph.invoke` returned, or the `values` of a snapshot.
        elapsed_s: wall time in seconds; by default the sum of the steps' latencies.

    Example:
        >>> from ddxgraph import build_graph
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> trace_of(build_graph(ScriptedChatModel()).invoke({"case": case})).answer
        'A'
    """
    state = journey_of(state)
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
        cut_prompts=cut_prompts(setting.system, setting.opening, steps, state.get("compactions", [])),
        usage=usage_so_far(state),
        elapsed_s=sum(s.latency_s for s in steps) if elapsed_s is None else elapsed_s,
    )


def _outcome(state: Journey) -> Outcome:
    conclusion = state.get("conclusion")
    if state.get("failure"):
        return "error"
    if conclusion is None:
        return "interrupted"
    if conclusion.answer is not None:
        return "answered"
    last = last_stop(state.get("steps", []))
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
    """Where a traversal that was kept resumes."""

    state: Journey
    """Its state; empty if nothing was kept."""
    config: RunnableConfig
    ended: bool
    """Whether it has reached its conclusion."""


async def resume_point(graph: JourneyGraph, thread: str, case: Case, sample: int) -> Place:
    """Find where a traversal that was kept resumes.

    After a failure of the engine, it resumes before the step that failed; if that was a check, LangGraph repeats
    the whole round.

    Args:
        graph: with a checkpointer.
        thread: the name of the traversal.
        case: the case.
        sample: number of the sample.

    Returns:
        The place to resume from.

    Raises:
        CheckpointError: the traversal under that name is of another case or sample.
    """
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    latest = await graph.aget_state(config)
    state = cast(Journey, latest.values)
    if state and (Case.model_validate(state["case"]), state.get("sample", 0)) != (case, sample):
        raise CheckpointError(
            f"the traversal kept under {thread!r} is of another case or sample; use another name, such as the "
            "trace id"
        )
    if state.get("failure"):
        async for past in graph.aget_state_history(config):
            if past.next and past.values and not past.values.get("failure"):
                return Place(cast(Journey, past.values), past.config, ended=False)
    if state.get("conclusion"):
        return Place(state, config, ended=True)
    # `tasks` rather than `next`, which lacks those that had ended before the interruption.
    return Place(state if latest.tasks else {}, config, ended=False)
