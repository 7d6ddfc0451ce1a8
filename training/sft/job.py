"""A training job and its folder: what defines it, where its checkpoints are, whether it is done."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.batch.manifest import changes_between
from ddxgraph.common.errors import TrainingError
from ddxgraph.common.files import FolderBusy, folder_held, read_regular, real, sha256_of, write_whole
from ddxgraph.training.sets.manifest import SetManifest, data_file
from ddxgraph.training.sft.checkpoints import newest, settle
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.styles.compile import StyleName

CARD: Final = "training.json"
"""The training card, in the adapter's folder; its field `job` is the job."""

DRAFT: Final = "adapter"
"""Folder of the adapter in the work folder, until it is complete."""

_JOB: Final = "job.json"
_LOCK: Final = "training.lock"
_WEIGHTS: Final = (
    "*.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "*.jinja",
    "*.py",
)
_MOST_NAMED: Final = 4


class TrainingJob(BaseModel):
    """Everything that determines an adapter's weights: equal jobs give the same adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: TrainConfig
    base_sha256: str
    """Of the base model's files; for a hub model, its commit."""
    data: Mapping[str, str]
    """Data file to SHA-256."""
    style: StyleName
    prompt_hashes: tuple[str, ...]
    """Hashes of the prompt sets that the samples answer."""
    start_sha256: str | None = None
    """Of the adapter from which the training starts."""
    processes: int = 1
    """Number of processes that share a batch."""


def data_hashes(manifest: SetManifest) -> dict[str, str]:
    """Data file of a set to its SHA-256."""
    return {data_file(side): manifest.files[data_file(side)].sha256 for side in manifest.sides}


def base_digest(folder: Path) -> str:
    """SHA-256 over names and contents of a base model's weights, configuration, tokenizer and code.

    Raises:
        TrainingError: the folder holds no weights, or they cannot be read.
    """
    paths = sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)})
    if not any(path.suffix == ".safetensors" for path in paths):
        raise TrainingError(
            f"{folder} holds no weights in safetensors; a base model is a folder as written by "
            "transformers' save_pretrained"
        )
    try:
        lines = [f"{sha256_of(path)}  {path.name}\n" for path in paths]
    except OSError as error:
        raise TrainingError(f"cannot read the base model in {folder}: {error.strerror or error}") from None
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def work_folder(out: Path) -> Path:
    """Folder of a training's checkpoints until its adapter is complete."""
    place = real(out)
    return place.with_name(f"{place.name}.training")


def job_digest(folder: Path) -> str:
    """SHA-256 of the record of a training in its work folder; its checkpoints are sealed with it.

    Raises:
        OSError: it cannot be read.
    """
    return sha256_of(folder / _JOB)


def _silent(_sentence: str) -> None:
    """Tell nobody."""


@contextmanager
def claimed(out: Path, job: TrainingJob, tell: Callable[[str], Any] = _silent) -> Iterator[Path]:
    """Lock the work folder of a job; what it already holds of the same job stays.

    A job that fails before its first checkpoint leaves no folder. A folder without a checkpoint is no hindrance.

    Only the main process of a training claims it.

    Args:
        out: the adapter's folder.
        job: what is trained.
        tell: receives a sentence on each checkpoint that is not resumed.

    Raises:
        TrainingError: another training uses or used the folder.
        OSError: it cannot be written.
    """
    folder = work_folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(folder_held(folder, _LOCK))
        except FolderBusy as busy:
            raise TrainingError(
                f"a training is running in {folder} ({busy.holder}): wait for it, or stop it"
            ) from None
        _settle(folder, job, tell)
        shutil.rmtree(folder / DRAFT, ignore_errors=True)
        try:
            yield folder
        except BaseException:
            if _holds_nothing(folder):  # it failed before there was anything to resume
                forget(folder)
            raise


def _settle(folder: Path, job: TrainingJob, tell: Callable[[str], Any]) -> None:
    known = folder / _JOB
    if known.exists():
        there = _read(known)
        if newest(folder) and (changes := _changes(there, job)):
            raise TrainingError(
                f"{folder} holds the checkpoints of another training: {changes}; choose another --out, or "
                "delete that folder"
            )
        if settle(folder, job_digest(folder), tell):
            return
    elif any(path.name not in {_LOCK, f"{_JOB}.new"} for path in folder.iterdir()):
        raise TrainingError(f"{folder} holds other files than a training's: choose another --out")
    write_whole(known, job.model_dump_json(indent=1) + "\n")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return TrainingJob.model_validate_json(read_regular(path)).model_dump(mode="json")
    except (OSError, ValidationError):
        raise TrainingError(
            f"{path} is not a training record of this version: delete its folder to start again"
        ) from None


def _changes(there: Mapping[str, Any], job: TrainingJob) -> str:
    """Describe how a job differs from the recorded one; empty where they are equal."""
    changes = changes_between(there, job.model_dump(mode="json"))
    return "; ".join(map(str, changes[:_MOST_NAMED]))


def _holds_nothing(folder: Path) -> bool:
    """Whether a work folder has neither a checkpoint nor a file that is not a training's."""
    names = {path.name for path in folder.iterdir() if not path.match("checkpoint-*")}
    return newest(folder) is None and names <= {_JOB, _LOCK, DRAFT}


def done_already(out: Path, job: TrainingJob) -> bool:
    """Whether `out` holds the adapter of this job.

    Raises:
        TrainingError: `out` holds something else.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    card = out / CARD
    if not card.is_file():
        raise TrainingError(f"{out} exists and is not an adapter of `ddxgraph train`: choose another --out")
    try:
        there = json.loads(read_regular(card))["job"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        raise TrainingError(f"{card} cannot be read: choose another --out, or delete the folder") from None
    if changes := _changes(there, job):
        raise TrainingError(f"{out} exists and holds another adapter: {changes}; choose another --out")
    return True


def forget(folder: Path) -> None:
    """Delete the work folder of a finished training."""
    with suppress(OSError):
        shutil.rmtree(folder)
