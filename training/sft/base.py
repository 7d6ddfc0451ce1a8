"""The base model as a training needs it: tokenizer, chat template, and weights with a LoRA adapter on them.

Needs the extra `train`.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from ddxgraph.common.errors import TrainConfigError, TrainingDataError, TrainingError, first_line
from ddxgraph.common.files import read_input
from ddxgraph.training.sft.config import TrainConfig


class Base(NamedTuple):
    """The base model."""

    path: str
    """A folder, or a hub's id."""
    sha256: str
    """Of its files; for a hub's model, its commit."""


class Start(NamedTuple):
    """An adapter from which a training starts."""

    path: Path
    sha256: str


def tokenizer_of(base: Base) -> Any:
    """The base model's tokenizer.

    Raises:
        TrainingError: it cannot be loaded.
        TrainingDataError: it is not a fast tokenizer, so it does not tell where a token stands in its text.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.path, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parts do
        raise _not_loaded(base, error) from error
    if not tokenizer.is_fast:
        raise TrainingDataError(
            f"the tokenizer of {base.path} does not tell where a token stands in its text; use a base model that "
            "has a tokenizer.json"
        )
    return tokenizer


def template_of(config: TrainConfig) -> str | None:
    """The chat template that the configuration names; None where the tokenizer's own is used.

    Raises:
        TrainConfigError: the file cannot be read.
    """
    path = config.data.chat_template
    if path is None:
        return None
    try:
        return read_input(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainConfigError(f"data.chat_template: cannot read {path}: {error}") from None


def precision_of(config: TrainConfig) -> str:
    """Number format of the weights, as torch names it."""
    if config.machine.precision == "auto":
        return "bfloat16" if torch.cuda.is_available() else "float32"
    return config.machine.precision


def attention_of(config: TrainConfig) -> str:
    """Implementation of attention, as transformers names it."""
    if config.machine.attention != "auto":
        return config.machine.attention
    return "flash_attention_2" if torch.cuda.is_available() and find_spec("flash_attn") else "sdpa"


def adapted_model(config: TrainConfig, base: Base, start: Start | None) -> Any:
    """The base model with a LoRA adapter to train.

    Args:
        config: precision, attention, seed, and the adapter's shape.
        base: the base model.
        start: an adapter to go on from; a new one where None.

    Returns:
        A PEFT model.

    Raises:
        TrainingError: the base model cannot be loaded, or `start` does not fit it.
        TrainConfigError: `lora.modules` names no layer of the base model, or `lora.rank` is not that of `start`.
    """
    torch.manual_seed(config.seed)  # the adapter's first weights
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base.path,
            dtype=getattr(torch, precision_of(config)),
            attn_implementation=attention_of(config),
            use_safetensors=True,
            trust_remote_code=False,
        )
    except Exception as error:  # transformers raises what its parts do
        raise _not_loaded(base, error) from error
    if start:
        return _continued(model, start.path, config)
    modules = config.lora.modules
    adapter = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,  # type: ignore[arg-type]  # a float is as good
        lora_dropout=config.lora.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, adapter)
    except ValueError as error:
        raise TrainConfigError(f"lora.modules: {first_line(error)}") from None


def _continued(model: Any, start: Path, config: TrainConfig) -> Any:
    try:
        model = PeftModel.from_pretrained(model, start, is_trainable=True)
    except Exception as error:  # PEFT too
        raise TrainingError(
            f"cannot start from the adapter in {start}: {first_line(error)}; it must be one of this "
            "base model"
        ) from error
    rank = model.peft_config["default"].r
    if rank != config.lora.rank:
        raise TrainConfigError(
            f"lora.rank = {config.lora.rank}, but the adapter to start from, {start}, has rank {rank}: set that"
        )
    return model


def _not_loaded(base: Base, error: Exception) -> TrainingError:
    why = first_line(error)
    return TrainingError(
        f"cannot load the base model {base.path!r}: {why}; name a folder with config.json, weights in "
        "safetensors and a tokenizer, or a hub's id"
    )
