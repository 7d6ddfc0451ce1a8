"""LoRA adapters on disk: what an adapter's files say, their hash, and the store of copies that engines load from.

An engine reads an adapter again after it had to make room for others. If the files changed meanwhile, the model
would change in the middle of a run. So engines load copies from the adapter store, where a folder's name is the
SHA-256 of what it holds. vLLM lists the path of an adapter and keys its prefix cache by it, so the path tells
which weights are in force.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import AdapterError
from ddxgraph.common.files import CACHE_VARIABLE, cache_folder, open_regular, read_regular, real, sha256_of

CONFIG_FILE: Final = "adapter_config.json"
WEIGHTS_FILE: Final = "adapter_model.safetensors"
_HEADER_LENGTH: Final = 8
"""Bytes that hold the header's length in a safetensors file."""
_LONGEST_HEADER: Final = 100_000_000
"""Bytes; the format's own limit."""
_PICKLES: Final = ("adapter_model.bin", "adapter_model.pt")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Adapter(NamedTuple):
    """A LoRA adapter in a folder."""

    folder: Path
    rank: int
    """The largest rank in its configuration, which an engine must have room for."""
    base_model: str
    """The model it was trained on, as its configuration names it; may be empty."""
    sha256: str
    """What `sha256sum adapter_config.json adapter_model.safetensors | sha256sum` prints."""


def read_adapter(folder: Path) -> Adapter:
    """Read an adapter's files, but not its weights.

    Raises:
        AdapterError: a file is missing or damaged, it is no LoRA adapter in safetensors, or configuration and
            weights contradict each other.
    """
    try:
        _check_files(folder)
        config = _config(folder / CONFIG_FILE)
        in_weights = _ranks_of_weights(folder / WEIGHTS_FILE)
        in_config = _ranks_of_config(config, folder)
        # The weights of several experts in one parameter are one tensor, that many times as high.
        if not in_weights <= in_config and not config.get("target_parameters"):
            raise AdapterError(
                f"{folder}: {CONFIG_FILE} says rank {_listed(in_config)} and the weights have rank "
                f"{_listed(in_weights)}; one of the two files is another adapter's: save it again with PEFT"
            )
        base_model = str(config.get("base_model_name_or_path") or "")
        return Adapter(folder, max(in_config), base_model, digest(folder))
    except OSError as error:
        raise AdapterError(f"cannot read the adapter in {folder}: {error.strerror or error}") from error


def digest(folder: Path) -> str:
    """SHA-256 (hex) over an adapter's configuration and weights."""
    lines = (f"{sha256_of(folder / name)}  {name}\n" for name in (CONFIG_FILE, WEIGHTS_FILE))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise AdapterError(
            f"no folder {str(folder)!r}; an adapter is the folder that PEFT's save_pretrained writes"
        )
    if (folder / WEIGHTS_FILE).is_file() and (folder / CONFIG_FILE).is_file():
        return
    pickled = next((name for name in _PICKLES if (folder / name).exists()), None)
    if pickled and not (folder / WEIGHTS_FILE).exists():
        raise AdapterError(
            f"{folder / pickled} is a pickle, which can run code when it is loaded; save the adapter again with "
            "PEFT's save_pretrained(..., safe_serialization=True)"
        )
    missing = CONFIG_FILE if (folder / WEIGHTS_FILE).is_file() else WEIGHTS_FILE
    raise AdapterError(
        f"{folder} has no {missing}; an adapter is the folder that PEFT's save_pretrained writes"
    )


def _config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(read_regular(path))
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is no JSON that can be read: {error}") from error
    if not isinstance(config, Mapping) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, Mapping) else None
        raise AdapterError(f"{path}: peft_type is {kind!r}; only LoRA adapters can be served")
    return config


def _ranks_of_config(config: Mapping[str, Any], folder: Path) -> set[int]:
    pattern = config.get("rank_pattern") or {}
    ranks = [config.get("r"), *(pattern.values() if isinstance(pattern, Mapping) else [pattern])]
    wrong = [rank for rank in ranks if not isinstance(rank, int) or rank <= 0]
    if wrong:
        raise AdapterError(f"{folder / CONFIG_FILE}: the rank is {wrong[0]!r}; it must be a positive integer")
    return set(ranks)


def _ranks_of_weights(path: Path) -> set[int]:
    """The ranks of an adapter's modules, from the shapes in the header of its weights."""
    ranks = {
        shape[0]
        for name, shape in _shapes(path).items()
        if shape and (".lora_A." in name or ".lora_embedding_A" in name)
    }
    if not ranks:
        raise AdapterError(f"{path} holds no LoRA weights")
    return ranks


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a safetensors file (https://github.com/huggingface/safetensors)."""
    damaged = f"{path} is damaged or no safetensors file; fetch or save it again"
    size = path.stat().st_size
    with open_regular(path) as file:
        length = int.from_bytes(file.read(_HEADER_LENGTH), "little")
        if not 0 < length <= min(_LONGEST_HEADER, size - _HEADER_LENGTH):
            raise AdapterError(damaged)
        try:
            header = json.loads(file.read(length))
            tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
            shapes = {name: tuple(map(int, entry["shape"])) for name, entry in tensors.items()}
            ends = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise AdapterError(damaged) from error
    if _HEADER_LENGTH + length + ends != size:
        raise AdapterError(damaged)
    return shapes


def _listed(ranks: set[int]) -> str:
    return ", ".join(map(str, sorted(ranks)))


def store_folder() -> Path:
    """The adapter store, below the cache folder."""
    return real(cache_folder()) / "adapters"


def put(adapter: Adapter) -> Path:
    """Copy an adapter into the store unless it is there already.

    Returns:
        The folder of the copy. Its name is the adapter's SHA-256.

    Raises:
        AdapterError: the copy cannot be written, or the adapter's files changed while they were copied.
    """
    store = store_folder()
    target = store / adapter.sha256
    try:
        if _is_whole(target):
            return target
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=store, prefix=".put-") as name:
            copy = Path(name) / "copy"
            copy.mkdir()
            for file in (CONFIG_FILE, WEIGHTS_FILE):
                shutil.copyfile(adapter.folder / file, copy / file)
            if digest(copy) != adapter.sha256:
                raise AdapterError(
                    f"{adapter.folder} changed while it was read; wait until its training has ended"
                )
            _move(copy, target)
    except OSError as error:
        raise AdapterError(
            f"cannot copy {adapter.folder} to {store}: {error.strerror or error}; set {CACHE_VARIABLE} to "
            "a folder with room"
        ) from error
    return target


def sha256_in(path: str) -> str | None:
    """The hash that the path of a stored adapter ends in; None for any other path."""
    name = PurePath(path).name
    return name if _SHA256.fullmatch(name) else None


def _move(copy: Path, target: Path) -> None:
    """Move a copy to its place. A damaged copy there is replaced; one from another process will do as well."""
    if target.is_dir() and not _is_whole(target):
        shutil.rmtree(target)
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _is_whole(target: Path) -> bool:
    """Whether a copy's files have the hash that its folder is named by."""
    try:
        return digest(target) == target.name
    except FileNotFoundError:
        return False
