"""The configuration of the improvement loop: a section a stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import Field, model_validator

from ddxgraph.common.errors import GateError, LoopError, TrainConfigError
from ddxgraph.common.toml import Settings, explained_toml, read_toml, settings_of
from ddxgraph.graph.budget import Budget
from ddxgraph.training.gate.config import GateConfig, read_config
from ddxgraph.training.sft.config import TrainConfig, train_config
from ddxgraph.training.styles.compile import StyleName
from ddxgraph.training.styles.registry import check_tries, style_of

StrategyName = Literal["graph", "vanilla", "cot", "longstep", "longmonolog"]
"""How validation cases are taken."""

_BUDGET: Final = Budget()
_OTHERS_AWAY_S: Final = 600.0
_OURS_AWAY_S: Final = 30.0


class CaseWork(Settings):
    """Cases, and how they are taken."""

    USUAL_SPLIT: ClassVar[str] = "test"

    cases: str = "medqa"
    """A benchmark's name, or a case file whose every case has its gold answer, relative to this file."""
    split: str | None = None
    """Of a benchmark."""
    limit: int | None = Field(default=None, ge=1)
    """A sample of so many cases; all of them where absent."""
    limit_seed: int = 0
    """Draws another sample."""
    samples: int = Field(default=1, ge=1)
    """Traversals of each case."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    seed: int = 0
    """Sampling seed of the first sample of each case."""
    concurrency: int = Field(default=8, ge=1)
    """Traversals at a time."""
    max_tokens: int = Field(default=_BUDGET.max_tokens, ge=1)
    """Budget of a traversal: prompt and completion tokens over all calls."""
    max_calls: int = Field(default=_BUDGET.max_calls, ge=0)
    """Budget of a traversal: calls to the model."""
    max_backtracks: int = Field(default=_BUDGET.max_backtracks, ge=0)
    """Budget of a traversal: moves back."""

    @property
    def budget(self) -> Budget:
        """Limits of a traversal."""
        return Budget(
            max_tokens=self.max_tokens, max_calls=self.max_calls, max_backtracks=self.max_backtracks
        )


class Generate(CaseWork):
    """Cases of which each round makes journeys, with the adapter that was kept last."""

    USUAL_SPLIT: ClassVar[str] = "train"

    split: str | None = None
    """Of a benchmark; `train` where absent."""
    samples: int = Field(default=3, ge=1)
    """Traversals of each case."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Sampling temperature; at 0 the samples of a case are alike."""
    allow_failed: float = Field(default=0.05, ge=0, le=1)
    """Share of the traversals that may fail for no fault of the model, such as by a time-out. Beyond it the loop
    ends, to be mended; the same command then tries them again."""


class Evaluate(CaseWork):
    """Validation cases, by which an adapter is kept or not. They share nothing with those of [generate]."""

    USUAL_SPLIT: ClassVar[str] = "dev"

    split: str | None = None
    """Of a benchmark; `dev` where absent."""
    strategy: StrategyName = "graph"
    """`graph`, or a single generation: `vanilla`, `cot`, `longstep`, `longmonolog`."""
    reply_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of a single generation; its style's own where absent. Not for the graph."""

    @model_validator(mode="after")
    def _possible(self) -> "Evaluate":
        if self.reply_tokens is not None and self.strategy == "graph":
            raise ValueError("reply_tokens is for a single generation; the graph has max_tokens")
        return self


class Journeys(Settings):
    """How accepted journeys are told."""

    style: StyleName = "longstep"
    """`longstep`, `longmonolog`, `shortcut`, `cot` or `graph`."""
    seed: int = 0
    """Gives another wording."""
    tries: int | None = Field(default=None, ge=2)
    """For longstep and longmonolog: tell at most so many tries of each node on the path; all where absent."""

    @model_validator(mode="after")
    def _possible(self) -> "Journeys":
        check_tries(style_of(self.style), self.tries)
        return self


