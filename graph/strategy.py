"""Strategies: ways to take a case to a trace on a chat model."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from langchain_core.language_models import BaseChatModel
from langgraph.types import Checkpointer

from ddxgraph.common.errors import BadInput
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.graph.journeygraph import JourneyGraph
from ddxgraph.graph.plan import Plan, plan
from ddxgraph.graph.routing import Policy
from ddxgraph.graph.topology import compile_plan
from ddxgraph.graph.trace import Provenance, StrategySettings, Trace
from ddxgraph.graph.traversal import asolve
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits, Sampling
from ddxgraph.nodes.strategies import GRAPH, known_strategy
from ddxgraph.prompts.library import PromptSet


class Settled(Protocol):
    """A strategy's settings on one model, known before any case is taken."""

    @property
    def strategy(self) -> StrategySettings:
        """Name and settings of the strategy, as traces hold them."""

    @property
    def provenance(self) -> Provenance:
        """Model, sampling and prompts, as traces hold them."""

    def trace_id(self, case: Case, sample: int = 0) -> str:
        """The id that the trace of a case will have; the same for the same work."""


@runtime_checkable
class Strategy(Protocol):
    """Takes a case to a trace on a chat model.

    A failure of the engine is not raised: it is typed in the trace, whose outcome is then `error`.
    """

    def settle(self, model: BaseChatModel) -> Settled:
        """The settings on a model."""

    def __call__(self, case: Case, model: BaseChatModel, sample: int = 0) -> Awaitable[Trace]:
        """Take a sample of a case; the trace has the id that `settle(model).trace_id` names."""


@dataclass(frozen=True, kw_only=True)
class GraphStrategy:
    """The clinical reasoning graph; the settings are those of `build_graph`.

    Example:
        >>> import asyncio
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> asyncio.run(GraphStrategy(budget=Budget(max_calls=20))(case, ScriptedChatModel())).answer
        'A'
    """

    budget: Budget | None = None
    limits: Limits | None = None
    policy: Policy | None = None
    sampling: Sampling | None = None
    prompts: PromptSet | None = None
    context_window: int | None = None
    patience: Patience | None = None
    checkpointer: Checkpointer = None
    """Keeps every traversal step by step under its trace id; an interrupted one resumes from there. Each takes
    some 100 kB, until `adelete_thread(trace.id)` of the checkpointer deletes it."""

    _compiled: list[tuple[BaseChatModel, Plan, JourneyGraph]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def settle(self, model: BaseChatModel) -> Plan:
        """The plan on a model."""
        return self._on(model)[0]

    async def __call__(self, case: Case, model: BaseChatModel, sample: int = 0) -> Trace:
        """Take a case through the graph.

        Args:
            case: the case.
            model: the chat model.
            sample: number of the sample, from 0; changes the seed.

        Returns:
            The trace.

        Raises:
            CaseTooLong: the case does not fit the model's context window.
        """
        settled, graph = self._on(model)
        thread = settled.trace_id(case, sample) if self.checkpointer else None
        return await asolve(graph, case, sample, thread=thread)

    def _on(self, model: BaseChatModel) -> tuple[Plan, JourneyGraph]:
        """The plan and the graph on a model, made once."""
        for known, settled, graph in self._compiled:
            if known is model:
                return settled, graph
        settled = plan(
            model,
            budget=self.budget,
            limits=self.limits,
            policy=self.policy,
            sampling=self.sampling,
            prompts=self.prompts,
            context_window=self.context_window,
            patience=self.patience,
        )
        graph = compile_plan(settled, checkpointer=self.checkpointer)
        self._compiled.append((model, settled, graph))
        return settled, graph


def strategy_of(
    name: str,
    *,
    budget: Budget | None = None,
    sampling: Sampling | None = None,
    patience: Patience | None = None,
    context_window: int | None = None,
    reply_tokens: int | None = None,
    limits: Limits | None = None,
    checkpointer: Checkpointer = None,
) -> Strategy:
    """Make a strategy by its name. None stands for the strategy's own default.

    Args:
        name: one of `ddxgraph.nodes.strategies.strategy_names()`.
        budget: limits of one traversal.
        sampling: settings of every call.
        patience: retry policy for a failing engine.
        context_window: size of the model's context in tokens.
        reply_tokens: token limit of the reply, for strategies with one generation.
        limits: maximum sizes in each node's reply, for the graph only.
        checkpointer: keeps traversals of the graph step by step, for the graph only.

    Returns:
        The strategy.

    Raises:
        UnknownStrategy: no strategy has this name.
        BadInput: `reply_tokens` is given for the graph.
    """
    if known_strategy(name) != GRAPH:
        return GenerationStrategy(
            style=name,
            budget=budget,
            sampling=sampling,
            patience=patience,
            context_window=context_window,
            reply_tokens=reply_tokens,
        )
    if reply_tokens is not None:
        raise BadInput("reply_tokens is for a single generation; the graph has max_tokens")
    return GraphStrategy(
        budget=budget,
        limits=limits,
        sampling=sampling,
        patience=patience,
        context_window=context_window,
        checkpointer=checkpointer,
    )
