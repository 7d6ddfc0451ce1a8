"""The tally of a run: how far it is, what it cost, how it goes."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ddxgraph.graph.trace import UNFINISHED, Trace
from ddxgraph.nodes.call.usage import Usage, total_usage

RECENT: Final = 3
"""Traversals that a tally keeps whole."""


class Recent(NamedTuple):
    """A traversal that has just ended."""

    trace: Trace
    correct: bool | None
    """None where there is no gold answer."""


@dataclass
class Tally:
    """Counts over a run. What an earlier process did counts towards the whole, not towards the rates."""

    total: int
    """Traversals of the whole run."""
    before: int = 0
    """Traversals that were there already."""
    ended: int = 0
    """Traversals that this process brought to an end."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Outcome to traversals, earlier ones included; errors are this process's own."""
    errors: Counter[str] = field(default_factory=Counter)
    """Kind of failure to traversals; this process's own."""
    retried: Counter[str] = field(default_factory=Counter)
    """Kind of failure to calls that were made again; this process's own."""
    cut: int = 0
    """Traversals in which the server cut a prompt without a word; this process's own."""
    correct: int = 0
    judged: int = 0
    """Traversals whose case has a gold answer; errors are unscored."""
    usage: Usage = Usage()  # noqa: RUF009 - frozen
    """Of this process."""
    backtracks: int = 0
    """Moves back; this process's own, errors included."""
    recent: tuple[Recent, ...] = ()
    """The last `RECENT` that this process brought to an end, the oldest first. Never changed in place: another
    thread may be showing it."""
    started: float = field(default_factory=time.monotonic)

    def add(self, trace: Trace, correct: bool | None) -> None:
        """Count a traversal that has just ended; `correct` is None where there is no gold answer."""
        self.ended += 1
        self.usage = total_usage((self.usage, trace.usage))
        self.backtracks += trace.backtracks
        self.cut += bool(trace.cut_prompts)
        self.recent = (*self.recent, Recent(trace, correct))[-RECENT:]
        if trace.outcome == "error":
            self.errors[trace.failure.kind if trace.failure else "other"] += 1
        self._count(trace.outcome, correct if trace.finished else None)

    def add_earlier(self, record: Mapping[str, Any], correct: bool | None) -> None:
        """Count a traversal that was there already, from its plain JSON object."""
        self.before += 1
        self._count(record["outcome"], correct)

    def _count(self, outcome: str, correct: bool | None) -> None:
        self.outcomes[outcome] += 1
        if correct is not None:
            self.judged += 1
            self.correct += correct

    @property
    def done(self) -> int:
        """Traversals that need not be done again."""
        return self.before + self.ended - sum(self.outcomes[outcome] for outcome in UNFINISHED)

    @property
    def elapsed_s(self) -> float:
        """Seconds since this process began."""
        return max(time.monotonic() - self.started, 1e-6)  # a coarse clock may not have moved yet

    @property
    def accuracy(self) -> float | None:
        """Share of the judged traversals whose answer is the gold one; None where none was judged."""
        return self.correct / self.judged if self.judged else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest will take at the pace so far; None before there is one."""
        left = self.total - self.before - self.ended
        return self.elapsed_s / self.ended * left if self.ended else None
