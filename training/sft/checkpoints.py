"""Checkpoints of a training: sealed once they are whole, and checked against their seal before one is resumed.

transformers starts the optimizer or the random numbers anew where their file is missing, and says nothing.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ddxgraph.common.files import read_regular, sha256_of, write_whole
from ddxgraph.common.frozen import Frozen

SEAL: Final = "ddxgraph-seal.json"
"""Its file in a checkpoint; nothing is written into the checkpoint after it."""
DAMAGED: Final = "damaged-"
"""How the name of a checkpoint begins that was set aside."""
_PATTERN: Final = "checkpoint-*"


class Seal(Frozen):
    """What a checkpoint held when it was whole."""

    step: int
    job_sha256: str
    """Of the record of the training that it belongs to (see `job_digest`)."""
    files: Mapping[str, str]
    """Every file below the checkpoint to its SHA-256."""


def seal(checkpoint: Path, job_sha256: str) -> None:
    """Seal a checkpoint that is complete.

    Raises:
        OSError: it cannot be read or written.
    """
    files = {name: sha256_of(checkpoint / name) for name in _names(checkpoint)}
    made = Seal(step=step_of(checkpoint), job_sha256=job_sha256, files=files)
    write_whole(checkpoint / SEAL, made.model_dump_json(indent=1) + "\n")


def flaw(checkpoint: Path, job_sha256: str) -> str:
    """Why a checkpoint is not resumed; empty where it is whole."""
    try:
        sealed = Seal.model_validate_json(read_regular(checkpoint / SEAL))
    except (FileNotFoundError, NotADirectoryError):
        return "it was not finished"
    except (OSError, ValidationError):
        return f"its {SEAL} cannot be read"
    if (sealed.job_sha256, sealed.step) != (job_sha256, step_of(checkpoint)):
        return "it belongs to another training or step"
    return _difference(checkpoint, sealed.files)


def _difference(checkpoint: Path, saved: Mapping[str, str]) -> str:
    """How the files of a checkpoint differ from those that were saved; empty where they do not."""
    names = _names(checkpoint)
    if missing := sorted(saved.keys() - names):
        return f"{missing[0]} is missing"
    if foreign := sorted(names - saved.keys()):
        return f"{foreign[0]} was not saved with it"
    for name, digest in saved.items():
        try:
            same = sha256_of(checkpoint / name) == digest
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}"
        if not same:
            return f"{name} is not what was saved"
    return ""


def settle(folder: Path, job_sha256: str, tell: Callable[[str], Any]) -> Path | None:
    """Find the newest whole checkpoint, and put what is newer but not whole out of the way.

    One that was not finished is deleted. One that was finished and has changed since is kept as `damaged-...`, in
    case its owner knows why.

    Args:
        folder: the training's work folder.
        job_sha256: of the training's record.
        tell: receives a sentence on each checkpoint that is not resumed.

    Returns:
        The checkpoint; None where none is whole.

    Raises:
        OSError: a checkpoint cannot be moved or deleted.
    """
    found = sorted(folder.glob(_PATTERN), key=step_of, reverse=True)
    flawed: list[str] = []
    for checkpoint in found:
        why = flaw(checkpoint, job_sha256)
        if not why:
            break
        if (checkpoint / SEAL).exists():
            aside = folder / f"{DAMAGED}{checkpoint.name}"
            shutil.rmtree(aside, ignore_errors=True)
            checkpoint.rename(aside)
            flawed.append(f"{checkpoint.name} is not resumed, and is set aside as {aside.name}: {why}")
        else:
            _delete(checkpoint)
            flawed.append(f"{checkpoint.name} is not resumed, and is deleted: {why}")
    whole = newest(folder)
    outlook = f"; the training goes on from {whole.name}" if whole else ""
    for sentence in flawed:
        tell(sentence + outlook)
    if flawed and not whole:
        tell("no whole checkpoint is left: the training begins again")
    return whole


def newest(folder: Path) -> Path | None:
    """The newest sealed checkpoint; what `settle` returned, until another is made."""
    sealed = (path for path in folder.glob(_PATTERN) if (path / SEAL).is_file())
    return max(sealed, key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was made; -1 for a name without one."""
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isascii() and number.isdecimal() else -1


def _names(checkpoint: Path) -> set[str]:
    """Files below a checkpoint, links among them, without its seal."""
    paths = (path for path in checkpoint.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(checkpoint).as_posix() for path in paths} - {SEAL}


def _delete(checkpoint: Path) -> None:
    if checkpoint.is_symlink() or not checkpoint.is_dir():
        checkpoint.unlink()
    else:
        shutil.rmtree(checkpoint)
