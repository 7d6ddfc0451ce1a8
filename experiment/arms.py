"""The arms of the experiment: what a student is trained on, how it is asked, and about which cases."""

from typing import Final, NamedTuple

from ddxgraph.batch.manifest import Selection
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.experiment.config import ExperimentConfig
from ddxgraph.graph.strategy import Strategy
from ddxgraph.graph.strategy import strategy_of as named_strategy
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.settings import Limits, Sampling
from ddxgraph.nodes.strategies import GRAPH
from ddxgraph.training.loop.cases import LoopCases
from ddxgraph.training.styles.registry import style_of

LIMITS: Final = Limits(
    reasoning_chars=400, note_chars=100, quote_chars=60, findings=8, others=0, weights=4, refutations=1
)
"""What teacher and students may write at a stop of the graph: all that a laboratory case calls for."""
EQUAL_TOKENS: Final = "equal tokens"
SECOND_ROUND: Final = "second round"


class Arm(NamedTuple):
    """An arm."""

    name: str
    """Such as `longstep`, or `shortcut, equal tokens`."""
    style: str
    """How its journeys are told."""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.name.replace(", ", "-").replace(" ", "-")


def arms(config: ExperimentConfig) -> list[Arm]:
    """The arms that a teacher's journeys train, those of equal numbers of cases first."""
    equal = [Arm(f"{style}, {EQUAL_TOKENS}", style) for style in config.equal_tokens]
    return [*(Arm(style, style) for style in config.styles), *equal]


def second_round() -> Arm:
    """The arm whose journeys are the student's own."""
    return Arm(f"graph, {SECOND_ROUND}", "graph")


def cases_for(tokens: int, cases: int, wanted: int) -> int:
    """Cases of each level that give as many training tokens as another arm has.

    Args:
        tokens: of this style's samples.
        cases: of each level, that these samples are of.
        wanted: tokens of the other arm.

    Returns:
        The number of cases, at least 1.
    """
    return max(round(cases * wanted / tokens), 1)


def strategy_of(
    style: str,
    config: ExperimentConfig,
    *,
    patience: Patience,
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
) -> Strategy:
    """How a student of a style takes a case.

    Args:
        style: what it was trained on.
        config: of the experiment.
        patience: with the engine.
        sampling: greedy by default.
        max_tokens: budget of the graph.

    Returns:
        The strategy.
    """
    sampling = sampling or Sampling(temperature=0.0, seed=0)
    strategy = style_of(style).strategy
    graph = strategy == GRAPH
    return named_strategy(
        strategy,
        budget=config.budget(max_tokens) if graph else None,
        limits=LIMITS,
        sampling=sampling,
        patience=patience,
        reply_tokens=None if graph else config.test.reply_tokens,
    )


def level_cases(split: str, level: int, count: int, seed: int = 0) -> LoopCases:
    """Cases of a level of ddxlab, with their gold answers, which no strategy sees.

    Args:
        split: of the benchmark.
        level: its number.
        count: how many.
        seed: draws another sample.

    Returns:
        The first cases of the sample.

    Raises:
        BenchmarkError: the benchmark is not on this machine.
    """
    selection = Selection(
        benchmark="ddxlab", split=split, subset=f"level-{level}", limit=count, limit_seed=seed
    )
    items = load(selection)
    return LoopCases(items.entries, items.selection)
