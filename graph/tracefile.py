"""Trace files: one trace a line, only ever appended to, whole lines or nothing."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from pydantic import ValidationError
from pydantic_core import from_json

from ddxgraph.graph.trace import Trace

_BEGINNING: Final = b'{"version":1,"id":"'
"""How every line of ours begins; tells a trace that was cut short from a file that is none of ours."""
_CHUNK: Final = 1 << 20


class TraceFileError(ValueError):
    """A trace file cannot be read or written; the message says where and how to mend it."""


def read_traces(path: Path) -> Iterator[Trace]:
    """Traces of a file, in its order. Where an id stands twice, the later one counts (see `find_trace`).

    A last line that was cut short, by a crash or because it is being written just now, is left out.

    Raises:
        TraceFileError: the file cannot be read, or a line of it is no trace.
    """
    for number, line in _lines(path):
        yield _parse(line, f"{path}, line {number}")


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Traces of a file as plain JSON objects, checked for being whole but not field by field: 10 times as fast.

    Raises:
        TraceFileError: see `read_traces`.
    """
    for number, line in _lines(path):
        try:
            record = from_json(line)
        except ValueError as error:
            raise _no_trace(f"{path}, line {number}", str(error)) from None
        if not isinstance(record, dict) or not {"version", "id", "case", "outcome"} <= record.keys():
            raise _no_trace(f"{path}, line {number}", "fields are missing")
        yield record


def find_trace(path: Path, trace_id: str) -> Trace | None:
    """The last trace of that id in a file; None where there is none, or no file.

    Raises:
        TraceFileError: see `read_traces`.
    """
    if not path.exists():
        return None
    found = None
    for trace in read_traces(path):
        if trace.id == trace_id:
            found = trace
    return found


def append_trace(path: Path, trace: Trace) -> None:
    """Append a trace as one line, and wait until it is on the disk.

    Raises:
        TraceFileError: the file cannot be written; it is then as it was.
    """
    with TraceLog(path) as log:
        log.append([trace.to_json()])


class TraceLog:
    """A trace file open for appending, by one writer.

    A last line that a crash cut short is taken off when the file is opened: `cut` says how many bytes.

    Args:
        path: the file; it and its folders are made where they are missing.

    Raises:
        TraceFileError: the file cannot be opened for writing, or ends in something that is no trace.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("a+b", buffering=0)
            sync_folder(path.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            self.cut = self._mend()
        except BaseException:
            self._file.close()
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
        size = self._file.seek(0, os.SEEK_END)
        rest = memoryview("".join(f"{line}\n" for line in lines).encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with suppress(
                OSError
            ):  # what cannot be taken back now is taken off when the file is opened again
                self._file.truncate(size)
            raise _unwritable(self.path, error) from None

    def _mend(self) -> int:
        """Leave the file ending in a whole line.

        Returns:
            Bytes taken off.
        """
        end = self._file.seek(0, os.SEEK_END)
        start = _last_line_start(self._file, end)
        if start == end:
            return 0
        self._file.seek(start)
        tail = self._file.read(end - start)
        if _is_whole(tail):
            self._file.write(b"\n")
            return 0
        if not tail.startswith(_BEGINNING[: len(tail)]):
            raise TraceFileError(f"{self.path} ends in a line that is no trace; name another file")
        self._file.truncate(start)
        return end - start


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


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no such thing
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines with something in them, without a last one that was cut short."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip() and (line.endswith(b"\n") or _is_whole(line)):
                    yield number, line
    except OSError as error:
        raise TraceFileError(f"cannot read {path}: {error.strerror or error}") from None


def _is_whole(line: bytes) -> bool:
    try:
        return isinstance(from_json(line), dict)
    except ValueError:
        return False


def _parse(line: bytes, where: str) -> Trace:
    try:
        return Trace.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise _no_trace(where, f"{place}: {first['msg']}" if place else first["msg"]) from None


def _no_trace(where: str, why: str) -> TraceFileError:
    return TraceFileError(
        f"{where}: not a trace of version 1 ({why}); nothing was changed: take the line out, or move the file"
    )


def _unwritable(path: Path, error: OSError) -> TraceFileError:
    return TraceFileError(f"cannot write {path}: {error.strerror or error}")
