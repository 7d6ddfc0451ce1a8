"""An expert's edit: what a person changed while a journey was paused.

It is a node of traces, not a stop of the graph: no model is asked.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.generate_differential import Hypothesis, Refutation
from ddxgraph.nodes.review_history import Asks, Finding
from ddxgraph.nodes.stop import Node, Standpoint

NODE: Final = "expert_edit"


class ExpertEdit(BaseModel):
    """What an expert changed. A field that is None was left as it was."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["expert_edit"] = "expert_edit"
    asks: Asks | None = None
    findings: tuple[Finding, ...] | None = None
    """All findings from now on. The evidence of a finding that is no longer among them is gone too."""
    hypotheses: tuple[Hypothesis, ...] | None = None
    """The whole differential from now on."""
    evidence: Mapping[str, Mapping[str, Weight]] | None = None
    """Hypothesis id to finding id to weight; other weights stay."""
    refuted: tuple[Refutation, ...] | None = None
    """All refutations from now on."""
    critique: str | None = None
    changes: tuple[str, ...] = ()
    """The changes in words, as the model is told them."""


def changes_between(now: Standpoint, then: Standpoint) -> tuple[str, ...]:
    """What differs between two standpoints, a sentence for each change, as the model is told it.

    Args:
        now: before the edit.
        then: after it.

    Returns:
        The sentences; none if nothing differs.
    """
    return (
        *([f"the question asks for: {then.asks}"] if then.asks != now.asks else ()),
        *_differing(now.findings, then.findings, _finding, "finding", "is struck out"),
        *_differing(now.hypotheses, then.hypotheses, _hypothesis, "hypothesis", "is struck out"),
        *(
            f"{weight.finding} weighs {weight.strength:+} on {key}{_because(weight.reason)}"
            for key, weights in then.evidence.items()
            for weight in weights.values()
            if now.evidence.get(key, {}).get(weight.finding) != weight
        ),
        *(
            f"{key} is ruled out{_because(refutation.because)}"
            for key, refutation in then.refuted.items()
            if now.refuted.get(key) != refutation
        ),
        *(f"{key} is no longer ruled out" for key in now.refuted if key not in then.refuted),
        *([f"critique: {then.critique or 'none'}"] if then.critique != now.critique else ()),
    )


def _differing(
    now: Mapping[str, Any], then: Mapping[str, Any], told: Callable[[Any], str], noun: str, gone: str
) -> Iterator[str]:
    for key, value in then.items():
        if key not in now:
            yield f"new {noun} {key}: {told(value)}"
        elif now[key] != value:
            yield f"{noun} {key} now reads: {told(value)}"
    yield from (f"{noun} {key} {gone}: {told(value)}" for key, value in now.items() if key not in then)


def _finding(finding: Finding) -> str:
    return f'"{finding.quote}" ({finding.kind.replace("_", " ")}, {finding.polarity})'


def _hypothesis(hypothesis: Hypothesis) -> str:
    return f"{hypothesis.label}, prior {hypothesis.prior:.0%}{_because(hypothesis.rationale)}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _by_id(records: Sequence[Any]) -> dict[str, Any]:
    return {record.id: record for record in records}


def _learn(now: Standpoint, edit: ExpertEdit) -> Standpoint:
    then = now
    if edit.asks is not None:
        then = then._replace(asks=edit.asks)
    if edit.findings is not None:
        then = then._replace(findings=_by_id(edit.findings), evidence=_without(now, edit.findings))
    if edit.hypotheses is not None:
        then = then._replace(hypotheses=_by_id(edit.hypotheses))
    if edit.evidence is not None:
        merged = {
            key: {**then.evidence.get(key, {}), **edit.evidence.get(key, {})}
            for key in (*then.evidence, *(key for key in edit.evidence if key not in then.evidence))
        }
        then = then._replace(evidence=merged)
    if edit.refuted is not None:
        then = then._replace(refuted={refutation.hypothesis: refutation for refutation in edit.refuted})
    return then if edit.critique is None else then._replace(critique=edit.critique)


def _without(now: Standpoint, kept: Sequence[Finding]) -> Mapping[str, Mapping[str, Weight]]:
    """The evidence without that of findings which were struck out."""
    gone = now.findings.keys() - {finding.id for finding in kept}
    if not gone:
        return now.evidence
    return {
        key: {finding: weight for finding, weight in weights.items() if finding not in gone}
        for key, weights in now.evidence.items()
    }


EXPERT_EDIT: Final = Node(
    name=NODE,
    title="Expert",
    letter="X",
    colour="#7a5c00",
    output=ExpertEdit,
    words=lambda _: (),
    learn=_learn,
)
"""It has no words of the model's own."""
