"""What the gate decided: which traversals may become training data, and why each of the others may not."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import BinaryIO

from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.training.gate.config import Side
from ddxgraph.training.gate.decontamination import Decontaminator, Quote
from ddxgraph.training.gate.reasons import Candidate, Note, Rejection, remaining
from ddxgraph.training.gate.report import GateReport
from ddxgraph.training.source import TraceSource


@dataclass(frozen=True)
class Accepted:
    """A traversal that may become training data."""

    trace: Trace
    run: str
    """Name of the run folder."""
    split: Side
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Rejected:
    """A traversal that a rule of the gate rejected."""

    trace: Trace
    run: str
    """Name of the run folder."""
    split: Side | None
    """The side of its case; None if no traversal of the case was accepted."""
    rejection: Rejection
    """The first rule that it failed, and why."""


@dataclass(frozen=True)
class Gated:
    """The gate's decisions. Iterates over the accepted traversals, repeatedly; traces are read on demand."""

    report: GateReport
    _sources: Sequence[TraceSource] = field(repr=False)
    _candidates: Sequence[Candidate] = field(repr=False)
    """All traversals, accepted and rejected, by case, sample and id."""
    _sides: Mapping[str, Side] = field(repr=False)
    """Digest of a case to its side."""
    _decontaminator: Decontaminator = field(repr=False)

    def __len__(self) -> int:
        return self.report.accepted.journeys

    def quote_in(self, text: str, case: Case) -> Quote | None:
        """The test question that a text about a case quotes, by the rule on reasoning and its settings.

        This is for text that is written after the gate, such as a rewritten monologue. None if it quotes none,
        or if the rule on test sets is off.
        """
        return self._decontaminator.quote_in(text, case)

    def __iter__(self) -> Iterator[Accepted]:
        """Accepted traversals, by case, sample and id.

        Raises:
            GateError: a trace file was changed since it was gated.
            TraceFileError: it cannot be read any more.
        """
        for candidate, trace in self._read(remaining(self._candidates)):
            run, side = self._sources[candidate.source].name, self._sides[candidate.digest]
            yield Accepted(trace, run, side, candidate.notes)

    def rejected(self) -> Iterator[Rejected]:
        """Rejected traversals with their reasons, by case, sample and id.

        Raises:
            GateError, TraceFileError: as for the accepted ones.
        """
        for candidate, trace in self._read([c for c in self._candidates if c.rejection]):
            run, side = self._sources[candidate.source].name, self._sides.get(candidate.digest)
            if candidate.rejection:
                yield Rejected(trace, run, side, candidate.rejection)

    def _read(self, candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Trace]]:
        files: dict[int, BinaryIO] = {}
        with ExitStack() as stack:
            for candidate in candidates:
                source = self._sources[candidate.source]
                if candidate.source not in files:
                    files[candidate.source] = stack.enter_context(source.open())
                yield candidate, source.trace_at(files[candidate.source], candidate.offset, candidate.id)
