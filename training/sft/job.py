"""A training and its place: what is trained on what, where its checkpoints lie, whether it is done already."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.batch.manifest import changes_between
from ddxgraph.common.errors import TrainingError
from ddxgraph.common.files import FolderBusy, folder_held, write_whole
from ddxgraph.training.sets.folder import sha256_of
from ddxgraph.training.sets.manifest import SetManifest, data_file
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.styles.compile import StyleName

CARD: Final = "training.json"
"""The training card, in the adapter's folder; its field `job` is the job."""

DRAFT: Final = "adapter"
"""In the work folder, the adapter's until it is whole."""

_JOB: Final = "job.json"
_LOCK: Final = "training.lock"
_STATE: Final = "trainer_state.json"
"""What transformers writes last into a checkpoint."""
_WEIGHTS: Final = ("*.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "*.jinja")
_MOST_NAMED: Final = 4


class TrainingJob(BaseModel):
    """What decides the weights of an adapter. Two jobs that are equal give the same adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: TrainConfig
    base_sha256: str
    """Of the base model's files; of a hub's model its commit instead."""
    data: Mapping[str, str]
    """Data file to SHA-256."""
    style: StyleName
    prompt_hashes: tuple[str, ...]
    """Of the prompt sets that the samples answer."""
    start_sha256: str | None = None
    """Of the adapter that the training starts from."""
    processes: int = 1
    """Over which a batch is divided."""


def data_hashes(manifest: SetManifest) -> dict[str, str]:
    """Data file to SHA-256, of a set."""
    return {data_file(side): manifest.files[data_file(side)].sha256 for side in manifest.sides}


def base_digest(folder: Path) -> str:
    """SHA-256 over names and contents of a base model's weights, configuration and tokenizer.

    Raises:
        TrainingError: the folder holds no such files, or they cannot be read.
    """
    paths = sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in paths):
        raise TrainingError(
            f"{folder} holds no weights in safetensors; a base model is a folder that transformers' "
            "save_pretrained writes"
        )
    try:
        lines = [f"{sha256_of(path)}  {path.name}\n" for path in paths]
    except OSError as error:
        raise TrainingError(f"cannot read the base model in {folder}: {error.strerror or error}") from None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def work_folder(out: Path) -> Path:
    """Where the checkpoints of a training lie until its adapter is whole."""
    place = out.resolve()
    return place.with_name(f"{place.name}.training")


@contextmanager
def claimed(out: Path, job: TrainingJob) -> Iterator[Path]:
    """The work folder of a job, for one training at a time; what it holds of the same job stays.

    Of a training's several processes the main one claims it.

    Raises:
        TrainingError: another training is or was at work there.
        OSError: it cannot be written.
    """
    folder = work_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(folder_held(folder, _LOCK))
        except FolderBusy as busy:
            raise TrainingError(
                f"a training is at work in {folder} ({busy.holder}): wait for it, or stop it"
            ) from None
        _settle(folder, job)
        _tidy(folder)
        yield folder


def _settle(folder: Path, job: TrainingJob) -> None:
    known = folder / _JOB
    if known.exists():
        there = _read(known)
        if changes := _changes(there, job):
            raise TrainingError(
                f"{folder} holds the checkpoints of another training: {changes}; name another --out, or delete "
                "that folder"
            )
        return
    others = [path.name for path in folder.iterdir() if path.name not in {_LOCK, f"{_JOB}.new"}]
    if others:
        raise TrainingError(f"{folder} holds other files than a training's: name another --out")
    write_whole(known, job.model_dump_json(indent=1) + "\n")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return TrainingJob.model_validate_json(path.read_bytes()).model_dump(mode="json")
    except (OSError, ValidationError):
        raise TrainingError(
            f"{path} is no record of a training of this version: delete its folder to begin anew"
        ) from None


def _changes(there: Mapping[str, Any], job: TrainingJob) -> str:
    """In what a job is another one than what is there, in words; empty where it is the same."""
    changes = changes_between(there, job.model_dump(mode="json"))
    return "; ".join(map(str, changes[:_MOST_NAMED]))


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole."""
    whole = (path for path in folder.glob("checkpoint-*") if _is_whole(path))
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _tidy(folder: Path) -> None:
    """Delete what a kill or a full disk left in part."""
    for path in folder.glob("checkpoint-*"):
        if not _is_whole(path):
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / DRAFT, ignore_errors=True)


def _is_whole(checkpoint: Path) -> bool:
    try:
        return isinstance(json.loads((checkpoint / _STATE).read_bytes()), dict)
    except (OSError, ValueError):
        return False


def done_already(out: Path, job: TrainingJob) -> bool:
    """Whether the adapter of this very job is in its place.

    Raises:
        TrainingError: something else is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    card = out / CARD
    if not card.is_file():
        raise TrainingError(f"{out} exists and is no adapter of `ddxgraph train`: name another --out")
    try:
        there = json.loads(card.read_bytes())["job"]
    except (OSError, ValueError, LookupError, TypeError):
        raise TrainingError(f"{card} cannot be read: name another --out, or delete the folder") from None
    if changes := _changes(there, job):
        raise TrainingError(f"{out} exists and holds another adapter: {changes}; name another --out")
    return True


def forget(folder: Path) -> None:
    """Delete a work folder whose adapter is in its place."""
    with suppress(OSError):
        shutil.rmtree(folder)
