"""A run folder as the gate reads it: its verdicts, its traces with their places, the trace at a place."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

from pydantic import ValidationError

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import GateError, ScoreError, TraceFileError
from ddxgraph.common.files import open_regular, real
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.eval.scoring.run import manifest_of, score_run
from ddxgraph.graph.trace import Provenance, Trace
from ddxgraph.training.review.file import read_reviews
from ddxgraph.training.review.review import Review

_DECIDES: Final = ("model", "adapter", "adapter_sha256", "sampling", "prompt_set")

Progress = Callable[[int], None]
"""Gets the number of bytes of a file that were read."""


class RunSource(NamedTuple):
    """A run folder, with its cases if it was made of a case file."""

    folder: Path | str
    cases: Iterable[CaseEntry] | None = None


class Placed(NamedTuple):
    """A trace and where its line begins, in bytes."""

    offset: int
    trace: Trace


class _Line(NamedTuple):
    number: int
    offset: int
    content: bytes


class TraceSource:
    """The traces of a run folder.

    Raises:
        GateError: the folder holds no run, or no trace.
    """

    def __init__(self, source: RunSource) -> None:
        self._folder, self._cases = Path(source.folder), source.cases
        self.place = real(self._folder)
        self.name = self.place.name
        try:
            self.manifest = manifest_of(self._folder)
        except ScoreError as error:
            raise GateError(str(error)) from None
        self._path = self._folder / TRACES
        self.size = self._path.stat().st_size if self._path.is_file() else 0
        if not self.size:
            raise GateError(f"{self._folder} holds no trace yet: wait for the run, or leave the folder out")
        self.sha256 = ""
        """Of the lines that were read, hex; empty before."""

    @property
    def identity(self) -> tuple[str, str]:
        """The order of folders goes by it, in whatever order they were named."""
        return self.name, self.sha256

    @property
    def cases(self) -> str:
        """What the run is of: a benchmark and split, or a case file."""
        chosen = self.manifest.selection
        return f"{chosen.benchmark} {chosen.split}" if chosen else "case file"

    def verdicts(self, judge: str | Literal[True] | None) -> dict[str, Verdict]:
        """The verdict on each trace by the strict rule, by the trace's id.

        Raises:
            GateError: there are no gold answers, or they are of other cases.
        """
        try:
            scored = score_run(self._folder, self._cases, judge=judge)
        except ScoreError as error:
            raise GateError(
                f"cannot tell what is correct in {self._folder}: {error}; or go by experts' reviews alone "
                "(require_review = true under [correct])"
            ) from None
        return {score.trace: score.verdict for score in scored.scores}

    def reviews(self) -> Iterator[Review]:
        """The experts' reviews in the folder, in the order in which they were given.

        Raises:
            ReviewError: they cannot be read.
        """
        return read_reviews(self._folder)

    def read(self, progress: Progress) -> Iterator[Placed]:
        """All traces, in the order of the file. If an id occurs twice, the later trace counts.

        Traces that were added after this object was made are left out: they may be newer than the verdicts.

        Raises:
            TraceFileError: a line is no trace; file and line are named.
            GateError: a trace belongs to another run; file and line are named. This compares everything but the
                case, which `verdicts` compares.
        """
        whole = hashlib.sha256()
        for line, trace in zip(self._lines(), read_traces(self._path), strict=False):
            if line.offset + len(line.content) > self.size:
                break
            if foreign := _foreign(trace, self.manifest):
                raise GateError(
                    f"{self._path}, line {line.number} (trace {trace.id}) belongs to another run: {foreign}; "
                    "take the line out, or gate the folder that it came from"
                )
            whole.update(line.content)
            progress(line.offset + len(line.content))
            yield Placed(line.offset, trace)
        self.sha256 = whole.hexdigest()

    def open(self) -> BinaryIO:
        """Open the file of the traces.

        Raises:
            TraceFileError: it cannot be read.
        """
        try:
            return open_regular(self._path)
        except OSError as error:
            raise TraceFileError(f"cannot read {self._path}: {error.strerror or error}") from None

    def trace_at(self, file: BinaryIO, offset: int, trace_id: str) -> Trace:
        """The trace whose line begins at an offset.

        Args:
            file: from `open`.
            offset: in bytes.
            trace_id: the id that it must have.

        Returns:
            The trace.

        Raises:
            GateError: another trace is there now.
        """
        file.seek(offset)
        try:
            trace = Trace.model_validate_json(file.readline())
        except ValidationError:
            trace = None
        if trace is None or trace.id != trace_id:
            raise GateError(f"{self._path} was changed while it was being gated: gate it again")
        return trace

    def _lines(self) -> Iterator[_Line]:
        """Lines that are not blank, as `read_traces` counts them."""
        offset = 0
        with self.open() as file:
            for number, content in enumerate(file, 1):
                if content.strip():
                    yield _Line(number, offset, content)
                offset += len(content)


def _foreign(trace: Trace, manifest: Manifest) -> str:
    """Explain why a trace does not belong to the run; empty if it does."""
    if not 0 <= trace.sample < manifest.samples:
        return f"it is sample {trace.sample}, and the run has {manifest.samples} of each case, from 0"
    if trace.strategy == manifest.strategy and _maker(trace.provenance) == _maker(manifest.provenance):
        return ""
    made = manifest.provenance.model_copy(update=_maker(trace.provenance))
    changes = manifest.changes(manifest.model_copy(update={"strategy": trace.strategy, "provenance": made}))
    return "; ".join(f"its {change.field} is {change.now!r}, the run's {change.was!r}" for change in changes)


def _maker(provenance: Provenance) -> dict[str, Any]:
    """What decides a traversal, as in a trace's id: neither the engine nor the version of the code."""
    return {name: getattr(provenance, name) for name in _DECIDES}


def as_source(run: RunSource | Path | str) -> TraceSource:
    """A run folder, ready to be read."""
    return TraceSource(run if isinstance(run, RunSource) else RunSource(run))


Verdicts = Mapping[str, Verdict]
"""Trace id to verdict."""
