"""The adapter store: copies of adapters under their hash, from which engines load them.

An engine reads an adapter again when it had to make room for others, so that files which changed meanwhile would
change a model in the middle of a run. A copy under its own hash does not change; its path, which vLLM lists and
keys its prefix cache by, says which weights they are.
"""

import re
import shutil
import tempfile
from pathlib import Path, PurePath
from typing import Final

from ddxgraph.common.errors import AdapterError
from ddxgraph.common.files import CACHE_VARIABLE, cache_folder
from ddxgraph.serving.adapters.files import CONFIG_FILE, WEIGHTS_FILE, Adapter, digest

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def store_folder() -> Path:
    """Where the copies lie: below the cache folder."""
    return cache_folder().resolve() / "adapters"


def put(adapter: Adapter) -> Path:
    """Make sure that an adapter is in the store, whole.

    Returns:
        The folder of the copy; its name is the adapter's SHA-256.

    Raises:
        AdapterError: it cannot be written, or the adapter's files changed while they were copied.
    """
    store = store_folder()
    target = store / adapter.sha256
    try:
        if _whole(target):
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


def _move(copy: Path, target: Path) -> None:
    """Put a copy in its place; a damaged one gives way, one that another process put there is as good."""
    if target.is_dir() and not _whole(target):
        shutil.rmtree(target)
    try:
        copy.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _whole(target: Path) -> bool:
    """Whether a copy's files are there, with the hash that it goes by."""
    try:
        return digest(target) == target.name
    except FileNotFoundError:
        return False


def sha256_in(path: str) -> str | None:
    """The hash that the path of a stored adapter ends in; None for any other path."""
    name = PurePath(path).name
    return name if _SHA256.fullmatch(name) else None
