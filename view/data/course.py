"""A journey as far as it has come: its steps, its differential, what it waits for. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ddxgraph.graph.credence import credence
from ddxgraph.graph.routing import Move
from ddxgraph.graph.trace import Step
from ddxgraph.nodes.check_evidence import EvidenceCheck, Weight
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.usage import Usage, total_usage


class Stop(NamedTuple):
    """A stop, and the hypothesis that it is about, for a check."""

    node: str
    branch: str | None = None


@dataclass(frozen=True)
class Course:
    """What the steps so far have made of a case. Never changed in place: another thread may be drawing it."""

    steps: tuple[Step, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    refuted: frozenset[str] = frozenset()
    shares: Mapping[str, float] = field(default_factory=dict)
    """Hypothesis id to credence, with the evidence of parallel checks as it comes in; as `Trace.trajectory`."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Credence after the stop on the trunk before: checks move the bars away from there, one after another."""
    settled: Mapping[str, float] = field(default_factory=dict)
    """Credence after the last stop on the trunk."""
    evidence: Mapping[str, Mapping[str, Weight]] = field(default_factory=dict)

    def after(self, step: Step) -> "Course":
        """The course with one more step."""
        known = self._learned(step)
        shares = credence(known.hypotheses, known.evidence, known.refuted)
        return replace(
            known,
            steps=(*self.steps, step),
            shares=shares,
            before=self.settled,
            settled=shares if step.branch is None else self.settled,
        )

    def _learned(self, step: Step) -> "Course":
        match step.output:
            case Differential(hypotheses=named, revived=revived):
                return replace(self, hypotheses=named, refuted=self.refuted - set(revived))
            case EvidenceCheck(hypothesis=key, weights=weights):
                weighed = {**self.evidence.get(key, {}), **{weight.finding: weight for weight in weights}}
                return replace(self, evidence={**self.evidence, key: weighed})
            case Reflection(refuted=given_up):
                return replace(self, refuted=self.refuted | {one.hypothesis for one in given_up})
            case _:
                return self

    @property
    def leader(self) -> str | None:
        """The hypothesis with the highest credence of those that stand; None where several have it."""
        standing = sorted((share, key) for key, share in self.shares.items() if key not in self.refuted)
        if not standing or (len(standing) > 1 and math.isclose(standing[-1][0], standing[-2][0])):
            return None
        return standing[-1][1]

    @property
    def usage(self) -> Usage:
        """What the steps cost."""
        return total_usage(step.usage for step in self.steps)

    @property
    def backtracks(self) -> int:
        """Number of moves back."""
        return sum(step.move.backtrack for step in self.steps)

    @property
    def awaited(self) -> Sequence[Stop]:
        """The stops that are under way: several where checks run side by side, none at the end."""
        checks: list[Step] = []
        for step in reversed(self.steps):
            if step.branch is None:
                return _under_way(step.move, checks)
            checks.append(step)
        return [Stop("review_history")]


def _under_way(move: Move, checks: Sequence[Step]) -> Sequence[Stop]:
    """Where a move on the trunk has led, given the checks that are done since, the last one first."""
    done = {check.branch for check in checks}
    if left := [Stop("check_evidence", key) for key in move.targets if key not in done]:
        return left if move.to == "check_evidence" else [Stop(move.to)]
    to = checks[0].move.to if checks else move.to
    return [] if to == "end" else [Stop(to)]
