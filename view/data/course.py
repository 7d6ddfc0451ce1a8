"""The state of a traversal in progress: steps, differential, pending stops. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ddxgraph.graph.replay import START, after
from ddxgraph.graph.routing import Move
from ddxgraph.graph.trace import Step
from ddxgraph.nodes.call.usage import Usage, total_usage
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.registry import END, STOPS
from ddxgraph.nodes.stop import Standpoint


class Stop(NamedTuple):
    """A stop; for a check, with its hypothesis."""

    node: str
    branch: str | None = None


@dataclass(frozen=True)
class Course:
    """The state after some steps. Immutable, since another thread may be drawing it."""

    steps: tuple[Step, ...] = ()
    now: Standpoint = START
    """What stands, as in `graph.replay`; evidence of parallel checks is added as it arrives."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Credence after the stop on the trunk before the last: the checks of a round move the bars from there."""
    settled: Mapping[str, float] = field(default_factory=dict)
    """Credence after the last stop on the trunk."""

    def after(self, step: Step) -> "Course":
        """The state with one more step."""
        now = after(self.now, step)
        return Course(
            steps=(*self.steps, step),
            now=now,
            before=self.settled,
            settled=now.credence if step.branch is None else self.settled,
        )

    @property
    def shares(self) -> Mapping[str, float]:
        """Hypothesis id to credence, as in `Trace.trajectory`."""
        return self.now.credence

    @property
    def leader(self) -> str | None:
        """The unrefuted hypothesis with the highest credence; None on a tie."""
        gone = self.now.refuted
        standing = sorted((share, key) for key, share in self.shares.items() if key not in gone)
        if not standing or (len(standing) > 1 and math.isclose(standing[-1][0], standing[-2][0])):
            return None
        return standing[-1][1]

    @property
    def usage(self) -> Usage:
        """Usage of all steps."""
        return total_usage(step.usage for step in self.steps)

    @property
    def backtracks(self) -> int:
        """Number of backtracks."""
        return sum(step.move.backtrack for step in self.steps)

    @property
    def awaited(self) -> Sequence[Stop]:
        """The stops in progress: several if checks run in parallel, none at the end."""
        checks: list[Step] = []
        for step in reversed(self.steps):
            if step.branch is None:
                return _under_way(step.move, checks)
            checks.append(step)
        return [Stop(STOPS.first.name)]


def _under_way(move: Move, checks: Sequence[Step]) -> Sequence[Stop]:
    """Where a move on the trunk leads, given the checks finished since, the last one first."""
    done = {check.branch for check in checks}
    if left := [Stop(CHECK_EVIDENCE.name, key) for key in move.targets if key not in done]:
        return left if move.to == CHECK_EVIDENCE.name else [Stop(move.to)]
    to = checks[0].move.to if checks else move.to
    return [] if to == END else [Stop(to)]
