"""The free text of a journey: what the model wrote at its stops. Pure."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from ddxgraph.graph.trace import Output, Step, Trace
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.generate import Generation
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import History


def reasoning_of(trace: Trace) -> list[str]:
    """The reasoning as the steps settled it, in order: thoughts, quotes, rationales, reasons, critiques.

    Names of the hypotheses are left out: those of the options are the case's own words, told at every visit.
    """
    return [text for step in trace.steps if step.output is not None for text in _settled(step.output) if text]


def remainder_of(trace: Trace) -> list[str]:
    """What the replies hold beyond the reasoning, in order: it may stand in training data too.

    Names of free hypotheses, quotes that are none, and the whole of a reply that is no JSON.
    """
    return [text for step in trace.steps for text in _beyond(step)]


def _beyond(step: Step) -> Iterator[str]:
    known: set[str] = set()
    if step.output is not None:
        known.update(_settled(step.output))
        if isinstance(step.output, Differential):
            named = [hypothesis.label for hypothesis in step.output.hypotheses if hypothesis.letter is None]
            known.update(named)
            yield from named
    if step.text:
        yield from (text for text in _strings(_read(step.text)) if text and text not in known)


def _settled(output: Output) -> Iterator[str]:
    match output:
        case History(reasoning=reasoning, findings=findings):
            yield reasoning
            yield from (finding.quote for finding in findings)
        case Differential(reasoning=reasoning, hypotheses=hypotheses):
            yield reasoning
            yield from (hypothesis.rationale for hypothesis in hypotheses)
        case EvidenceCheck(reasoning=reasoning, weights=weights, missing=missing):
            yield reasoning
            yield from (weight.reason for weight in weights)
            yield missing
        case Reflection(critique=critique, refuted=refuted):
            yield critique
            yield from (refutation.because for refutation in refuted)
        case Conclusion(justification=justification):
            yield justification
        case Generation(statement=statement):
            yield statement


def _read(text: str) -> Any:
    """A reply as the JSON that it is; its text where it is none."""
    try:
        return from_json(text)
    except ValueError:
        return text


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
