"""A file that is there whole or not at all."""

import os
from pathlib import Path

from ddxgraph.batch.tracelog import sync_folder


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and put it there once it is on the disk; its folder must exist.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
