"""The traces of a run or a file, by their places: rows in memory, traces read when they are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES
from ddxgraph.batch.tracefile import parse_trace, record_of
from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.jsonl import is_whole
from ddxgraph.graph.trace import Trace
from ddxgraph.view.data.judged import Judge, Judged, unjudged
from ddxgraph.view.data.tracerow import TraceRow, row_of


class Place(NamedTuple):
    """Where a trace's line stands."""

    path: Path
    start: int
    """In bytes."""
    length: int


class Entry(NamedTuple):
    """A trace that is known."""

    id: str
    case: str
    sample: int
    row: TraceRow
    judged: Judged | None
    place: Place
    failed: bool
    """An attempt that failed for no fault of the model."""


class TraceBook:
    """Knows the traces of a run folder, or of a trace file, and those that come while it is open.

    Where an id stands twice, the later line counts; a failed attempt only while no trace of its id has ended.
    Memory grows by some 500 bytes a trace.

    Args:
        source: a run folder or a trace file.
        judge: knows the gold answers.

    Raises:
        TraceFileError: there is no such folder or file, it holds no run, or a line of it is no trace.
    """

    def __init__(self, source: Path, judge: Judge = unjudged) -> None:
        self.source = source
        self.name: Final = source.resolve().name.removesuffix(".jsonl")
        self._paths = _files(source)
        self._judge = judge
        self._read = dict.fromkeys(self._paths, 0)
        self._lines = dict.fromkeys(self._paths, 0)
        self._known: dict[str, Entry] = {}
        self._fresh: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def entries(self) -> list[Entry]:
        """Every trace, in the order in which they came."""
        return list(self._known.values())

    def refresh(self) -> list[Entry]:
        """Read what was written since; the traces that are new or have a newer line.

        Raises:
            TraceFileError: a file cannot be read, or a line of it is no trace; the next call goes on after that
                line, and returns what was read before it too.
        """
        for path in self._paths:
            for entry in self._new(path):
                earlier = self._known.get(entry.id)
                if earlier is None or earlier.failed or not entry.failed:
                    self._known[entry.id] = self._fresh[entry.id] = entry
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def find(self, trace_id: str) -> Entry | None:
        """A trace by its id."""
        return self._known.get(trace_id)

    def named(self, beginning: str) -> Entry:
        """The one trace of that id, or of the case of that id, or whose id begins so; the first that there is.

        Raises:
            TraceFileError: there is none, or more than one.
        """
        entries, whole = self.entries, self.find(beginning)
        found = [whole] if whole else [entry for entry in entries if entry.case == beginning]
        found = found or [entry for entry in entries if entry.id.startswith(beginning)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise TraceFileError(
                f"no trace of {self.source} has an id that begins with {beginning!r}, or is of a case of that id"
            )
        some = ", ".join(f"{entry.id} (sample {entry.sample})" for entry in found[:4])
        raise TraceFileError(f"{beginning!r} could be {len(found)} traces of {self.source}, such as {some}")

    def trace(self, entry: Entry) -> Trace:
        """Read a trace.

        Raises:
            TraceFileError: it cannot be read, or is no trace.
        """
        path, start, length = entry.place
        try:
            with path.open("rb") as file:
                file.seek(start)
                line = file.read(length)
        except OSError as error:
            raise TraceFileError(f"cannot read {path}: {error.strerror or error}") from None
        return parse_trace(line, f"{path}, trace {entry.id}")

    def _new(self, path: Path) -> Iterator[Entry]:
        """The whole lines that a file has gained."""
        failed = path.name == ERRORS
        try:
            if not path.exists():
                return
            with path.open("rb") as file:
                file.seek(self._read[path])
                for line in file:
                    if not line.endswith(b"\n") and not is_whole(line):  # being written just now
                        return
                    start, number = self._read[path], self._lines[path] + 1
                    self._read[path] += len(line)
                    self._lines[path] += line.endswith(b"\n")
                    if line.strip():
                        yield self._entry(
                            line, f"{path}, line {number}", Place(path, start, len(line)), failed
                        )
        except OSError as error:
            raise TraceFileError(f"cannot read {path}: {error.strerror or error}") from None

    def _entry(self, line: bytes, where: str, place: Place, failed: bool) -> Entry:
        record = record_of(line, where)
        judged = self._judge(record)
        try:
            row = row_of(record, judged)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise TraceFileError(f"{where} is malformed ({type(error).__name__}: {error})") from None
        return Entry(record["id"], record["case"]["id"], row.sample, row, judged, place, failed)


def _files(source: Path) -> list[Path]:
    """The files that hold the traces of a source."""
    if source.is_dir():
        if not (source / MANIFEST).exists():
            raise TraceFileError(
                f"{source} is no run's folder: no {MANIFEST} is in it; name what `ddxgraph run --out` made, or a "
                "trace file"
            )
        return [source / TRACES, source / ERRORS]
    if not source.exists():
        raise TraceFileError(f"no file or folder {str(source)!r}")
    return [source]
