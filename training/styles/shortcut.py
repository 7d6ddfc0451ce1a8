"""The styles without a detour: `shortcut`, the control for a journey, and `cot`, a brief chain of thought."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.check_evidence import WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.training.styles.detours import Detours
from ddxgraph.training.styles.journey import (
    Asked,
    Checked,
    Event,
    Journey,
    Thought,
    Weighed,
    answer_of,
    chosen,
    journey_of,
    named,
    noted,
)
from ddxgraph.training.styles.longstep import steps_told
from ddxgraph.training.styles.modelwords import ModelWords
from ddxgraph.training.styles.phrases import ASKS
from ddxgraph.training.styles.quoting import answer_line, joined
from ddxgraph.training.styles.voice import finding

_BRIEF_FINDINGS: Final = 5
_BRIEF_REASONS: Final = 3


class _Known(NamedTuple):
    """What a traversal had settled in the end."""

    words: ModelWords
    findings: Mapping[str, Finding]
    evidence: Mapping[str, Mapping[str, Weight]]
    """Hypothesis id to finding id to the last weight."""
    refuted: Mapping[str, str]
    """Hypothesis id to why."""
    asks: str
    """Empty where no reading of the history said it."""
    justification: str


def shortcut(trace: Trace, seed: str) -> str:
    """The successful path alone, in the form of `longstep`: findings, the answer, its evidence, the conclusion.

    Nothing of other hypotheses, of weights that were later replaced, or of reflections is in it: of the model's
    own words, a reason that leads off the path is left out, and so is such a sentence of the justification
    (`detours`). Where the answer is in words that no hypothesis has as its name, there is no evidence to tell.

    Raises:
        CompileError: as for a journey.
    """
    return steps_told(path_of(trace), trace.case.options, seed)


def path_of(trace: Trace) -> Journey:
    """The events of the successful path.

    Raises:
        CompileError: as for a journey.
    """
    walked = journey_of(trace)
    known, right = _known(trace), chosen(trace)
    detours = Detours(list(known.words.names.values()), known.words.names[right.id] if right else None)
    events: list[Event] = [event for event in walked if isinstance(event, Asked)]
    events += [noted(finding, known.words) for finding in known.findings.values()]
    if right:
        name = named(right, known.words)
        events += [replace(name, rationale=detours.straight(name.rationale)), Checked(name.hypothesis)]
        for weight in known.evidence.get(right.id, {}).values():
            reason = detours.straight(known.words.note(weight.reason))
            events.append(Weighed(_quote(known, weight), weight.strength, reason))
    justification = detours.straight(known.justification)
    if justification:
        events.append(Thought("conclude", justification))
    return (*events, walked[-1])


def brief(trace: Trace) -> str:
    """A short chain of thought: the findings that weigh most, what speaks for the answer, why its rival fails.

    Raises:
        CompileError: as for a journey.
    """
    answer = answer_of(trace)
    known, right = _known(trace), chosen(trace)
    lines = [f"The question asks for {ASKS[known.asks]}."] if known.asks in ASKS else []
    lines += _key_findings(known)
    if right:
        lines += _case_for(known, right)
        lines += _case_against(known, _rival(trace, right))
    if known.justification:
        lines.append(f"In conclusion: {known.justification}")
    told = "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))
    return f"{told}\n\n{answer_line(answer)}".lstrip()


def _known(trace: Trace) -> _Known:
    words = ModelWords(trace)
    findings: dict[str, Finding] = {}
    evidence: dict[str, dict[str, Weight]] = {}
    refuted: dict[str, str] = {}
    asks, justification = "", ""
    for step in trace.steps:
        match step.output:
            case History() as history:
                asks = asks or ("" if step.failure else history.asks)
                findings |= {finding.id: finding for finding in history.findings}
            case Differential(revived=revived):
                for key in revived:
                    refuted.pop(key, None)
            case EvidenceCheck(hypothesis=key, weights=weights):
                evidence.setdefault(key, {}).update({weight.finding: weight for weight in weights})
            case Reflection(refuted=given_up):
                refuted |= {r.hypothesis: words.note(r.because) for r in given_up}
            case Conclusion() as conclusion if step.text:
                justification = words.thought(conclusion.justification)
            case _:
                pass
    return _Known(words, findings, evidence, refuted, asks, justification)


def _key_findings(known: _Known) -> list[str]:
    most = sorted(known.findings.values(), key=lambda finding: -finding.salience)[:_BRIEF_FINDINGS]
    told = [finding(known.words.finding(f)) + (" (absent)" if f.polarity == "absent" else "") for f in most]
    verb = "findings are" if len(told) > 1 else "finding is"
    return [f"The key {verb} {joined(told)}."] if told else []


def _case_for(known: _Known, right: Hypothesis) -> list[str]:
    label = _written(known, right)
    told = _reasons(known, right, sign=1)
    return [f"For {label}: {_ended(told)}"] if told else [f"The candidate to consider is {label}."]


def _case_against(known: _Known, rival: Hypothesis | None) -> list[str]:
    if rival is None:
        return []
    told = known.refuted.get(rival.id) or _reasons(known, rival, sign=-1)
    return [f"Against {_written(known, rival)}, the closest alternative: {_ended(told)}"] if told else []


def _reasons(known: _Known, hypothesis: Hypothesis, sign: int) -> str:
    """The heaviest weights of one sign, in words."""
    weights = [w for w in known.evidence.get(hypothesis.id, {}).values() if w.strength * sign > 0]
    heaviest: Sequence[Weight] = sorted(weights, key=lambda weight: -abs(weight.strength))[:_BRIEF_REASONS]
    told = []
    for weight in heaviest:
        reason = known.words.note(weight.reason)
        told.append(finding(_quote(known, weight)) + (f" ({reason})" if reason else ""))
    return joined(told) if told else ""


def _rival(trace: Trace, right: Hypothesis) -> Hypothesis | None:
    """The hypothesis that comes closest to the answer, by the last credence; the first of equals."""
    last = next((s.output for s in reversed(trace.steps) if isinstance(s.output, Differential)), None)
    shares = next((s.credence for s in reversed(trace.steps) if s.credence), {})
    others = [h for h in (last.hypotheses if last else ()) if h.id != right.id and h.id in shares]
    return max(others, key=lambda hypothesis: shares[hypothesis.id], default=None)


def _quote(known: _Known, weight: Weight) -> str:
    return "" if weight.finding == WHOLE_CASE else known.words.finding(known.findings[weight.finding])


def _written(known: _Known, hypothesis: Hypothesis) -> str:
    name = known.words.names[hypothesis.id]
    return f"{name.label} ({name.letter})" if name.letter else name.label


def _ended(words: str) -> str:
    """Words as a sentence."""
    return words if words.endswith(("!", "?")) else f"{words}."
