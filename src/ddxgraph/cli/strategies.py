"""Strategies by name, as the command line knows them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ddxgraph.graph.budget import Budget
    from ddxgraph.graph.generation import Style
    from ddxgraph.graph.strategy import Strategy
    from ddxgraph.nodes.patience import Patience
    from ddxgraph.nodes.sampling import Sampling


class StrategyName(StrEnum):
    """Strategies by name."""

    GRAPH = "graph"
    VANILLA = "vanilla"
    COT = "cot"
    LONGSTEP = "longstep"
    LONGMONOLOG = "longmonolog"


_STYLES: "Final[Mapping[StrategyName, Style]]" = {
    StrategyName.VANILLA: "vanilla",
    StrategyName.COT: "cot",
    StrategyName.LONGSTEP: "longstep",
    StrategyName.LONGMONOLOG: "longmonolog",
}


def strategy_of(
    name: StrategyName,
    *,
    budget: "Budget",
    sampling: "Sampling",
    patience: "Patience",
    reply_tokens: int | None = None,
    checkpointer: Any = None,
) -> "Strategy":
    """The strategy that a run's settings describe.

    Args:
        name: which.
        budget: over one traversal.
        sampling: of every call.
        patience: with an engine in trouble.
        reply_tokens: most tokens of a single generation; None: the style's own. The graph has limits instead.
        checkpointer: keeps the graph's walks. A single generation has nothing to keep before it has ended.
    """
    from ddxgraph.graph.generation import GenerationStrategy
    from ddxgraph.graph.strategy import GraphStrategy

    if name is StrategyName.GRAPH:
        return GraphStrategy(budget=budget, sampling=sampling, patience=patience, checkpointer=checkpointer)
    return GenerationStrategy(
        style=_STYLES[name], budget=budget, sampling=sampling, patience=patience, reply_tokens=reply_tokens
    )
