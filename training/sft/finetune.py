"""Fine-tuning with a base model by name, and canaries for the adapter."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ddxgraph.common.errors import AdapterError, TrainingError, first_line
from ddxgraph.common.offline import need_hub
from ddxgraph.serving.adapters.canary import write_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.weights import model_folder
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

    Repeat an interrupted call to resume from the last checkpoint. A training that is done returns at once.

    Args:
        data: the folder of a set that `make_journeys` made.
        config: all settings, including the base model.
        out: the adapter's folder; must not exist, or must hold the adapter of the same job.
        start: an adapter of the same base model to continue from.
        hooks: progress, and a way to stop; see `ddxgraph.training.sft.train.Hooks`.

    Returns:
        The training card. Beside it in the folder: `adapter_config.json`, `adapter_model.safetensors`,
        `canaries.json`, `samples.jsonl`, `README.md`.

    Raises:
        JourneySetError, SampleFileError, TrainingDataError: the set cannot be trained on as asked.
        TrainConfigError: the settings do not fit the devices or the base model.
        TrainingError: a base model, adapter or folder cannot be read or written, or is in the way.
        WeightsError: the shipped model cannot be obtained.
        Stopped: `hooks.stop` returned True; a checkpoint is saved.
    """
    from ddxgraph.training.sft.train import Hooks, train  # noqa: PLC0415 - needs the extra

    manifest = read_journeys(Path(data))  # before a base model is fetched or read, which may take long
    base = base_of(config.base_model)
    begun = _begun(Path(start)) if start else None
    wired = replace(hooks or Hooks(), finish=_canaries(base.path))
    return train(Path(data), manifest, config, Path(out), base, start=begun, hooks=wired)


def merge_adapter(adapter: Path | str, out: Path | str, base_model: str | None = None) -> Path:
    """Merge an adapter into its base model and save the result; needs the extra `adapters`.

    Args:
        adapter: the adapter's folder.
        out: the folder to write; must not exist.
        base_model: a folder, an id of the Hugging Face Hub, or `smollm2`; by default what the adapter names.

    Returns:
        The folder written.

    Raises:
        AdapterError: `adapter` is no adapter.
        TrainingError: it does not fit the base model, or cannot be written.
        WeightsError: the shipped model cannot be obtained.
    """
    from ddxgraph.training.sft.merge import merge  # noqa: PLC0415 - beside its only use

    read = read_adapter(Path(adapter))
    return merge(read.folder, model_folder(base_model or read.base_model), Path(out))


def base_of(name: str) -> "Base":
    """A base model by folder, id of the Hugging Face Hub, or `smollm2`, with its digest or commit.

    Raises:
        TrainingError, WeightsError: it cannot be read or obtained.
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
    """The commit of a model of the Hub that will be loaded."""
    from transformers import AutoConfig  # noqa: PLC0415 - an extra

    need_hub(model_id)

    try:
        config = AutoConfig.from_pretrained(model_id, trust_remote_code=False)
    except Exception as error:  # transformers raises what its parts do
        raise TrainingError(
            f"there is no base model {model_id!r}: no such folder, and the hub says "
            f"{first_line(error)}; name a folder, a hub's id, or smollm2"
        ) from error
    return str(getattr(config, "_commit_hash", None) or "unknown")


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
