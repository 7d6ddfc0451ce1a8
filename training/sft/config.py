"""The configuration of fine-tuning, and the presets that ship."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from ddxgraph.common.errors import TrainConfigError
from ddxgraph.common.toml import Settings, explained_toml, read_toml, settings_of

_PRESET_KEY: Final = "preset"


class Data(Settings):
    """What is read of the set, and how."""

    max_tokens: int = Field(default=8192, ge=16)
    """Longest sample in tokens, chat template included; with packing, the length of a packed row."""
    too_long: Literal["refuse", "drop", "truncate"] = "refuse"
    """What becomes of longer samples: training is refused, they are dropped, or their end is cut off. Dropped and
    cut ones are counted in the card."""
    unreadable: Literal["refuse", "drop"] = "refuse"
    """What becomes of samples whose replies cannot be told in the rendered text, such as one that holds a special
    token of the tokenizer."""
    packing: bool = False
    """Several samples in a row of `max_tokens` tokens, none of which sees another."""
    chat_template: Path | None = None
    """A Jinja file to render with instead of the model's own template; serve the adapter with the same file."""


class Lora(Settings):
    """The adapter (LoRA, arXiv 2106.09685)."""

    rank: int = Field(default=16, ge=1)
    """Rank of the update."""
    alpha: float = Field(default=32, gt=0)
    """Scale of the update: it is multiplied by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapter's inputs that are dropped while training."""
    modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"
    """Names of the linear layers that are adapted; all but the output layer where `all-linear`."""


class Optimization(Settings):
    """How the weights are moved."""

    epochs: float = Field(default=3.0, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Optimizer steps to end after, whatever `epochs` says; no limit where absent."""
    batch_size: int = Field(default=8, ge=1)
    """Samples (with packing: rows) of one optimizer step, over all devices and accumulated passes."""
    micro_batch_size: int = Field(default=1, ge=1)
    """Samples (with packing: rows) that one device takes at a time."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """Course of the learning rate after the warm-up."""
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps over which the learning rate rises to its peak."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Norm that gradients are clipped to; 0: they are not."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size = {self.batch_size} is no multiple of micro_batch_size = {self.micro_batch_size}"
            )
        return self


class Machine(Settings):
    """How it is computed."""

    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """Number format of base weights and activations; auto: bfloat16 on a GPU, float32 without."""
    attention: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"
    """Implementation of attention; auto: flash_attention_2 on a GPU where its package is installed, else sdpa."""
    gradient_checkpointing: bool = True
    """Compute activations twice instead of keeping them."""


class Watch(Settings):
    """What is looked at and kept on the way."""

    log_steps: int = Field(default=1, ge=1)
    """Steps between two entries of the log of losses."""
    evaluate_steps: int | None = Field(default=None, ge=1)
    """Steps between two evaluations on the validation side; once an epoch where absent."""
    save_steps: int | None = Field(default=None, ge=1)
    """Steps between two checkpoints; once an epoch where absent."""
    checkpoints: int = Field(default=2, ge=1)
    """Checkpoints that are kept."""
    samples: int = Field(default=2, ge=0)
    """Validation prompts (training prompts where there are none) that are answered at each evaluation."""
    sample_tokens: int = Field(default=128, ge=1)
    """Longest of these answers, in tokens."""
    canaries: int = Field(default=4, ge=0)
    """Training prompts from which canaries are made, by which a server is proven to apply the adapter; 0: none
    (`ddxgraph adapters canaries` makes them later)."""
    report_to: tuple[str, ...] = ()
    """Trackers that transformers knows, such as `tensorboard` or `wandb`; each needs its own package."""


class TrainConfig(Settings):
    """All settings of fine-tuning.

    Example:
        >>> config = TrainConfig(base_model="Qwen/Qwen2.5-7B-Instruct", lora={"rank": 8})
        >>> config.lora.rank, config.lora.alpha
        (8, 32)
    """

    base_model: str = "smollm2"
    """A folder, a hub's id, or `smollm2`, the model that ships."""
    seed: int = 0
    """Of the adapter's first weights and of the data's order."""
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
    """Names of the presets that ship."""
    return _shipped("preset-", ".toml")


def preset_text(name: str) -> str:
    """The file of a preset.

    Raises:
        TrainConfigError: there is no such preset.
    """
    return _text("preset", name, presets(), f"preset-{name}.toml")


def launches() -> list[str]:
    """Names of the configurations of `accelerate launch` that ship, for several GPUs."""
    return _shipped("launch-", ".yaml")


def launch_text(name: str) -> str:
    """The file of a configuration of `accelerate launch`.

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
    """Settings from the tables of a TOML file; `preset` may name one that the others are laid over.

    Args:
        table: as parsed.
        where: the file's name, for errors; a path in the table is relative to the file's folder.

    Raises:
        TrainConfigError: a setting is unknown or impossible, or there is no such preset.
    """
    own = {key: value for key, value in table.items() if key != _PRESET_KEY}
    if _PRESET_KEY in table:
        own = _laid_over(_preset_table(str(table[_PRESET_KEY])), own)
    return _with_paths(settings_of(own, TrainConfig, where, TrainConfigError), Path(str(where)).parent)


def read_train_config(path: Path) -> TrainConfig:
    """The configuration in a TOML file.

    Raises:
        TrainConfigError: the file cannot be read, or as `train_config`.
    """
    return train_config(read_toml(path, TrainConfigError), path)


def default_toml() -> str:
    """The default configuration as a TOML file that explains itself."""
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
