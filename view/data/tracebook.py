"""The traces of a run or a file: their rows and positions in memory, each trace read on demand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES
from ddxgraph.batch.tracefile import parse_trace, record_of
from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.files import open_regular, real
from ddxgraph.common.jsonl import is_whole
from ddxgraph.graph.trace import Trace
from ddxgraph.view.data.row import Judge, Judged, TraceRow, row_of


class Place(NamedTuple):
    """Position of the line of a trace."""

    path: Path
    start: int
    """In bytes."""
    length: int


class Entry(NamedTuple):
    """What the book knows of a trace."""

    id: str
    case: str
    sample: int
    row: TraceRow
    judged: Judged | None
    place: Place
    failed: bool
    """The attempt failed for a reason unrelated to the model."""


def read_trace(entry: Entry) -> Trace:
    """Read a trace.

    Raises:
        TraceFileError: the file cannot be read, or the line is no trace.
    """
    path, start, length = entry.place
    try:
        with open_regular(path) as file:
            file.seek(start)
            line = file.read(length)
    except OSError as error:
        raise TraceFileError(f"cannot read {path}: {error.strerror or error}") from None
    return parse_trace(line, f"{path}, trace {entry.id}")


class TraceBook:
    """Index of the traces of a run folder or a trace file, which may grow while the book is open.

    Of two lines with one id, the later one counts; a failed attempt counts only until a trace with its id has
    ended. Memory grows by some 500 bytes per trace.

    Args:
        source: a run folder or a trace file.
        judge: judges the answers, if gold answers are known.

    Raises:
        TraceFileError: there is no such folder or file, or the folder holds no run.
    """

    def __init__(self, source: Path, judge: Judge | None = None) -> None:
        self.source = source
        self.name: Final = real(source).name.removesuffix(".jsonl")
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
        """Every trace, in order of arrival."""
        return list(self._known.values())

    def refresh(self) -> list[Entry]:
        """Read what was written since the last call; returns the traces that are new or have a newer line.

        Raises:
            TraceFileError: a file cannot be read, or a line is no trace. The next call goes on after that line
                and also returns what was read before it.
        """
        for path in self._paths:
            for entry in self._new(path):
                earlier = self._known.get(entry.id)
                if earlier is None or earlier.failed or not entry.failed:
                    self._known[entry.id] = self._fresh[entry.id] = entry
        fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def find(self, trace_id: str) -> Entry | None:
        """The entry of a trace, by its id."""
        return self._known.get(trace_id)

    def named(self, beginning: str) -> Entry:
        """The only trace with this id; else with this case id; else with an id that begins so.

        Raises:
            TraceFileError: no trace matches, or several do.
        """
        entries, whole = self.entries, self.find(beginning)
        matches = [whole] if whole else [entry for entry in entries if entry.case == beginning]
        matches = matches or [entry for entry in entries if entry.id.startswith(beginning)]
        if len(matches) == 1:
            return matches[0]
        if not matches:
            raise TraceFileError(
                f"no trace of {self.source} has {beginning!r} as its case id or as the beginning of its own id"
            )
        some = ", ".join(f"{entry.id} (sample {entry.sample})" for entry in matches[:4])
        raise TraceFileError(f"{beginning!r} matches {len(matches)} traces of {self.source}, such as {some}")

    def _new(self, path: Path) -> Iterator[Entry]:
        """Entries of the whole lines that a file has gained."""
        failed = path.name == ERRORS
        try:
            if not path.exists():
                return
            with open_regular(path) as file:
                file.seek(self._read[path])
                for line in file:
                    if not line.endswith(b"\n") and not is_whole(line):  # still being written
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
        judged = self._judge(record) if self._judge else None
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
                f"{source} is no run folder (it has no {MANIFEST}): name a folder that `ddxgraph run --out` "
                "made, or a trace file"
            )
        return [source / TRACES, source / ERRORS]
    if not source.exists():
        raise TraceFileError(f"no file or folder {str(source)!r}")
    return [source]
