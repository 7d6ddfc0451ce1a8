"""Configuration of fine-tuning, and the shipped presets."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from ddxgraph.common.errors import TrainConfigError
from ddxgraph.common.toml import Settings, assignment, explained_toml, read_toml, settings_of

_PRESET_KEY: Final = "preset"


class Data(Settings):
    """How the set is read."""

    max_tokens: int = Field(default=8192, ge=16)
    """Longest sample in tokens, chat template included; with packing, the length of a packed row."""
    too_long: Literal["refuse", "drop", "truncate"] = "refuse"
    """What happens to longer samples: refuse to train, drop them, or cut off their end. The card counts
    dropped and cut samples."""
    unreadable: Literal["refuse", "drop"] = "refuse"
    """What happens to samples whose replies cannot be located in the rendered text, such as one that holds a
    special token of the tokenizer."""
    packing: bool = False
    """Pack several samples into a row of `max_tokens` tokens; none attends to another."""
    chat_template: Path | None = None
    """Jinja file that replaces the model's chat template; serve the adapter with the same file."""


class Lora(Settings):
    """The adapter (LoRA, arXiv 2106.09685)."""

    rank: int = Field(default=16, ge=1)
    """Rank of the update."""
    alpha: float = Field(default=32, gt=0)
    """Scale of the update, which is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapter's inputs dropped in training."""
    modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the linear layers to adapt; `all-linear`: all but the output layer."""


class Optimization(Settings):
    """Optimizer and schedule."""

    epochs: float = Field(default=3.0, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps after which to stop, regardless of `epochs`; no limit where absent."""
    batch_size: int = Field(default=8, ge=1)
    """Samples (with packing: rows) per optimizer step, over all devices and accumulation steps."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Samples (with packing: rows) per device and forward pass."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """Learning rate schedule after the warm-up."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises to its peak."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradients are clipped to this norm; 0: no clipping."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size = {self.batch_size} is not a multiple of micro_batch_size = {self.micro_batch_size}"
            )
        return self


class Machine(Settings):
    """Precision, attention and memory."""

    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number format of base weights and activations; auto: bfloat16 on a GPU, float32 without."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """Implementation of attention; auto: flash_attention_2 on a GPU where its package is installed, else sdpa."""
    gradient_checkpointing: bool = True
    """Recompute activations instead of keeping them."""


class Watch(Settings):
    """Logging, evaluation and checkpoints."""

    log_steps: int = Field(default=1, ge=1)
    """Steps between log entries."""
    evaluate_steps: int | None = Field(default=None, ge=1)
    """Steps between evaluations on the validation samples; once per epoch where absent."""
    save_steps: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; once per epoch where absent."""
    checkpoints: int = Field(default=2, ge=1)
    """Number of checkpoints to keep."""
    samples: int = Field(default=2, ge=0)
    """Number of validation prompts (else training prompts) answered at each evaluation."""
    sample_tokens: int = Field(default=128, ge=1)
    """Token limit of these answers."""
    canaries: int = Field(default=4, ge=0)
    """Number of training prompts for canaries, which prove that a server applies the adapter; 0: none
    (`ddxgraph adapters canaries` makes them later)."""
    report_to: tuple[str, ...] = ()
    """Trackers supported by transformers, such as `tensorboard` or `wandb`; each needs its own package."""


class TrainConfig(Settings):
    """All settings of fine-tuning.

    Example:
        >>> config = TrainConfig(base_model="Qwen/Qwen2.5-7B-Instruct", lora={"rank": 8})
        >>> config.lora.rank, config.lora.alpha
        (8, 32)
    """

    base_model: str = "smollm2"
    """A folder, a hub id, or `smollm2`, the model that ships."""
    seed: int = 0
    """Seed of the adapter's initial weights and of the data's order."""
    data: Data = Data()
    """The set."""
    lora: Lora = Lora()
    """The adapter."""
    optimization: Optimization = Optimization()
    """The optimizer."""
    machine: Machine = Machine()
    """The machine."""
    watch: Watch = Watch()
    """The log."""


def presets() -> list[str]:
    """Names of the shipped presets."""
    return _shipped("preset-", ".toml")


def preset_text(name: str) -> str:
    """The text of a preset.

    Raises:
        TrainConfigError: there is no such preset.
    """
    return _text("preset", name, presets(), f"preset-{name}.toml")


def launches() -> list[str]:
    """Names of the shipped `accelerate launch` configurations for several GPUs."""
    return _shipped("launch-", ".yaml")


def launch_text(name: str) -> str:
    """The text of an `accelerate launch` configuration.

    Raises:
        TrainConfigError: there is no such file.
    """
    return _text("configuration", name, launches(), f"launch-{name}.yaml")


def _shipped(begins: str, ends: str) -> list[str]:
    names = (path.name for path in files(__package__).iterdir())
    found = (name for name in names if name.startswith(begins) and name.endswith(ends))
    return sorted(name.removeprefix(begins).removesuffix(ends) for name in found)


def _text(what: str, name: str, known: Sequence[str], file: str) -> str:
    if name not in known:
        raise TrainConfigError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return files(__package__).joinpath(file).read_text(encoding="utf-8")


def train_config(table: Mapping[str, Any], where: object) -> TrainConfig:
    """Settings from the tables of a TOML file, laid over the preset that `preset` names, if any.

    Args:
        table: as parsed.
        where: the file's name, for errors; paths in the table are relative to its folder.

    Raises:
        TrainConfigError: a setting is unknown or invalid, or there is no such preset.
    """
    own = {key: value for key, value in table.items() if key != _PRESET_KEY}
    if _PRESET_KEY in table:
        own = _laid_over(_preset_table(str(table[_PRESET_KEY])), own)
    return _with_paths(settings_of(own, TrainConfig, where, TrainConfigError), Path(str(where)).parent)


def read_train_config(path: Path) -> TrainConfig:
    """Read the configuration from a TOML file.

    Raises:
        TrainConfigError: the file cannot be read; see also `train_config`.
    """
    return train_config(read_toml(path, TrainConfigError), path)


def overridden(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """A configuration with some settings of the command line laid over it.

    Args:
        config: the configuration.
        settings: each as `KEY=VALUE`, such as `data.max_tokens=4096`; a later one wins.

    Returns:
        The new configuration.

    Raises:
        TrainConfigError: a setting is unknown or invalid.
    """
    table: dict[str, Any] = config.model_dump()
    for text in settings:
        table = _laid_over(table, assignment(text, TrainConfigError))
    return settings_of(table, TrainConfig, "--set", TrainConfigError)


def default_toml() -> str:
    """The default configuration as a commented TOML file."""
    return explained_toml(TrainConfig, "Settings of fine-tuning.")


def _preset_table(name: str) -> dict[str, Any]:
    return tomllib.loads(preset_text(name))


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        joined[key] = _laid_over(below, value) if both else value  # type: ignore[arg-type]
    return joined


def _with_paths(config: TrainConfig, folder: Path) -> TrainConfig:
    template = config.data.chat_template
    if template is None or template.is_absolute():
        return config
    data = config.data.model_copy(update={"chat_template": folder / template})
    return config.model_copy(update={"data": data})
