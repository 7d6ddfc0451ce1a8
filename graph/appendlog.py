"""A file of JSON lines that is only ever added to, by one process at a time."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from pydantic import BaseModel

from ddxgraph.batch.tracelog import make_folder


class AppendLog:
    """A file open for appending, until it is closed.

    A last line that a crash cut short stays until the next `append`, which takes it off.

    Args:
        path: the file; it and its folders are made where they are missing.
        lock: name of the file beside it that says who writes.

    Raises:
        filelock.Timeout: another process has it open.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, lock: str) -> None:
        self.path = path
        make_folder(path.parent)
        self._lock = FileLock(path.with_name(lock), timeout=0)
        self._lock.acquire()
        try:
            self._file: BinaryIO = path.open("a+b", buffering=0)
            self._file.seek(0)
            self._whole = self._file.read().rfind(b"\n") + 1
        except BaseException:
            self._lock.release()
            raise

    @property
    def closed(self) -> bool:
        """Whether it can no longer be appended to."""
        return self._file.closed

    def append(self, records: Iterable[BaseModel]) -> None:
        """Append a line a record, and wait until they are on the disk.

        Raises:
            OSError: they cannot be written; those before them are untouched.
        """
        lines = b"".join(map(_line_of, records))
        self._file.truncate(self._whole)  # what a crash, or a full disk, had cut short
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())
        self._whole += len(lines)

    def close(self) -> None:
        """Close the file and let go of it; harmless when repeated."""
        self._file.close()
        self._lock.release()


def _line_of(record: BaseModel) -> bytes:
    """A record as a line; half a surrogate pair cannot stand in a file and becomes a question mark."""
    text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode(errors="replace")
