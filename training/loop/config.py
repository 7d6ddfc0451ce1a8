"""The configuration of the improvement loop, one section per stage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

from pydantic import AfterValidator, Field, model_validator

from ddxgraph.common.errors import GateError, LoopError, TrainConfigError
from ddxgraph.common.files import real
from ddxgraph.common.toml import Settings, explained_toml, read_toml, settings_of
from ddxgraph.graph.budget import Budget
from ddxgraph.nodes.strategies import GRAPH, known_strategy
from ddxgraph.training.gate.config import GateConfig, read_config
from ddxgraph.training.sft.config import TrainConfig, train_config
from ddxgraph.training.styles.compile import StyleName
from ddxgraph.training.styles.registry import check_tries, style_of

StrategyName = Annotated[str, AfterValidator(known_strategy)]
"""Name of the strategy that takes validation cases."""

_BUDGET: Final = Budget()
_OTHERS_AWAY_S: Final = 600.0
_OURS_AWAY_S: Final = 30.0


class CaseWork(Settings):
    """Cases, and how they are run."""

    USUAL_SPLIT: ClassVar[str] = "test"

    cases: str = "medqa"
    """A benchmark's name, or a case file whose every case has its gold answer, relative to this file."""
    split: str | None = None
    """Of a benchmark."""
    limit: int | None = Field(default=None, ge=1)
    """Number of cases to sample; all where absent."""
    limit_seed: int = 0
    """Seed of that sample."""
    samples: int = Field(default=1, ge=1)
    """Traversals of each case."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    seed: int = 0
    """Sampling seed of the first sample of each case."""
    concurrency: int = Field(default=8, ge=1)
    """Traversals in flight at once."""
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
    """Cases from which each round makes journeys, with the adapter that was kept last."""

    USUAL_SPLIT: ClassVar[str] = "train"

    split: str | None = None
    """Of a benchmark; `train` where absent."""
    samples: int = Field(default=3, ge=1)
    """Traversals of each case."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Sampling temperature; at 0 the samples of a case are alike."""
    allow_failed: float = Field(default=0.05, ge=0, le=1)
    """Share of the traversals that may fail for reasons unrelated to the model, such as a time-out. Beyond it the
    loop ends; fix the cause and rerun to try them again."""


class Evaluate(CaseWork):
    """Validation cases, which decide whether an adapter is kept. They must not overlap with [generate]."""

    USUAL_SPLIT: ClassVar[str] = "dev"

    split: str | None = None
    """Of a benchmark; `dev` where absent."""
    strategy: StrategyName = GRAPH
    """`graph`, or a single generation, such as `vanilla`, `cot` or `longstep`."""
    reply_tokens: int | None = Field(default=None, ge=1)
    """Token limit of a single generation; the style's own where absent. Not for the graph."""

    @model_validator(mode="after")
    def _possible(self) -> "Evaluate":
        if self.reply_tokens is not None and self.strategy == GRAPH:
            raise ValueError("reply_tokens is for a single generation; the graph has max_tokens")
        return self


class Journeys(Settings):
    """How accepted journeys are compiled."""

    style: StyleName = "longstep"
    """Name of a style; `ddxgraph journeys --help` lists them."""
    seed: int = 0
    """Seed of the wording."""
    tries: int | None = Field(default=None, ge=2)
    """For styles that tell whole journeys: most tries told of each node on the path; all where absent."""

    @model_validator(mode="after")
    def _possible(self) -> "Journeys":
        check_tries(style_of(self.style), self.tries)
        return self


class EngineSettings(Settings):
    """What serves base model and adapters: a running vLLM, or one that the loop starts."""

    base_url: str | None = None
    """Address of a running vLLM that can load adapters (`ddxgraph serve --lora-rank N`); where absent,
    `DDXGRAPH_BASE_URL`. The API key is read from `DDXGRAPH_API_KEY` only."""
    model: str | None = None
    """Name of the base model there, where several are served."""
    engine: Literal["vllm"] | None = None
    """`vllm`: the loop starts vLLM, stops it during training, and stops it at the end."""
    python: str | None = None
    """Python interpreter of the environment that holds vLLM; this one where absent."""
    extra: tuple[str, ...] = ()
    """Further vLLM flags."""
    lora_rank: int | None = Field(default=None, ge=1)
    """Largest LoRA rank to serve; the trainer's rank where absent."""
    merge: bool = False
    """Serve each adapter merged into the base model, on an engine started for it. On a CPU vLLM then runs about
    ten times as fast; on a GPU it only costs start-up time."""
    port: int = Field(default=0, ge=0, le=65_535)
    """Port to listen on; 0: any free port."""
    patience_s: float | None = Field(default=None, ge=0)
    """Seconds to wait for an engine that is away. Where absent: 600 for a running server, which its owner may be
    restarting; 30 for an engine that the loop started, which nobody else restarts."""
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
            raise ValueError("base_url names a running server and engine one to start: set one of the two")
        if self.engine is None:
            ours = [name for name in ("python", "extra", "lora_rank", "merge", "port") if getattr(self, name)]
            if ours:
                raise ValueError(
                    f'{", ".join(ours)}: only for an engine that the loop starts; add engine = "vllm"'
                )
        return self


