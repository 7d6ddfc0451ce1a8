"""The graph itself: the stops, and the ways from one to another."""

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, Literal

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from langgraph.types import Checkpointer

from ddxgraph.common.errors import PromptError
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.edits.edit import onward
from ddxgraph.graph.journeygraph import ONE_AT_A_TIME, JourneyGraph
from ddxgraph.graph.plan import Plan, plan
from ddxgraph.graph.routing import BACKTRACKS, Policy
from ddxgraph.graph.state import STATE_TYPES, Journey, JourneyInput
from ddxgraph.graph.visits.checks import Check
from ddxgraph.graph.visits.stops import Visitor
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.expert_edit import EXPERT_EDIT
from ddxgraph.nodes.reflect import REFLECT
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.settings import Limits, Sampling
from ddxgraph.nodes.stop import AnyStop, TrunkStop
from ddxgraph.prompts.library import PromptSet

Pauses = Literal["*"] | Sequence[str]
"""Names of stops at which journeys pause; `"*"`: all."""


def build_graph(
    model: BaseChatModel,
    *,
    budget: Budget | None = None,
    limits: Limits | None = None,
    policy: Policy | None = None,
    sampling: Sampling | None = None,
    prompts: PromptSet | None = None,
    context_window: int | None = None,
    patience: Patience | None = None,
    checkpointer: Checkpointer = None,
    interrupt_before: Pauses = (),
    interrupt_after: Pauses = (),
) -> JourneyGraph:
    """Compile the clinical reasoning graph on a chat model.

    The result is an ordinary compiled LangGraph: `invoke({"case": case})`, `ainvoke`, `stream`, interrupts
    (`interrupt_before=["conclude"]`), checkpointers and LangGraph Studio work as usual. The final state holds
    the whole journey, from which `trace_of(state)` makes a trace.

    Args:
        model: any LangChain chat model that accepts OpenAI's `response_format`, such as `ddxgraph.connect()`.
        budget: limits on tokens, calls and backtracks.
        limits: maximum sizes in each node's reply; by default small ones for the embedded 135M model.
        policy: rules that may overrule the model's verdict.
        sampling: temperature, top_p and seed of every call; by default the model's own settings.
        prompts: the prompt set; by default the shipped one.
        context_window: size of the model's context in tokens; by default as `model.profile` says.
        patience: retry policy for a failing engine.
        checkpointer: a LangGraph checkpointer.
        interrupt_before: stops before which every journey pauses, for an expert to look at it or to edit it
            (`JourneyGraph`); `"*"`: all. Needs a checkpointer, of its own or of a parent graph.
        interrupt_after: stops after which it pauses.

    Returns:
        The compiled graph.

    Raises:
        BadInput: the graph has no stop of a name in `interrupt_before` or `interrupt_after`.
        PromptError: the prompt set lacks the prompt of a stop.
        pydantic.ValidationError: (from `invoke`) the case is malformed.
        CaseTooLong: (from `invoke`) the case does not fit the context window. A failure of the engine is not
            raised: it is typed in the state (`failure`) and in the trace.

    Example:
        >>> from ddxgraph import Case
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> graph = build_graph(ScriptedChatModel(), budget=Budget(max_backtracks=1))
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> graph.invoke({"case": case})["conclusion"].answer
        'A'
    """
    return compile_plan(
        plan(
            model,
            budget=budget,
            limits=limits,
            policy=policy,
            sampling=sampling,
            prompts=prompts,
            context_window=context_window,
            patience=patience,
        ),
        checkpointer=checkpointer,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
    )


def _reading_our_types(checkpointer: Checkpointer) -> Checkpointer:
    """The saver with a serializer that may read our types; LangGraph refuses types that are not listed."""
    if not isinstance(checkpointer, BaseCheckpointSaver):
        return checkpointer
    if not isinstance(checkpointer.serde, JsonPlusSerializer):
        return checkpointer
    reading = copy(checkpointer)
    reading.serde = JsonPlusSerializer(allowed_msgpack_modules=STATE_TYPES)
    return reading


def compile_plan(
    settled: Plan,
    *,
    checkpointer: Checkpointer = None,
    interrupt_before: Pauses = (),
    interrupt_after: Pauses = (),
) -> JourneyGraph:
    """Compile the graph of a plan: the registered stops in their order, and the ways between them.

    Args:
        settled: the plan.
        checkpointer: see `build_graph`, as for the others.
        interrupt_before: stops before which every journey pauses.
        interrupt_after: stops after which it pauses.

    Returns:
        The compiled graph.

    Raises:
        BadInput: the graph has no stop of a name in `interrupt_before` or `interrupt_after`.
        PromptError: the plan's prompt set lacks the prompt of a stop.
    """
    _check_prompts(settled.wording.prompts)
    visitor = Visitor(settled)
    graph: StateGraph[Journey, None, JourneyInput, Journey] = StateGraph(Journey, input_schema=JourneyInput)
    for stop in STOPS:
        node: Any = visitor.to(stop)
        if isinstance(stop, TrunkStop):
            graph.add_node(stop.name, node, input_schema=Journey, destinations=_destinations(stop))
        else:
            graph.add_node(stop.name, node, input_schema=Check)
            graph.add_edge(stop.name, STOPS.after(stop.name))
    graph.add_edge(START, STOPS.first.name)
    graph.add_node(EXPERT_EDIT.name, lambda _: {})  # only edits come in here; a journey never does
    graph.add_conditional_edges(EXPERT_EDIT.name, partial(onward, settled), list(STOPS.names))
    plain = graph.compile(
        checkpointer=_reading_our_types(checkpointer),
        interrupt_before=_pauses(interrupt_before),
        interrupt_after=_pauses(interrupt_after),
        name="ddxgraph",
    )
    compiled = JourneyGraph(plan=settled, **vars(plain)).with_config(
        recursion_limit=settled.strategy.budget.recursion_limit
    )
    # An engine that keeps each conversation in one slot runs its calls one at a time and in order, so that a
    # traversal is reproducible. (`with_config` limits one traversal; traversals still run in parallel.)
    return compiled.with_config(max_concurrency=ONE_AT_A_TIME) if settled.serial else compiled


def _pauses(stops: Pauses) -> Literal["*"] | list[str]:
    """The stops to pause at, checked."""
    return (
        "*" if stops == "*" else [STOPS[name].name for name in ([stops] if isinstance(stops, str) else stops)]
    )


def _destinations(stop: AnyStop) -> tuple[str, ...]:
    """Where a stop on the trunk may lead: on, to the conclusion, to the end; from a reflection also back."""
    if stop is STOPS.last:
        return (END,)
    back = [earlier.name for earlier in BACKTRACKS.values()] if stop is REFLECT else []
    return tuple(dict.fromkeys([STOPS.after(stop.name), STOPS.last.name, *back, END]))


def _check_prompts(prompts: PromptSet) -> None:
    missing = [stop.prompt for stop in STOPS if stop.prompt not in prompts.hashes]
    if missing:
        raise PromptError(
            f"the prompt set in {prompts.folder} lacks {', '.join(missing)}: add the files and make the set anew"
        )
