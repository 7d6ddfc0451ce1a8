"""A folder that one process writes at a time, and that says which."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from ddxgraph.common.errors import NotDone

_LONGEST: Final = 200
"""Characters of a holder's name."""


class FolderBusy(NotDone):
    """Another process holds the folder."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder
        """Who, in words."""


@contextmanager
def folder_held(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder; the operating system lets go of it when this process ends, however it ends.

    Args:
        folder: which; it must exist.
        name: of the lock file in it, which says who holds it and stays, empty, when nobody does.

    Raises:
        FolderBusy: another process holds it.
        OSError: the lock file cannot be written.
    """
    path = folder / name
    lock = FileLock(path, timeout=0, on_acquired=_sign)
    try:
        lock.acquire()
    except Timeout:
        raise FolderBusy(_holder(path)) from None
    try:
        yield
    finally:
        with suppress(OSError):  # a free lock names nobody
            os.truncate(path, 0)
        lock.release()


def _sign(lock: int) -> None:
    """Write into the lock file who holds it."""
    os.ftruncate(lock, 0)
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()} since {since}".encode(), 0)


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8", errors="replace")[:_LONGEST] or "another process"
    except OSError:
        return "another process"
