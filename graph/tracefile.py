"""Trace files: one trace a line, only ever appended to."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ddxgraph.graph.trace import Trace


class TraceFileError(ValueError):
    """A trace file cannot be read or written; the message says where and how to mend it."""


def read_traces(path: Path) -> Iterator[Trace]:
    """Traces of a file, in its order. Where an id stands twice, the later one counts (see `find_trace`).

    Raises:
        TraceFileError: the file cannot be read, or a line of it is no trace.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _parse(line, f"{path}, line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceFileError(f"cannot read {path}: {error}") from None


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
    """Append a trace as one line, in one write, and wait until it is on the disk.

    Raises:
        TraceFileError: the file cannot be written.
    """
    line = trace.to_json() + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if file.tell() and not _ends_with_newline(path):
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise TraceFileError(f"cannot write {path}: {error.strerror or error}") from None


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _parse(line: str, where: str) -> Trace:
    try:
        return Trace.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise TraceFileError(
            f"{where}: not a trace of version 1 ({place}: {first['msg']}); take the line out, or move the file"
        ) from None
