"""Appending to a trace file: whole lines or nothing, by one process at a time, on the disk when it returns."""

import errno
import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from ddxgraph.batch.tracefile import BEGINNING, is_whole, line_of, read_lines, record_of
from ddxgraph.common.errors import TraceFileError
from ddxgraph.graph.trace import Trace

if sys.platform != "win32":
    import fcntl

_CHUNK: Final = 1 << 20
_WAIT_S, _LOOK_S = 10.0, 0.01
"""Seconds to wait for another process that has the file open for writing, and between two looks."""
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP})
"""What file systems say that cannot sync a folder."""


def append_trace(path: Path, trace: Trace) -> None:
    """Append a trace as one line, and wait until it is on the disk; several processes may, in turn.

    Raises:
        TraceFileError: the file cannot be written; it is then as it was.
    """
    with TraceLog(path) as log:
        log.append([line_of(trace)])


class TraceLog:
    """A trace file open for appending, by one writer: where another process has it open, it is waited for.

    A last line that a crash cut short is taken off: `cut` says how many bytes. Opening a file changes nothing in
    it; `mend` does, and so does the first `append`.

    Args:
        path: the file; it and its folders are made where they are missing.

    Raises:
        TraceFileError: the file cannot be opened for writing, another process does not let go of it, or it begins
            or ends in something that is no trace.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut = 0
        self._torn_at: int | None = None
        """Where what has to be taken off begins."""
        self._unended = False
        """The last line is whole, but for its newline."""
        try:
            make_folder(path.parent)
            self._file: BinaryIO = path.open("a+b", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            sync_folder(path.parent)
            _claim(self._file, path)
            self._inspect()
        except OSError as error:
            self.close()
            raise _unwritable(path, error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._file.close()

    def append(self, lines: Sequence[str]) -> None:
        """Append lines in one write, and wait until they are on the disk.

        Raises:
            TraceFileError: they cannot be written (such as on a full disk); the file is then as it was.
        """
        if not lines:
            return
        self.mend()
        size = self._file.seek(0, os.SEEK_END)
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._torn_at = size
            with suppress(TraceFileError):  # what cannot be taken back now is taken off before the next write
                self.mend()
            raise TraceFileError(
                f"{_unwritable(self.path, error)}; {_counted(len(lines))} not saved, and what had been saved is "
                "untouched: mend that, and the same command goes on"
            ) from None

    def mend(self) -> None:
        """Leave the file ending in a whole line.

        Raises:
            TraceFileError: the file cannot be written.
        """
        try:
            if self._torn_at is not None:
                self._file.truncate(self._torn_at)
                self._torn_at = None
            if self._unended:
                self._file.write(b"\n")
                self._unended = False
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def _inspect(self) -> None:
        """See that the file is one of ours, and how it ends."""
        next(read_lines(self.path), None)
        end = self._file.seek(0, os.SEEK_END)
        start = _last_line_start(self._file, end)
        if start == end:
            return
        self._file.seek(start)
        tail = self._file.read(end - start)
        if is_whole(tail):
            record_of(tail, f"{self.path}, last line")
            self._unended = True
        elif tail.startswith(BEGINNING[: len(tail)]) or not tail.strip(b"\0"):
            # Cut short; or a power cut kept the file's new size and lost what was written there.
            self._torn_at, self.cut = start, end - start
        else:
            raise TraceFileError(f"{self.path} ends in a line that is no trace; name another file")


def _last_line_start(file: BinaryIO, end: int) -> int:
    """Offset behind the last newline of a file that ends at `end`."""
    place = end
    while place > 0:
        step = min(_CHUNK, place)
        place -= step
        file.seek(place)
        newline = file.read(step).rfind(b"\n")
        if newline >= 0:
            return place + newline + 1
    return 0


def _claim(file: BinaryIO, path: Path) -> None:
    """Keep other writers out until the file is closed: a line that is being written looks as if cut short."""
    if sys.platform == "win32":
        return
    patience = time.monotonic() + _WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                raise TraceFileError(
                    f"another process is writing {path}; wait for it, or name another file"
                ) from None
            time.sleep(_LOOK_S)
        except OSError:  # a file system without locks
            return
        else:
            return


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing, and wait until they are on the disk.

    Raises:
        OSError: it cannot be made.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, where the file system can do that.

    Raises:
        OSError: the disk fails.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one may write into a folder without being allowed to list it
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def _unwritable(path: Path, error: OSError) -> TraceFileError:
    return TraceFileError(f"cannot write {path}: {error.strerror or error}")


def _counted(traces: int) -> str:
    return "1 trace was" if traces == 1 else f"{traces} traces were"
