"""Check the evidence for one hypothesis: which findings support or refute it, how strongly, and why."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.consultation import Consultation, Turn
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.reply import form, list_of, one_of, text
from ddxgraph.nodes.review_history import Asks, Finding
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Standpoint, Stop

NODE: Final = "check_evidence"
WHOLE_CASE: Final = "F0"
"""Stands for the case as a whole where no finding could be quoted from it."""

Strength = Literal[-2, -1, 0, 1, 2]


class Weight(BaseModel):
    """What one finding says about one hypothesis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding: str
    """A finding's id, or F0 for the case as a whole."""
    strength: Strength
    """-2 strongly refutes ... 0 neutral ... 2 strongly supports; steps of log-odds."""
    reason: str = ""

    @property
    def stance(self) -> Literal["supports", "refutes", "neutral"]:
        """The sign of the strength, in words."""
        if self.strength == 0:
            return "neutral"
        return "supports" if self.strength > 0 else "refutes"


class EvidenceCheck(BaseModel):
    """The evidence on one hypothesis from one check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["evidence"] = "evidence"
    hypothesis: str
    reasoning: str = ""
    weights: tuple[Weight, ...] = ()
    missing: str = ""
    """What would settle it."""
    repeated: int = 0
    """Weights dropped because the finding had been weighed already in this check."""


@cache
def output_model(findings: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply; a finding that is not in the list cannot be named."""
    note = text(limits.note_chars)
    weight = form("WeighedFinding", finding=one_of(findings), reason=note, strength=Strength)
    return form(
        "CheckEvidence",
        reasoning=text(limits.reasoning_chars),
        weights=list_of(weight, most=min(limits.weights, len(findings)), least=1),
        missing=note,
    )


def room(findings: int, limits: Limits) -> int:
    """Completion tokens that a check with so many findings may need."""
    return limits.completion_tokens(min(limits.weights, max(findings, 1)) + 1, limits.note_chars)


async def check_evidence(
    hypothesis: Hypothesis, findings: Sequence[Finding], asks: Asks, line: Consultation, limits: Limits
) -> EvidenceCheck:
    """Weigh the findings against one hypothesis.

    Returns:
        The weights, at most one a finding; none where the reply could not be read.
    """
    ids = tuple(finding.id for finding in findings) or (WHOLE_CASE,)
    named = ids if findings else (f"{WHOLE_CASE} is the case as a whole",)
    asking = line.prompts.render(NODE, hypothesis=hypothesis, findings=named, asks=asks)
    turn = Turn(NODE, asking, output_model(ids, limits), room(len(ids), limits), branch=hypothesis.id)
    output: Any = await line.ask(turn)
    if output is None:
        return EvidenceCheck(hypothesis=hypothesis.id)
    return settle(output, hypothesis.id)


def settle(output: Any, hypothesis: str) -> EvidenceCheck:
    """Keep the first weight of each finding; count the rest."""
    weights: dict[str, Weight] = {}
    for item in output.weights:
        weights.setdefault(
            item.finding, Weight(finding=item.finding, strength=item.strength, reason=item.reason)
        )
    return EvidenceCheck(
        hypothesis=hypothesis,
        reasoning=output.reasoning,
        weights=tuple(weights.values()),
        missing=output.missing,
        repeated=len(output.weights) - len(weights),
    )


def _learn(now: Standpoint, check: EvidenceCheck) -> Standpoint:
    weights = {weight.finding: weight for weight in check.weights}
    known = now.evidence.get(check.hypothesis, {})
    return now._replace(evidence={**now.evidence, check.hypothesis: {**known, **weights}})


def _words(check: EvidenceCheck) -> Iterator[str]:
    yield check.reasoning
    yield from (weight.reason for weight in check.weights)
    yield check.missing


CHECK_EVIDENCE: Final = Stop(
    name=NODE,
    title="Evidence",
    letter="E",
    colour="#00785a",
    output=EvidenceCheck,
    words=_words,
    learn=_learn,
    room=lambda told: room(len(told.now.findings), told.limits),
)
"""The one stop off the trunk: the graph visits it once for each hypothesis, side by side."""
