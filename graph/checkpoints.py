"""Checkpoints: a traversal kept step by step, so that one that was broken off goes on from its last step."""

from typing import Final, Literal, NamedTuple, cast

from langchain_core.runnables import RunnableConfig

from ddxgraph.common.errors import CheckpointError
from ddxgraph.graph.state import Journey
from ddxgraph.graph.topology import JourneyGraph
from ddxgraph.nodes.case import Case

DURABILITY: Final[Literal["async"]] = "async"
"""When LangGraph writes a checkpoint. `exit` writes nothing until the end, so that a killed process loses all of
it; `sync` waits for every write before the next step; `async` writes while the next step runs, and loses what
ended in the last milliseconds at most. On an instant model `async` and `sync` cost alike; on an engine that takes
its time the writes of `async` cost none of it (`benchmarks/checkpoints.py` measures the three)."""


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
