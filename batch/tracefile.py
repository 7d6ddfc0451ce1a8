"""Trace files: one trace a line."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.files import make_folder
from ddxgraph.common.jsonl import LineFile, LineLog, line_of
from ddxgraph.graph.trace import Trace

BEGINNING: Final = b'{"version":1,"id":"'
_FILE: Final = LineFile(
    record="a trace of version 1",
    error=TraceFileError,
    busy="another process is writing {path}; wait for it, or name another file",
    remedy="nothing was changed: take the line out, or move the file",
    wait_s=10.0,
    beginning=BEGINNING,
)


def read_traces(path: Path | str) -> Iterator[Trace]:
    """Traces of a file, in its order. Where an id stands twice, the later one counts (see `find_trace`).

    A last line that was cut short, by a crash or because it is being written just now, is left out.

    Raises:
        TraceFileError: the file cannot be read, or a line of it is no trace or has changed since it was saved.

    Example:
        >>> from ddxgraph import Case, build_graph, solve
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> trace = solve(build_graph(ScriptedChatModel()), Case(vignette="Fever and cough."))
        >>> append_trace(Path("traces.jsonl"), trace)
        >>> [read.id == trace.id for read in read_traces("traces.jsonl")]
        [True]
    """
    for number, line in _FILE.lines(Path(path)):
        yield parse_trace(line, f"{path}, line {number}")


class TraceLine(NamedTuple):
    """A line of a trace file."""

    record: dict[str, Any]
    """The trace as a plain JSON object."""
    text: str
    """The line without its newline and checksum."""
    number: int
    """Of the line in its file, from 1."""


def read_lines(path: Path) -> Iterator[TraceLine]:
    """Lines of a file, checked for holding a trace but not field by field: 3 times as fast as `read_traces`.

    Raises:
        TraceFileError: see `read_traces`.
    """
    for number, line in _FILE.lines(path):
        yield TraceLine(record_of(line, f"{path}, line {number}"), line.decode(), number)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Traces of a file as plain JSON objects; see `read_lines`.

    Raises:
        TraceFileError: see `read_traces`.
    """
    for line in read_lines(path):
        yield line.record


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


def record_of(line: bytes, where: str) -> dict[str, Any]:
    """A line as a plain JSON object, without its checksum.

    Raises:
        TraceFileError: it is no trace, or has changed since it was saved; `where` says which line it is.
    """
    bare = _FILE.unsealed(line, where)
    try:
        record = from_json(bare)
    except ValueError as error:
        raise _FILE.refused(where, str(error)) from None
    match record:
        case {
            "version": 1,
            "id": str(),
            "case": {"id": str()},
            "answer": str() | None,
            "outcome": "answered" | "abstained" | "unparsed" | "interrupted" | "error",
        }:
            return dict(record)
        case _:
            raise _FILE.refused(where, "its fields are not a trace's")


def parse_trace(line: bytes, where: str) -> Trace:
    """A line as a trace.

    Raises:
        TraceFileError: it is no trace, or has changed since it was saved; `where` says which line it is.
    """
    return _FILE.parsed(line, Trace, where)


def is_foreign(tail: bytes) -> bool:
    """Whether what stands behind the last newline is neither a trace nor the beginning of one."""
    return _FILE.ending(tail) == "foreign"


def append_trace(path: Path, trace: Trace) -> None:
    """Append a trace as one line, and wait until it is on the disk; several processes may, in turn.

    Raises:
        TraceFileError: the file cannot be written; it is then as it was.
    """
    with TraceLog(path) as log:
        log.append([line_of(trace)])


def check_appendable(path: Path) -> None:
    """Check that a trace can be appended to a file, before the work that produces the trace begins.

    A missing file is not created, but its folder is.

    Raises:
        TraceFileError: see `TraceLog`.
    """
    if path.exists():
        TraceLog(path).close()
        return
    try:
        make_folder(path.parent)
    except OSError as error:
        raise TraceFileError(f"cannot write {path}: {error.strerror or error}") from None
    if not os.access(path.parent, os.W_OK):
        raise TraceFileError(f"cannot write {path}: its folder may not be written in")


class TraceLog(LineLog):
    """A trace file open for appending; waits while another process has it open.

    Args:
        path: the file; it and its folders are made where they are missing.

    Raises:
        TraceFileError: the file cannot be opened for writing, another process does not let go of it, or it begins
            or ends in something that is no trace.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, _FILE, check=self._check)

    def append(self, lines: Sequence[str]) -> None:
        """Append lines in one write, and wait until they are on the disk.

        Raises:
            TraceFileError: they cannot be written (such as on a full disk); the file is then as it was.
        """
        lost = "1 trace was" if len(lines) == 1 else f"{len(lines)} traces were"
        kept = "what had been saved is untouched: mend that, and the same command goes on"
        self.write(lines, f"{lost} not saved, and {kept}")

    def _check(self, last: bytes) -> None:
        next(read_lines(self.path), None)
        if last:
            record_of(last, f"{self.path}, last line")
