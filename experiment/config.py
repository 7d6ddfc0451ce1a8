"""The configuration of the laboratory experiment: a section a part."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from ddxgraph.common.errors import LoopError
from ddxgraph.common.toml import Settings, read_toml, settings_of
from ddxgraph.graph.budget import Budget
from ddxgraph.lab.level import LEVELS
from ddxgraph.nodes.strategies import GRAPH
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.loop.config import EngineSettings, base_model_of, gate_of, train_of
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.styles.compile import StyleName
from ddxgraph.training.styles.registry import style_of

SHIPPED: Final = ("full", "quick")
"""Names of the configurations that ship."""


class Teaching(Settings):
    """The traversals that journeys are made of."""

    cases: int = Field(default=64, ge=1)
    """Cases of each level, for the arms of equal numbers of cases."""
    misread: float = Field(default=0.4, ge=0, le=1)
    """Probability that the teacher misreads a finding for one candidate, where that puts a wrong one in front."""
    overlooked: float = Field(default=0.0, ge=0, le=1)
    """Probability that its first reading passes over a finding, where that takes the right one from the front."""


class Testing(Settings):
    """The held-out cases, the same for all arms and seeds."""

    split: Literal["dev", "test"] = "test"
    """Of ddxlab."""
    cases: int = Field(default=100, ge=1)
    """Cases of each level."""
    concurrency: int = Field(default=100, ge=1)
    """Traversals at a time."""
    reply_tokens: int = Field(default=1024, ge=64)
    """Most tokens of a single generation."""


class Spending(Settings):
    """Accuracy under growing spending: votes over samples of a single generation, and budgets of the graph."""

    cases: int = Field(default=20, ge=0)
    """Test cases of each level, the first of those above; 0: none of this."""
    vote: tuple[StyleName, ...] = ("shortcut", "longstep")
    """Styles whose samples vote."""
    samples: int = Field(default=16, ge=2)
    """Samples of each case to vote over."""
    temperature: float = Field(default=0.7, gt=0, le=2)
    """Sampling temperature of the votes."""
    max_tokens: tuple[int, ...] = ()
    """Budgets of the graph in tokens, prompt and completion, beside the unlimited one."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if any(style_of(name).strategy == GRAPH for name in self.vote):
            raise ValueError("vote is for single generations; the graph has max_tokens")
        return self


class SecondRound(Settings):
    """The graph's student trains on its own successful traversals."""

    cases: int = Field(default=30, ge=0)
    """Training cases of each level, another draw than the teacher had; 0: no second round."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature."""
    learning_rate: float | None = Field(default=1e-4, gt=0)
    """Peak learning rate of the training that goes on from the first round's adapter; None: that of [train]."""


class _PlainConfig(Settings):
    """What the experiment does, but for the gate and the training."""

    seeds: tuple[int, ...] = (0, 1)
    """Each gives another choice of training cases, other wrong turns, another wording, other first weights."""
    levels: tuple[int, ...] = tuple(LEVELS)
    """Levels of difficulty, easiest first."""
    base_model: str = "smollm2"
    """A folder relative to this file, a hub's id, or `smollm2`, the small model that ships."""
    styles: tuple[StyleName, ...] = ("longstep", "graph", "shortcut", "longmonolog", "cot")
    """An arm each, trained on the same cases."""
    equal_tokens: tuple[StyleName, ...] = ("shortcut",)
    """Styles that get a second arm, on more cases: as many training tokens as the first of `styles` has."""
    teacher: Teaching = Teaching()
    """The traversals that journeys are made of."""
    test: Testing = Testing()
    """The held-out cases."""
    spending: Spending = Spending()
    """Votes and budgets."""
    second_round: SecondRound = SecondRound()
    """Self-improvement."""
    engine: EngineSettings = EngineSettings()
    """What serves the models."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.seeds or not self.styles:
            raise ValueError("seeds and styles must name one at least")
        unknown = [level for level in self.levels if level not in LEVELS]
        if unknown or not self.levels:
            raise ValueError(f"levels must be of {', '.join(map(str, LEVELS))}")
        lacking = ({*self.equal_tokens, *self._voting} | self._graph_needed) - set(self.styles)
        if lacking:
            raise ValueError(f"{', '.join(sorted(lacking))} must be among styles: other parts build on it")
        return self

    @property
    def _voting(self) -> tuple[StyleName, ...]:
        return self.spending.vote if self.spending.cases else ()

    @property
    def _graph_needed(self) -> set[str]:
        budgets = self.spending.cases and self.spending.max_tokens
        return {"graph"} if budgets or self.second_round.cases else set()


class ExperimentConfig(_PlainConfig):
    """All settings of the experiment."""

    gate: GateConfig = GateConfig()
    """The gate's settings."""
    train: TrainConfig = TrainConfig()
    """The trainer's settings; its seed and base model are not heeded."""

    def budget(self, max_tokens: int | None = None) -> Budget:
        """Of a traversal of the graph."""
        return Budget(max_tokens=max_tokens) if max_tokens else Budget()


class ExperimentFile(NamedTuple):
    """A configuration, and where its paths begin."""

    config: ExperimentConfig
    path: Path

    @property
    def base_model(self) -> str:
        """The base model as transformers and vLLM take it.

        Raises:
            LoopError: it is written as a path, and no folder is there.
        """
        return base_model_of(self.path, self.config.base_model)


def read_experiment(path: Path | str) -> ExperimentFile:
    """The configuration in a TOML file; what it does not name keeps its default.

    Raises:
        LoopError: the file cannot be read, or a setting in it is unknown or impossible; it names file and key.
    """
    return _experiment(read_toml(path, LoopError), Path(path))


def shipped(name: str) -> str:
    """The text of a configuration that ships: `full` or `quick`."""
    return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def _experiment(told: Mapping[str, object], path: Path) -> ExperimentFile:
    plain = {name: table for name, table in told.items() if name not in {"gate", "train"}}
    config = settings_of(plain, ExperimentConfig, path, LoopError)
    rest = {"gate": gate_of(told.get("gate"), path), "train": train_of(told.get("train"), path)}
    return ExperimentFile(config.model_copy(update=rest), path)
