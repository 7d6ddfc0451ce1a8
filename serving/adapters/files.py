"""A LoRA adapter as PEFT saves it: what its files say of it, and their hash."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import AdapterError
from ddxgraph.serving.weights import sha256_of

CONFIG_FILE: Final = "adapter_config.json"
WEIGHTS_FILE: Final = "adapter_model.safetensors"
_HEADER_LENGTH: Final = 8
"""Bytes in which a safetensors file gives its header's length."""
_LONGEST_HEADER: Final = 100_000_000
"""Bytes; the format's own bound."""
_PICKLES: Final = ("adapter_model.bin", "adapter_model.pt")


class Adapter(NamedTuple):
    """A LoRA adapter in a folder."""

    folder: Path
    rank: int
    """The largest that its configuration names, which is what an engine must have room for."""
    base_model: str
    """What it was trained on, by the name or path in its own configuration; may be empty."""
    sha256: str
    """What `sha256sum adapter_config.json adapter_model.safetensors | sha256sum` prints."""


def read_adapter(folder: Path) -> Adapter:
    """Read what the files of an adapter say, without loading its weights.

    Raises:
        AdapterError: a file is missing or damaged, it is no LoRA adapter in safetensors, or configuration and
            weights contradict each other.
    """
    try:
        _check_files(folder)
        config = _config(folder / CONFIG_FILE)
        ranks = _ranks(folder / WEIGHTS_FILE)
        told = _told_ranks(config, folder)
        # The weights of several experts in one parameter are one tensor, that many times as high.
        if not ranks <= told and not config.get("target_parameters"):
            raise AdapterError(
                f"{folder}: {CONFIG_FILE} says rank {_listed(told)} and the weights have rank {_listed(ranks)}; "
                "one of the two files is another adapter's: save it again with PEFT"
            )
        return Adapter(folder, max(told), str(config.get("base_model_name_or_path") or ""), digest(folder))
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
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise AdapterError(f"{path} is no JSON: {error}") from error
    if not isinstance(config, Mapping) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, Mapping) else None
        raise AdapterError(f"{path}: peft_type is {kind!r}; only LoRA adapters can be served")
    return config


def _told_ranks(config: Mapping[str, Any], folder: Path) -> set[int]:
    pattern = config.get("rank_pattern") or {}
    told = [config.get("r"), *(pattern.values() if isinstance(pattern, Mapping) else [pattern])]
    wrong = [rank for rank in told if not isinstance(rank, int) or rank <= 0]
    if wrong:
        raise AdapterError(f"{folder / CONFIG_FILE}: the rank is {wrong[0]!r}; it must be a positive integer")
    return set(told)


def _ranks(path: Path) -> set[int]:
    """The ranks of an adapter's modules, from the shapes in its weights' header."""
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
    with path.open("rb") as file:
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
