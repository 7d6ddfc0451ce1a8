"""The compiled graph: LangGraph's own, whose paused journeys an expert can edit."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph
from langgraph.graph import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, Send, StateSnapshot, StateUpdate
from typing_extensions import override

from ddxgraph.common.errors import EditError
from ddxgraph.graph.edits.edit import edit
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.state import Journey, JourneyInput, journey_of, last_visited
from ddxgraph.nodes.expert_edit import EXPERT_EDIT
from ddxgraph.nodes.registry import STOPS

ONE_AT_A_TIME: Final = 1
"""LangGraph's `max_concurrency` on an engine that runs the calls of a conversation in turn."""
_WATCHED: Final = frozenset({"messages", "custom"})
"""Stream modes in which LangGraph watches the stream while stops run."""


class JourneyGraph(CompiledStateGraph[Journey, None, JourneyInput, Journey]):
    """The compiled graph, with every way of LangGraph to invoke, stream, interrupt, edit and resume it.

    An expert edits a paused journey with `update_state(config, values)` or with
    `invoke(Command(update=values, goto=stop), config)`, and a snapshot of `get_state_history` likewise. The edit
    becomes a step of the journey. The model is told of it in its next turn. `ddxgraph.graph.edits.edit.edit` says
    what can be changed.

    Args:
        plan: what the graph was compiled from.
        **parts: LangGraph's own.
    """

    def __init__(self, *, plan: Plan, **parts: Any) -> None:
        super().__init__(**parts)
        self.plan = plan

    @override
    def stream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        **settings: Any,
    ) -> Iterator[Any]:
        """Stream a traversal; see LangGraph's `CompiledStateGraph.stream`.

        LangGraph watches the stream on a thread out of the pool that runs the stops. A pool of one, as engines
        have that run the calls of a conversation in turn, would then never run a stop. So it gets a second
        thread, and the checks take turns (see `Visitor`).
        """
        modes = settings.get("stream_mode") or self.stream_mode
        watched = settings.get("subgraphs") or _WATCHED & {*([modes] if isinstance(modes, str) else modes)}
        known = {**(self.config or {}), **(config or {})}
        if watched and known.get("max_concurrency") == ONE_AT_A_TIME:
            config = {**(config or {}), "max_concurrency": ONE_AT_A_TIME + 1}
        if not _edits(input):
            return super().stream(input, config, **settings)
        config = config or {}
        update = self._edit(self.get_state(config), input.update, _goto(input))
        place = super().bulk_update_state(config, [[update]]) if update else config
        return super().stream(_resume_of(input), _at(config, place), **settings)

    @override
    def astream(
        self, input: Any, config: RunnableConfig | None = None, **settings: Any
    ) -> AsyncIterator[Any]:
        """`stream` on the running event loop."""
        if _edits(input):
            return self._astream_edited(input, config or {}, settings)
        return super().astream(input, config, **settings)

    async def _astream_edited(
        self, command: Command[Any], config: RunnableConfig, settings: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        update = self._edit(await self.aget_state(config), command.update, _goto(command))
        place = await super().abulk_update_state(config, [[update]]) if update else config
        chunks: Any = super().astream(_resume_of(command), _at(config, place), **settings)
        async with aclosing(chunks) as stream:
            async for chunk in stream:
                yield chunk

    @override
    def bulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Edit the state, one update after another; see LangGraph's own method.

        Raises:
            EditError: a value cannot be changed or used, or the journey has ended.
        """
        for update in (update for superstep in supersteps for update in superstep):
            known: StateUpdate | None = update
            if not _of_langgraph(update):
                snapshot = self.get_state(config)
                known = self._edit(snapshot, update.values, *_as_node(snapshot, update))
                config = snapshot.config
            if known:
                config = super().bulk_update_state(config, [[known]])
        return config

    @override
    async def abulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """`bulk_update_state` on the running event loop."""
        for update in (update for superstep in supersteps for update in superstep):
            known: StateUpdate | None = update
            if not _of_langgraph(update):
                snapshot = await self.aget_state(config)
                known = self._edit(snapshot, update.values, *_as_node(snapshot, update))
                config = snapshot.config
            if known:
                config = await super().abulk_update_state(config, [[known]])
        return config

    @override
    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The graph to draw: the stops. The node through which edits come in leads nowhere by itself."""
        graph = super().get_graph(config, xray=xray)
        graph.nodes.pop(EXPERT_EDIT.name, None)
        return graph

    @override
    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """`get_graph` on the running event loop."""
        graph = await super().aget_graph(config, xray=xray)
        graph.nodes.pop(EXPERT_EDIT.name, None)
        return graph

    def _edit(self, snapshot: StateSnapshot, values: Any, to: str = "") -> StateUpdate | None:
        """The update for LangGraph; None if nothing changes."""
        if values is not None and not isinstance(values, Mapping):
            raise EditError(f"an edit maps keys of the state to new values; this is {type(values).__name__}")
        state = journey_of(snapshot.values)
        due = next((name for name in snapshot.next if name in STOPS), None)
        if values and "setting" not in state and values.keys() <= JourneyInput.__annotations__.keys():
            return StateUpdate(dict(values), START)
        if due is None:
            raise EditError(
                "there is no paused journey to edit: it has not begun, or it has ended. To change how it ended, "
                "take an earlier snapshot of `get_state_history` and give its `config`"
            )
        changed = edit(self.plan, state, values or {}, due, to)
        return StateUpdate(dict(changed), EXPERT_EDIT.name) if changed else None


def _edits(given: Any) -> bool:
    return isinstance(given, Command) and given.graph is None and bool(given.update or given.goto)


def _resume_of(command: Command[Any]) -> Command[Any] | None:
    """What is left of a command after its edit."""
    return None if command.resume is None else Command(resume=command.resume)


def _goto(command: Command[Any]) -> str:
    stops = [command.goto] if isinstance(command.goto, str | Send) else list(command.goto)
    if len(stops) > 1 or any(isinstance(stop, Send) for stop in stops):
        raise EditError("a journey goes on with one stop: give its name as `goto`")
    return cast(str, stops[0]) if stops else ""


def _at(config: RunnableConfig, place: RunnableConfig) -> RunnableConfig:
    """The caller's configuration at a new checkpoint."""
    return {**config, "configurable": {**config.get("configurable", {}), **place.get("configurable", {})}}


def _of_langgraph(update: StateUpdate) -> bool:
    """Whether an update is LangGraph's own business: a copy, the end of all tasks, or a new input."""
    return update.as_node is not None and update.as_node.startswith("__")


def _as_node(snapshot: StateSnapshot, update: StateUpdate) -> tuple[str, ...]:
    """The stop to go on with if an update counts as that of `as_node`; none: the one that is due."""
    node = update.as_node
    if node in {None, EXPERT_EDIT.name, last_visited(journey_of(snapshot.values).get("steps", []))}:
        return ()
    if node not in STOPS or node == STOPS.last.name:
        names = ", ".join(name for name in STOPS.names if name != STOPS.last.name)
        raise EditError(f"nothing comes after as_node={node!r}: use one of {names}")
    return (STOPS.after(node),)
