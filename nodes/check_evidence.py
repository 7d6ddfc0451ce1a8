"""Check the evidence on one hypothesis: which findings support or refute it, how strongly, and why."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.reply import form, list_of, one_of, text
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.review_history import Asks, Finding
from ddxgraph.nodes.settings import Limits
from ddxgraph.nodes.stop import Standpoint, Stop

NODE: Final = "check_evidence"
WHOLE_CASE: Final = "F0"
"""Id of the case as a whole, which is weighed if no finding could be quoted."""

Strength = Literal[-2, -1, 0, 1, 2]


class Weight(BaseModel):
    """How one finding bears on one hypothesis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    finding: str
    """A finding's id, or F0 for the case as a whole."""
    strength: Strength
    """From -2 (strongly refutes) through 0 (neutral) to 2 (strongly supports), in steps of log-odds."""
    reason: str = ""

    @property
    def stance(self) -> Literal["supports", "refutes", "neutral"]:
        """The sign of the strength in words."""
        if self.strength == 0:
            return "neutral"
        return "supports" if self.strength > 0 else "refutes"


class EvidenceCheck(BaseModel):
    """The output of one evidence check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["evidence"] = "evidence"
    hypothesis: str
    reasoning: str = ""
    weights: tuple[Weight, ...] = ()
    missing: str = ""
    """Which evidence would decide the question."""
    repeated: int = 0
    """Number of weights dropped because this check had weighed the finding already."""


@cache
def output_model(findings: tuple[str, ...], limits: Limits) -> type[BaseModel]:
    """The form of the reply, which can name only findings of the list."""
    note = text(limits.note_chars)
    weight = form("WeighedFinding", finding=one_of(findings), reason=note, strength=Strength)
    return form(
        "CheckEvidence",
        reasoning=text(limits.reasoning_chars),
        weights=list_of(weight, most=min(limits.weights, len(findings)), least=1),
        missing=note,
    )


def room(findings: int, limits: Limits) -> int:
    """Completion tokens that a check of this number of findings may need."""
    return limits.completion_tokens(min(limits.weights, max(findings, 1)) + 1, limits.note_chars)


async def check_evidence(
    hypothesis: Hypothesis, findings: Sequence[Finding], asks: Asks, line: Consultation, limits: Limits
) -> EvidenceCheck:
    """Weigh the findings against one hypothesis.

    Args:
        hypothesis: the hypothesis under test.
        findings: all findings so far.
        asks: what the question asks for.
        line: the line to the model.
        limits: maximum sizes in the reply.

    Returns:
        The weights, at most one per finding; none if the reply could not be parsed.

    Raises:
        EngineFailed: the model gave no reply.
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
    """Keep the first weight of each finding, and count the others."""
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
    room=lambda briefing: room(len(briefing.now.findings), briefing.limits),
)
"""The only stop off the trunk: the graph makes one check per hypothesis, in parallel."""