class EngineSettings(Settings):
    """Where base model and adapters are served: a vLLM that runs already, or one that the loop starts."""

    base_url: str | None = None
    """Address of a running vLLM that loads adapters while it runs (`ddxgraph serve --lora-rank N`). Else
    `DDXGRAPH_BASE_URL`. A key is read from `DDXGRAPH_API_KEY` alone."""
    model: str | None = None
    """Name of the base model there, where several are served."""
    engine: Literal["vllm"] | None = None
    """`vllm`: the loop starts one, stops it while it trains, and stops it at its end."""
    python: str | None = None
    """Interpreter of the environment that vLLM is in; this one where absent."""
    extra: tuple[str, ...] = ()
    """Further flags of vLLM's."""
    lora_rank: int | None = Field(default=None, ge=1)
    """Room for adapters up to this rank; the trainer's rank where absent."""
    merge: bool = False
    """Serve each adapter merged into the base model, on an engine that is started for it. On a processor vLLM
    computes some ten times as fast so; on a GPU it only costs the starts."""
    port: int = Field(default=0, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one."""
    patience_s: float | None = Field(default=None, ge=0)
    """Seconds to wait for an engine that is away. Absent: 600 for a server that runs, which its owner may be
    restarting; 30 for an engine that the loop starts, which nobody starts again once it has ended by itself."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds to wait for one reply."""

    @property
    def away_s(self) -> float:
        """Seconds to wait for an engine that is away."""
        if self.patience_s is not None:
            return self.patience_s
        return _OTHERS_AWAY_S if self.engine is None else _OURS_AWAY_S

    @model_validator(mode="after")
    def _one_of_both(self) -> "EngineSettings":
        if self.base_url is not None and self.engine is not None:
            raise ValueError("base_url is of a server that runs, engine one to start: give one of the two")
        if self.engine is None:
            ours = [name for name in ("python", "extra", "lora_rank", "merge", "port") if getattr(self, name)]
            if ours:
                raise ValueError(
                    f'{", ".join(ours)}: for an engine that the loop starts; add engine = "vllm"'
                )
        return self


class KeepRule(Settings):
    """When a round's adapter is kept; where it is not, the loop stops."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """An adapter is not kept where the paired test shows it worse at this level: p at or below it, and fewer
    right answers than before."""
    min_difference: float | None = Field(default=None, ge=-1, le=1)
    """Least difference in accuracy to what was kept before, such as -0.05: at most five points worse. No such
    limit where absent."""


class _PlainConfig(Settings):
    """What a loop does, but for the gate and the training, which have files of their own too."""

    rounds: int = Field(default=2, ge=1)
    """Rounds to do. May be raised later."""
    start: Literal["kept", "base"] = "kept"
    """What each round trains: `kept`, the adapter that was kept last (on-policy); `base`, a fresh one."""
    base_model: str = "smollm2"
    """A folder relative to this file, a hub's id, or `smollm2`, the small model that ships."""
    gate_config: str | None = None
    """A file with the gate's settings, relative to this one; else [gate], else the gate's defaults."""
    generate: Generate = Generate()
    """Cases to make journeys of."""
    journeys: Journeys = Journeys()
    """How they are told."""
    engine: EngineSettings = EngineSettings()
    """What serves the models."""
    evaluate: Evaluate = Evaluate()
    """Validation cases."""
    keep: KeepRule = KeepRule()
    """When an adapter is kept."""


class LoopConfig(_PlainConfig):
    """All settings of a loop."""

    gate: GateConfig = GateConfig()
    """The gate's settings, whichever file they came from."""
    train: TrainConfig = TrainConfig()
    """The trainer's settings, with those of its preset. The base model in them is not heeded."""


class LoopFile(NamedTuple):
    """A configuration, and where its paths begin."""

    config: LoopConfig
    path: Path

    def place(self, name: str) -> Path:
        """A path that stands in the file."""
        return placed(self.path, name)

    @property
    def base_model(self) -> str:
        """The base model as transformers and vLLM take it: a folder's absolute path, or what the file says.

        Raises:
            LoopError: it is written as a path, and no folder is there.
        """
        return base_model_of(self.path, self.config.base_model)


def placed(path: Path, name: str) -> Path:
    """A path that stands in a configuration file.

    Args:
        path: the file.
        name: what stands there, relative to the file's folder.
    """
    return path.parent / Path(name).expanduser()


def base_model_of(path: Path, name: str) -> str:
    """The base model that a configuration file names: see `LoopFile.base_model`."""
    folder = placed(path, name)
    if folder.is_dir():
        return str(folder.resolve())
    if name.startswith((".", "/", "~")):
        raise LoopError(f"{path}: base_model: no folder {str(folder)!r}")
    return name


def read_loop(path: Path | str) -> LoopFile:
    """The configuration in a TOML file; what it does not name keeps its default.

    Raises:
        LoopError: the file cannot be read, or a setting in it is unknown or impossible; it names file and key.
    """
    told = read_toml(path, LoopError)
    gate, train = told.pop("gate", None), told.pop("train", None)
    file = LoopFile(settings_of(told, LoopConfig, path, LoopError), Path(path))
    rest = {"gate": _gate(file, gate), "train": train_of(train, file.path)}
    return file._replace(config=file.config.model_copy(update=rest))


def _section(path: Path, name: str, table: object) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise LoopError(f"{path}: {name} must be a section, [{name}]")
    return table


def _gate(file: LoopFile, table: object) -> GateConfig:
    other = file.config.gate_config
    if other is None:
        return gate_of(table, file.path)
    if table is not None:
        raise LoopError(f"{file.path}: [gate] and gate_config both set the gate: leave one of them out")
    try:
        return read_config(file.place(other))
    except GateError as error:
        raise LoopError(f"{file.path}: gate_config: {error}") from None


def gate_of(table: object, path: Path) -> GateConfig:
    """The gate's settings in the section `[gate]` of a configuration file; None: its defaults.

    Raises:
        LoopError: it is no section, or a setting is unknown or impossible.
    """
    told = {} if table is None else _section(path, "gate", table)
    return settings_of(told, GateConfig, f"{path}, [gate]", LoopError)


def train_of(table: object, path: Path) -> TrainConfig:
    """The trainer's settings in the section `[train]` of a configuration file; None: its defaults.

    Raises:
        LoopError: it is no section, or a setting is unknown or impossible.
    """
    told = {} if table is None else _section(path, "train", table)
    if "base_model" in told:
        raise LoopError(f"{path}: base_model belongs at the top, not into [train]")
    where = f"{path}, [train]"
    try:
        return train_config(told, where)
    except TrainConfigError as error:
        said = str(error)
        raise LoopError(said if said.startswith(where) else f"{where}: {said}") from None


def default_toml() -> str:
    """The default configuration as a TOML file that explains itself."""
    return explained_toml(_PlainConfig, "Settings of the improvement loop.") + _REST


_REST: Final = """\
# The gate's settings, as `ddxgraph journeys default-config` prints them, with [gate.length] for [length].
[gate]

# The trainer's settings: a preset, and what is to differ from it, with [train.lora] for [lora].
[train]
# preset = "smollm2-cpu"
"""
