"""The styles without a detour: `shortcut`, the control for a journey, and `cot`, a brief chain of thought."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from ddxgraph.nodes.check_evidence import WHOLE_CASE, Weight
from ddxgraph.nodes.conclude import CONCLUDE, Conclusion
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.registry import title
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.training.styles.events import Asked, Checked, Event, Journey, Thought, Weighed
from ddxgraph.training.styles.journey import ParsedTrace, named, noted
from ddxgraph.training.styles.longstep import steps_told
from ddxgraph.training.styles.phrases import ASKS
from ddxgraph.training.styles.quoting import ModelWords, Name, answer_line, joined
from ddxgraph.training.styles.voice import finding

_BRIEF_FINDINGS: Final = 5
_BRIEF_REASONS: Final = 3
_TURNS: Final = re.compile(
    r"\b(?:rivals?|alternatives?|competing|competitors?|runner-up|contenders?|unlike|whereas|rather than"
    r"|instead of|(?:more|less|better|worse|rather)(?: \w+){0,3} than|unlikely|improbable"
    r"|(?:less|least) (?:likely|probable)"
    r"|(?:an|the|any|all|every)?other (?:option|hypothes|candidate|diagnos|choice|possibilit|cause)\w*"
    r"|rul(?:e|es|ed|ing)(?: \w+)? out|exclud\w+|refut\w+|eliminat\w+|dismiss\w*|discard\w*|abandon\w*"
    r"|reconsider\w*|re-?(?:read|check|visit|think|thought|weigh|assess|examin)\w*|backtrack\w*"
    r"|(?:go|goes|going|went|gone|look|looking) (?:back|again)|second (?:look|thought|reading|glance)"
    r"|on reflection|(?:at first|initially),? I|I (?:at first|initially|first)|chang\w+ my mind"
    r"|I was wrong|mistake\w*)\b",
    re.IGNORECASE,
)
"""Words of a comparison or a change of mind."""
_SENTENCE: Final = re.compile(r"\S.*?(?:[.!?]+[\"')\]]*(?=\s)|$)")
_ABBREVIATED: Final = re.compile(r"(?:\b(?:e\.g|i\.e|vs|Dr|St|cf|approx)|\b[A-Z])\.$")


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
    leads off the path is left out, and so are such sentences of the justification (`Detours`). An answer in
    words that are no hypothesis' name has no evidence to tell.

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
    thoughts = [*parsed.other_thoughts, Thought(CONCLUDE.name, settled.justification)]
    straight = [Thought(thought.stop, detours.straight(thought.text)) for thought in thoughts]
    return (*events, *(thought for thought in straight if thought.text), walked[-1])


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
    concluded = [step.output for step in steps if isinstance(step.output, Conclusion) and step.text]
    return _Settled(
        words,
        now.findings,
        now.evidence,
        {key: words.note(refutation.because) for key, refutation in now.refuted.items()},
        next((reading.asks for reading in readings), ""),
        words.thought(concluded[-1].justification) if concluded else "",
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
    whole = weight.finding == WHOLE_CASE
    return "" if whole else settled.words.finding(settled.findings[weight.finding])


def _written(settled: _Settled, hypothesis: Hypothesis) -> str:
    name = settled.words.names[hypothesis.id]
    return f"{name.label} ({name.letter})" if name.letter else name.label


def _sentence(words: str) -> str:
    return words if words.endswith(("!", "?")) else f"{words}."


class Detours:
    """Finds sentences that lead off the path: to another hypothesis, a comparison, a change of mind.

    Other hypotheses are known by their whole names, in any case, and by their options' letters. Other words for
    them (an abbreviation, a part of the name) are not found.

    Args:
        names: all the hypotheses of the traversal.
        right: the one that the answer names; None where none does.
    """

    def __init__(self, names: Sequence[Name], right: Name | None) -> None:
        others = [name for name in names if name != right]
        labels = sorted({name.label for name in others}, key=len, reverse=True)
        self._right = _any_of([right.label] if right else [])
        self._others = _any_of(labels)
        # A name that holds the right one counts, although the right one within it does not.
        self._longer = _any_of([s for s in labels if right and right.label.casefold() in s.casefold()])
        letters = "".join(name.letter for name in others if name.letter and name.letter != "A")
        marks = [rf"(?<![\w'-])[{letters}](?![\w'-])"] if letters else []
        if any(name.letter == "A" for name in others):
            marks.append(
                r"(?<![\w'-])A(?=[).,:;]|$| (?:is|was|does|fails|cannot|can|has|and|or|would|but)\b)"
            )
        self._letters = re.compile("|".join(marks)) if marks else None

    def straight(self, text: str) -> str:
        """A text without the sentences that lead off the path."""
        if not text or not self._leaves(text):
            return text
        return " ".join(sentence for sentence in _sentences(text) if not self._leaves(sentence))

    def _leaves(self, sentence: str) -> bool:
        if any(p.search(sentence) for p in (_TURNS, self._letters, self._longer) if p):
            return True
        rest = self._right.sub(" ", sentence) if self._right else sentence
        return bool(self._others and self._others.search(rest))


def _any_of(labels: Sequence[str]) -> re.Pattern[str] | None:
    """Finds any of some names as whole words; None for no names."""
    alternatives = "|".join(rf"(?<!\w){re.escape(label)}(?!\w)" for label in labels)
    return re.compile(alternatives, re.IGNORECASE) if labels else None


def _sentences(text: str) -> list[str]:
    """The sentences of a text of one line; an abbreviation ends none."""
    sentences: list[str] = []
    for match in _SENTENCE.finditer(text):
        if sentences and _ABBREVIATED.search(sentences[-1]):
            sentences[-1] += f" {match.group()}"
        else:
            sentences.append(match.group())
    return sentences