class KeepRule(Settings):
    """When a round's adapter is kept. The loop stops when it is not."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Significance level: the adapter is dropped if it has fewer right answers than before and the paired test
    gives p at or below this."""
    min_difference: float | None = Field(default=None, ge=-1, le=1)
    """Smallest accepted difference in accuracy from what was kept before, such as -0.05 (at most five points
    worse). No limit where absent."""


class _PlainConfig(Settings):
    """All settings except those of the gate and the training, which may have files of their own."""

    rounds: int = Field(default=2, ge=1)
    """Number of rounds. May be raised later."""
    start: Literal["kept", "base"] = "kept"
    """What each round trains: `kept`, the adapter kept last (on-policy); `base`, a new one."""
    base_model: str = "smollm2"
    """A folder relative to this file, a hub id, or `smollm2`, the small model that ships."""
    gate_config: str | None = None
    """A file with the gate's settings, relative to this one; where absent, [gate] or the gate's defaults."""
    generate: Generate = Generate()
    """Cases to make journeys from."""
    journeys: Journeys = Journeys()
    """How journeys are compiled."""
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
    """The trainer's settings, including those of its preset. Its base model is ignored."""


class LoopFile(NamedTuple):
    """A configuration and the file it came from."""

    config: LoopConfig
    path: Path

    def place(self, name: str) -> Path:
        """Resolve a path given in the file."""
        return placed(self.path, name)

    @property
    def base_model(self) -> str:
        """The base model for transformers and vLLM: a folder's absolute path, or the name as given.

        Raises:
            LoopError: it is given as a path and the folder does not exist.
        """
        return base_model_of(self.path, self.config.base_model)


def placed(path: Path, name: str) -> Path:
    """Resolve a path given in a configuration file.

    Args:
        path: the file.
        name: the path, relative to the file's folder.
    """
    return path.parent / Path(name).expanduser()


def base_model_of(path: Path, name: str) -> str:
    """The base model that a configuration file names: see `LoopFile.base_model`."""
    folder = placed(path, name)
    if folder.is_dir():
        return str(real(folder))
    if name.startswith((".", "/", "~")):
        raise LoopError(f"{path}: base_model: no folder {str(folder)!r}")
    return name


def read_loop(path: Path | str) -> LoopFile:
    """Read the configuration from a TOML file; settings it does not name keep their defaults.

    Raises:
        LoopError: the file cannot be read, or a setting is unknown or invalid; the message names file and key.
    """
    table = read_toml(path, LoopError)
    gate, train = table.pop("gate", None), table.pop("train", None)
    file = LoopFile(settings_of(table, LoopConfig, path, LoopError), Path(path))
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
        raise LoopError(f"{file.path}: [gate] and gate_config both set the gate: remove one of them")
    try:
        return read_config(file.place(other))
    except GateError as error:
        raise LoopError(f"{file.path}: gate_config: {error}") from None


def gate_of(table: object, path: Path) -> GateConfig:
    """The gate's settings from the section `[gate]` of a configuration file; None: its defaults.

    Raises:
        LoopError: it is not a section, or a setting is unknown or invalid.
    """
    section = {} if table is None else _section(path, "gate", table)
    return settings_of(section, GateConfig, f"{path}, [gate]", LoopError)


def train_of(table: object, path: Path) -> TrainConfig:
    """The trainer's settings from the section `[train]` of a configuration file; None: its defaults.

    Raises:
        LoopError: it is not a section, or a setting is unknown or invalid.
    """
    section = {} if table is None else _section(path, "train", table)
    if "base_model" in section:
        raise LoopError(f"{path}: base_model belongs at the top of the file, not in [train]")
    where = f"{path}, [train]"
    try:
        return train_config(section, where)
    except TrainConfigError as error:
        text = str(error)
        raise LoopError(text if text.startswith(where) else f"{where}: {text}") from None


def default_toml() -> str:
    """The default configuration as a commented TOML file."""
    return explained_toml(_PlainConfig, "Settings of the improvement loop.") + _REST


_REST: Final = """\
# The gate's settings, as `ddxgraph journeys default-config` prints them, with [gate.length] for [length].
[gate]

# The trainer's settings: a preset and what differs from it, with [train.lora] for [lora].
[train]
# preset = "smollm2-cpu"
"""
