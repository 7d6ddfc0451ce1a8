"""The evidence of a journey as a matrix: what each finding says about each hypothesis. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import Finding, History


class Weighed(NamedTuple):
    """A weight, and the step that gave it."""

    step: int
    weight: Weight


class Refuted(NamedTuple):
    """A hypothesis that was given up: at which step, and why."""

    step: int
    because: str


@dataclass(frozen=True)
class Evidence:
    """What a journey found, supposed and weighed."""

    findings: Mapping[str, Finding]
    hypotheses: Mapping[str, Hypothesis]
    """By id, as the last differential has them."""
    weights: Mapping[tuple[str, str], Sequence[Weighed]]
    """(finding, hypothesis) to its weights in order; the last one counts."""
    refuted: Mapping[str, Refuted]
    """Hypothesis id to its refutation, where it was not taken up again."""

    @property
    def rows(self) -> Sequence[str]:
        """Ids of the findings, those that were weighed without being listed at the end."""
        return list(dict.fromkeys([*self.findings, *(finding for finding, _ in self.weights)]))

    @property
    def columns(self) -> Sequence[str]:
        """Ids of the hypotheses, those that were weighed without being listed at the end."""
        return list(dict.fromkeys([*self.hypotheses, *(hypothesis for _, hypothesis in self.weights)]))

    def total(self, hypothesis: str) -> int:
        """Sum of the strengths that count for a hypothesis."""
        return sum(
            weighed[-1].weight.strength for (_, key), weighed in self.weights.items() if key == hypothesis
        )

    def label(self, hypothesis: str) -> str:
        """A hypothesis in words; its id where it was never listed."""
        known = self.hypotheses.get(hypothesis)
        return known.label if known else hypothesis

    def quote(self, finding: str) -> str:
        """A finding in the case's words."""
        known = self.findings.get(finding)
        return known.quote if known else "the case as a whole" if finding == WHOLE_CASE else finding


def evidence_of(trace: Trace) -> Evidence:
    """Collect what the steps of a journey settled."""
    return evidence_in(trace.steps)


def evidence_in(steps: Iterable[Step]) -> Evidence:
    """Collect what some first steps of a journey settled."""
    findings: dict[str, Finding] = {}
    hypotheses: dict[str, Hypothesis] = {}
    weights: dict[tuple[str, str], list[Weighed]] = {}
    refuted: dict[str, Refuted] = {}
    for step in steps:
        match step.output:
            case History(findings=read):
                findings |= {finding.id: finding for finding in read}
            case Differential(hypotheses=named, revived=revived):
                hypotheses = {hypothesis.id: hypothesis for hypothesis in named}
                refuted = {key: why for key, why in refuted.items() if key not in revived}
            case EvidenceCheck(hypothesis=key, weights=given):
                for weight in given:
                    weights.setdefault((weight.finding, key), []).append(Weighed(step.index, weight))
            case Reflection(refuted=given_up):
                refuted |= {one.hypothesis: Refuted(step.index, one.because) for one in given_up}
            case _:
                pass
    return Evidence(findings, hypotheses, weights, refuted)
