"""The style `straight`, a control for journeys: every candidate is weighed, as in `longstep`, in one pass."""

from collections.abc import Iterator

from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE, EvidenceCheck
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.reflect import REFLECT, Reflection
from ddxgraph.training.styles.detours import without_turns_back
from ddxgraph.training.styles.events import (
    Asked,
    Checked,
    Event,
    Journey,
    Missing,
    Refuted,
    Thought,
    Weighed,
)
from ddxgraph.training.styles.journey import ParsedTrace, named, noted, weighed_quote
from ddxgraph.training.styles.longstep import steps_told


def straight(parsed: ParsedTrace, seed: str) -> str:
    """The journey as one that knew the way, in the form of `longstep`.

    All findings, the differential as it stood last, the last evidence on each hypothesis, what stayed refuted in
    the end, and the conclusion; each once. What led to none of these is left out: backtracks, weights that were
    replaced, refutations that were taken back, and sentences that speak of a change of mind. So it differs from
    `longstep` in the wrong turns alone, and from `shortcut` in the candidates that are not the answer.

    Raises:
        CompileError: as for a journey.
    """
    return steps_told(straight_path(parsed), parsed.options, seed)


def straight_path(parsed: ParsedTrace) -> Journey:
    """The events of the one pass.

    Raises:
        CompileError: as for a journey.
    """
    walked = parsed.journey
    asked = [event for event in walked if isinstance(event, Asked)]
    return (*asked, *_events(parsed), walked[-1])


def _events(parsed: ParsedTrace) -> Iterator[Event]:
    words, now = parsed.words, parsed.now
    yield from (noted(finding, words) for finding in now.findings.values())
    yield from (named(hypothesis, words) for hypothesis in now.hypotheses.values())
    for key in now.hypotheses:
        yield from _weighed(parsed, key)
    yield from _thought(parsed, REFLECT.name, _last_critique(parsed))
    for key, refutation in now.refuted.items():
        yield Refuted(words.names[key], without_turns_back(words.note(refutation.because)))
    for thought in parsed.other_thoughts:
        yield from _thought(parsed, thought.stop, thought.text)
    if parsed.justification:
        yield Thought(CONCLUDE.name, without_turns_back(parsed.justification) or parsed.justification)


def _weighed(parsed: ParsedTrace, key: str) -> Iterator[Event]:
    """The last evidence on a hypothesis; nothing where none was sought."""
    words, now = parsed.words, parsed.now
    last = _last_check(parsed, key)
    weights = now.evidence.get(key, {})
    if last is None and not weights:
        return
    yield Checked(words.names[key])
    if last:
        yield from _thought(parsed, CHECK_EVIDENCE.name, last.reasoning)
    for weight in weights.values():
        quote = weighed_quote(weight, now.findings, words)
        yield Weighed(quote, weight.strength, without_turns_back(words.note(weight.reason)))
    missing = words.note(last.missing) if last else ""
    if missing:
        yield Missing(missing)


def _last_check(parsed: ParsedTrace, key: str) -> EvidenceCheck | None:
    checks = [step.output for step in parsed.trace.steps if step.branch == key]
    return next((check for check in reversed(checks) if isinstance(check, EvidenceCheck)), None)


def _last_critique(parsed: ParsedTrace) -> str:
    """That of the last reflection, if the journey went on to its conclusion and no budget sent it there."""
    steps = [step for step in parsed.trace.steps if isinstance(step.output, Reflection)]
    if not steps or steps[-1].move.to != CONCLUDE.name or steps[-1].move.trigger == "budget":
        return ""
    return parsed.now.critique


def _thought(parsed: ParsedTrace, stop: str, text: str) -> Iterator[Event]:
    told = without_turns_back(parsed.words.thought(text))
    if told:
        yield Thought(stop, told)
