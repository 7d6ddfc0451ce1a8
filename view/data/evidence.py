"""The evidence of a trace as a matrix: what each finding says about each hypothesis. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ddxgraph.graph.replay import START
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.registry import node
from ddxgraph.nodes.review_history import Finding


class Weighed(NamedTuple):
    """A weight, and the step that gave it."""

    step: int
    weight: Weight


class Refuted(NamedTuple):
    """When and why a hypothesis was refuted."""

    step: int
    because: str


@dataclass(frozen=True)
class Evidence:
    """Findings, hypotheses and weights of a trace."""

    findings: Mapping[str, Finding]
    hypotheses: Mapping[str, Hypothesis]
    """By id, as in the last differential."""
    weights: Mapping[tuple[str, str], Sequence[Weighed]]
    """(finding, hypothesis) to its weights in order; the last one counts."""
    refuted: Mapping[str, Refuted]
    """Hypothesis id to its refutation, unless it was revived later."""

    @property
    def rows(self) -> Sequence[str]:
        """Ids of the findings, including weighed ones that are not listed."""
        return list(dict.fromkeys([*self.findings, *(finding for finding, _ in self.weights)]))

    @property
    def columns(self) -> Sequence[str]:
        """Ids of the hypotheses, including weighed ones that are not listed."""
        return list(dict.fromkeys([*self.hypotheses, *(hypothesis for _, hypothesis in self.weights)]))

    def total(self, hypothesis: str) -> int:
        """Sum of the strengths that count for a hypothesis."""
        return sum(
            weighed[-1].weight.strength for (_, key), weighed in self.weights.items() if key == hypothesis
        )

    def label(self, hypothesis: str) -> str:
        """The name of a hypothesis; its id if it was never listed."""
        known = self.hypotheses.get(hypothesis)
        return known.label if known else hypothesis

    def quote(self, finding: str) -> str:
        """A finding in the words of the case."""
        known = self.findings.get(finding)
        return known.quote if known else "the case as a whole" if finding == WHOLE_CASE else finding


def evidence_of(trace: Trace) -> Evidence:
    """Collect the evidence of a trace."""
    return evidence_in(trace.steps)


def evidence_in(steps: Iterable[Step]) -> Evidence:
    """Collect the evidence of some first steps of a trace."""
    now = START
    weights: dict[tuple[str, str], list[Weighed]] = {}
    refuted: dict[str, Refuted] = {}
    for step in steps:
        if step.output is None:
            continue
        before, now = (
            now,
            node(step.node).learn(now, step.output),
        )  # without the credence, which takes a while
        refuted = {
            key: refuted[key] if before.refuted.get(key) == why else Refuted(step.index, why.because)
            for key, why in now.refuted.items()
        }
        for hypothesis, weight in _weights(step.output):
            weights.setdefault((weight.finding, hypothesis), []).append(Weighed(step.index, weight))
        if struck_out := before.findings.keys() - now.findings.keys():
            weights = {key: given for key, given in weights.items() if key[0] not in struck_out}
    return Evidence(now.findings, now.hypotheses, weights, refuted)


def _weights(output: object) -> Iterator[tuple[str, Weight]]:
    """The weights in an output, with their hypotheses."""
    match output:
        case EvidenceCheck(hypothesis=hypothesis, weights=weights):
            yield from ((hypothesis, weight) for weight in weights)
        case ExpertEdit(evidence=evidence) if evidence:
            yield from ((key, weight) for key, weights in evidence.items() for weight in weights.values())
        case _:
            pass
