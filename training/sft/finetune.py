"""Fine-tuning, wired: base models by name, and canaries for the adapter that comes of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddxgraph.common.errors import AdapterError, TrainingError
from ddxgraph.serving.adapters.canary import write_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.dequantized import model_folder
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import base_digest
from ddxgraph.training.sft.tokens import read_journeys

if TYPE_CHECKING:
    from ddxgraph.training.sft.base import Base, Start
    from ddxgraph.training.sft.card import TrainingCard
    from ddxgraph.training.sft.train import Hooks


def finetune(
    data: Path | str,
    config: TrainConfig,
    out: Path | str,
    *,
    start: Path | str | None = None,
    hooks: "Hooks | None" = None,
) -> "TrainingCard":
    """Fine-tune a LoRA adapter on a set of journeys; needs the extra `train`.

    Broken off, the same call goes on from the last checkpoint; done, it returns at once.

    Args:
        data: the folder of a set that `make_journeys` made.
        config: all settings, the base model among them.
        out: the adapter's folder, which must not exist (or hold the adapter of the very same job).
        start: an adapter of the same base model to go on from.
        hooks: progress, and a way to stop; see `ddxgraph.training.sft.train.Hooks`.

    Returns:
        The training card. Beside it in the folder: `adapter_config.json`, `adapter_model.safetensors`,
        `canaries.json`, `samples.jsonl`, `README.md`.

    Raises:
        JourneySetError, SampleFileError, TrainingDataError: the set cannot be trained on as asked.
        TrainConfigError: the settings do not fit the devices or the base model.
        TrainingError: a base model, adapter or folder cannot be read or written, or is in the way.
        WeightsError: the shipped model cannot be had.
        Stopped: `hooks.stop` said so; a checkpoint is there.
    """
    from ddxgraph.training.sft.train import Hooks, train  # noqa: PLC0415 - needs the extra

    manifest = read_journeys(Path(data))  # before a base model is fetched or read, which may take long
    base = base_of(config.base_model)
    begun = _begun(Path(start)) if start else None
    wired = replace(hooks or Hooks(), finish=_canaries(base.path))
    return train(Path(data), manifest, config, Path(out), base, start=begun, hooks=wired)


def merge_adapter(adapter: Path | str, out: Path | str, base_model: str | None = None) -> Path:
    """Write a base model with an adapter merged into its weights; needs the extra `adapters`.

    Args:
        adapter: the adapter's folder.
        out: the folder to write; must not exist.
        base_model: folder, hub's id or `smollm2`; by default what the adapter itself names.

    Raises:
        AdapterError: it is no adapter.
        TrainingError: it does not fit the base model, or cannot be written.
        WeightsError: the shipped model cannot be had.
    """
    from ddxgraph.training.sft.merge import merge  # noqa: PLC0415 - beside its only use

    read = read_adapter(Path(adapter))
    return merge(read.folder, model_folder(base_model or read.base_model), Path(out))


def base_of(name: str) -> "Base":
    """A base model by folder, hub's id or `smollm2`, with what tells it from others.

    Raises:
        TrainingError, WeightsError: it cannot be read or had.
    """
    from ddxgraph.training.sft.base import Base  # noqa: PLC0415 - needs the extra

    place = model_folder(name)
    folder = Path(place).expanduser()
    if folder.is_dir():
        return Base(str(folder), base_digest(folder))
    if place.startswith((".", "/", "~")):
        raise TrainingError(f"no folder {place!r}; name a folder, a hub's id, or smollm2")
    return Base(place, _commit(place))


def _commit(model_id: str) -> str:
    """The commit of a hub's model that will be loaded."""
    from transformers import AutoConfig  # noqa: PLC0415 - an extra

    try:
        found = AutoConfig.from_pretrained(model_id)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"there is no base model {model_id!r}: no such folder, and the hub says "
            f"{str(error).strip().splitlines()[0]}; name a folder, a hub's id, or smollm2"
        ) from error
    return str(getattr(found, "_commit_hash", None) or "unknown")


def _begun(start: Path) -> "Start":
    from ddxgraph.training.sft.base import Start  # noqa: PLC0415 - needs the extra

    try:
        return Start(start, read_adapter(start).sha256)
    except AdapterError as error:
        raise TrainingError(f"cannot start from {start}: {error}") from error


def _canaries(base: str) -> Callable[[Path, Sequence[str]], None]:
    def make(folder: Path, prompts: Sequence[str]) -> None:
        from ddxgraph.serving.adapters.reference import make_canaries  # noqa: PLC0415 - an extra

        write_canaries(make_canaries(read_adapter(folder), base, prompts=prompts), folder)

    return make
