"""The styles without a detour: `shortcut`, the control for a journey, and `cot`, a brief chain of thought."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.registry import title
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.training.styles.detours import Detours
from ddxgraph.training.styles.events import Asked, Checked, Event, Journey, Thought, Weighed
from ddxgraph.training.styles.journey import ParsedTrace, named, noted, weighed_quote
from ddxgraph.training.styles.longstep import steps_told
from ddxgraph.training.styles.phrases import ASKS
from ddxgraph.training.styles.quoting import ModelWords, answer_line, joined
from ddxgraph.training.styles.voice import finding

_BRIEF_FINDINGS: Final = 5
_BRIEF_REASONS: Final = 3


class _Settled(NamedTuple):
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


def shortcut(parsed: ParsedTrace, seed: str) -> str:
    """The successful path alone, in the form of `longstep`: findings, the answer, its evidence, the conclusion.

    It holds nothing of other hypotheses, of weights that were later replaced, or of reflections. A reason that
    leads off the path is left out, and so are such sentences of the justification (`Detours`); where they all do,
    the findings that weigh most for the answer conclude it. An answer in words that are no hypothesis' name has
    no evidence to tell.

    Raises:
        CompileError: as for a journey.
    """
    return steps_told(path_of(parsed), parsed.options, seed)


def path_of(parsed: ParsedTrace) -> Journey:
    """The events of the successful path.

    Raises:
        CompileError: as for a journey.
    """
    walked = parsed.journey
    settled, right = _settled(parsed), parsed.chosen
    names = settled.words.names
    detours = Detours(list(names.values()), names[right.id] if right else None)
    events: list[Event] = [event for event in walked if isinstance(event, Asked)]
    events += [noted(finding, settled.words) for finding in settled.findings.values()]
    if right:
        name = named(right, settled.words)
        events += [replace(name, rationale=detours.straight(name.rationale)), Checked(name.hypothesis)]
        for weight in settled.evidence.get(right.id, {}).values():
            reason = detours.straight(settled.words.note(weight.reason))
            events.append(Weighed(_quote(settled, weight), weight.strength, reason))
    straight = [Thought(thought.stop, detours.straight(thought.text)) for thought in parsed.other_thoughts]
    if settled.justification:
        text = detours.clauses(settled.justification) or _deciding(settled, right, parsed.answer)
        straight.append(Thought(CONCLUDE.name, text))
    return (*events, *(thought for thought in straight if thought.text), walked[-1])


def _deciding(settled: _Settled, right: Hypothesis | None, answer: str) -> str:
    """What concludes a path whose justification is all about what lies off it."""
    weights = settled.evidence.get(right.id, {}).values() if right else ()
    heaviest = sorted((w for w in weights if w.strength > 0), key=lambda weight: -weight.strength)
    deciding = [finding(_quote(settled, weight)) for weight in heaviest[:_BRIEF_REASONS]]
    name = _written(settled, right) if right else answer
    return f"What speaks for {name} is {joined(deciding)}." if deciding else f"The answer is {name}."


def brief(parsed: ParsedTrace) -> str:
    """A short chain of thought: the findings that weigh most, what speaks for the answer, why its rival fails.

    Raises:
        CompileError: as for a journey.
    """
    answer, settled, right = parsed.answer, _settled(parsed), parsed.chosen
    lines = [f"The question asks for {ASKS[settled.asks]}."] if settled.asks in ASKS else []
    lines += _key_findings(settled)
    if right:
        lines += _case_for(settled, right)
        lines += _case_against(settled, _rival(parsed, right))
    lines += [f"{title(thought.stop)}: {thought.text}" for thought in parsed.other_thoughts]
    if settled.justification:
        lines.append(f"In conclusion: {settled.justification}")
    numbered = "\n".join(f"{place}. {line}" for place, line in enumerate(lines, 1))
    return f"{numbered}\n\n{answer_line(answer)}".lstrip()


def _settled(parsed: ParsedTrace) -> _Settled:
    words, now, steps = parsed.words, parsed.now, parsed.trace.steps
    readings = (step.output for step in steps if isinstance(step.output, History) and not step.failure)
    return _Settled(
        words,
        now.findings,
        now.evidence,
        {key: words.note(refutation.because) for key, refutation in now.refuted.items()},
        next((reading.asks for reading in readings), ""),
        parsed.justification,
    )


def _key_findings(settled: _Settled) -> list[str]:
    key = sorted(settled.findings.values(), key=lambda finding: -finding.salience)[:_BRIEF_FINDINGS]
    quotes = [
        finding(settled.words.finding(f)) + (" (absent)" if f.polarity == "absent" else "") for f in key
    ]
    verb = "findings are" if len(quotes) > 1 else "finding is"
    return [f"The key {verb} {joined(quotes)}."] if quotes else []


def _case_for(settled: _Settled, right: Hypothesis) -> list[str]:
    label = _written(settled, right)
    reasons = _reasons(settled, right, sign=1)
    return [f"For {label}: {_sentence(reasons)}"] if reasons else [f"The candidate to consider is {label}."]


def _case_against(settled: _Settled, rival: Hypothesis | None) -> list[str]:
    if rival is None:
        return []
    reasons = settled.refuted.get(rival.id) or _reasons(settled, rival, sign=-1)
    closest = f"Against {_written(settled, rival)}, the closest alternative"
    return [f"{closest}: {_sentence(reasons)}"] if reasons else []


def _reasons(settled: _Settled, hypothesis: Hypothesis, sign: int) -> str:
    """The heaviest weights of one sign, in words."""
    weights = [w for w in settled.evidence.get(hypothesis.id, {}).values() if w.strength * sign > 0]
    heaviest: Sequence[Weight] = sorted(weights, key=lambda weight: -abs(weight.strength))[:_BRIEF_REASONS]
    items = []
    for weight in heaviest:
        reason = settled.words.note(weight.reason)
        items.append(finding(_quote(settled, weight)) + (f" ({reason})" if reason else ""))
    return joined(items) if items else ""


def _rival(parsed: ParsedTrace, right: Hypothesis) -> Hypothesis | None:
    """The hypothesis that comes closest to the answer by the last credence; the first of equals."""
    shares = next((step.credence for step in reversed(parsed.trace.steps) if step.credence), {})
    others = [h for h in parsed.now.hypotheses.values() if h.id != right.id and h.id in shares]
    return max(others, key=lambda hypothesis: shares[hypothesis.id], default=None)


def _quote(settled: _Settled, weight: Weight) -> str:
    return weighed_quote(weight, settled.findings, settled.words)


def _written(settled: _Settled, hypothesis: Hypothesis) -> str:
    name = settled.words.names[hypothesis.id]
    return f"{name.label} ({name.letter})" if name.letter else name.label


def _sentence(words: str) -> str:
    return words if words.endswith(("!", "?")) else f"{words}."
