"""A traversal as every style takes it: parsed once, and the journey that it tells as plain events.

A journey is the events in the order walked, without prompts, costs or credences.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ddxgraph.common.errors import CompileError
from ddxgraph.graph.replay import standpoint
from ddxgraph.graph.routing import BACKTRACKS, Move, rule_of
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.call.statement import STATEMENT_CHARS, stated
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE, WHOLE_CASE, EvidenceCheck, Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL, Differential, Hypothesis, name_key
from ddxgraph.nodes.reflect import REFLECT, Reflection
from ddxgraph.nodes.registry import END
from ddxgraph.nodes.review_history import (
    REVIEW_HISTORY,
    Finding,
    History,
)
from ddxgraph.nodes.stop import Standpoint
from ddxgraph.nodes.strategies import GRAPH
from ddxgraph.training.styles import events
from ddxgraph.training.styles.events import Event, Journey, Thought, Why
from ddxgraph.training.styles.quoting import ModelWords, Name, answer_line, fold
from ddxgraph.training.styles.tree_rule import Taken, all_taken, with_few_tries

_WITH_EVENTS: Final = (History, Differential, EvidenceCheck, Reflection, Conclusion)
"""Outputs that have events of their own; of others, the model's own words are told as thoughts."""


@dataclass(frozen=True)
class ParsedTrace:
    """A traversal, parsed once for every style; made by `parse`. What no style asks for is not worked out."""

    trace: Trace
    tries: int | None = None
    """The tree rule (`tree_rule.with_few_tries`): most tries of each on-path node; None keeps all of them."""

    @property
    def options(self) -> Mapping[str, str]:
        """The case's options."""
        return self.trace.case.options

    @cached_property
    def words(self) -> ModelWords:
        """The model's words as a text holds them.

        Raises:
            CompileError: a hypothesis has no name that could be written, or one that could not be told apart.
        """
        return ModelWords(self.trace)

    @cached_property
    def answer(self) -> str:
        """The answer as a line states it: an option's letter; in a free-form case folded words.

        Raises:
            CompileError: no line can state it.
        """
        given, options = self.trace.answer or "", self.options
        answer = given if options else fold(given)
        while (statement := stated(answer_line(answer), options)) and statement.answer != answer:
            answer = statement.answer  # emphasis is no part of an answer in words
        if statement is None:
            wanted = "no option of its case" if options else f"no line of 1 to {STATEMENT_CHARS} characters"
            raise CompileError(
                f"the answer {given[:80]!r} of trace {self.trace.id} is {wanted}: leave it out"
            )
        return answer

    @cached_property
    def now(self) -> Standpoint:
        """What stands at the end."""
        return standpoint(self.trace.steps)

    @cached_property
    def chosen(self) -> Hypothesis | None:
        """The hypothesis that the answer names; None for words that are no hypothesis' name."""
        hypotheses = self.now.hypotheses.values()
        if self.options:
            return next((h for h in hypotheses if h.letter == self.trace.answer), None)
        key = name_key(self.trace.answer or "")
        return next((h for h in hypotheses if name_key(h.label) == key), None)

    @cached_property
    def justification(self) -> str:
        """The model's words for its answer; empty where it gave none, or the conclusion made no call."""
        given = [
            step.output for step in self.trace.steps if isinstance(step.output, Conclusion) and step.text
        ]
        return self.words.thought(given[-1].justification) if given else ""

    @cached_property
    def other_thoughts(self) -> Sequence[Thought]:
        """What was thought at the last visit to each stop that has no events of its own."""
        last = {step.node: step for step in self.trace.steps if not isinstance(step.output, _WITH_EVENTS)}
        thoughts = [(node, self.words.thought(text)) for node, step in last.items() for text in step.words]
        return [Thought(node, text) for node, text in thoughts if text]

    @cached_property
    def journey(self) -> Journey:
        """The events in order; the last one is the answer.

        Raises:
            CompileError: no line can state the answer, a name cannot be written or told apart, or the trace
                speaks of what it does not hold.
            BadInput: `tries` is less than 2.
        """
        steps = self.trace.steps
        taken = all_taken(steps) if self.tries is None else with_few_tries(steps, self.tries)
        return tuple(_Reader(self).read(taken))


def parse(trace: Trace, tries: int | None = None) -> ParsedTrace:
    """Parse a traversal of the graph that reached an answer.

    Raises:
        CompileError: the trace is of another strategy, broke off, or has no answer.
    """
    if trace.strategy.name != GRAPH:
        raise CompileError(
            f"trace {trace.id} is of the strategy {trace.strategy.name!r}: only traversals of the graph compile"
        )
    if trace.outcome != "answered" or trace.answer is None:
        raise CompileError(
            f"trace {trace.id} ended with the outcome {trace.outcome!r} and holds no answer: leave it out, or "
            "run the case again"
        )
    if not any(isinstance(step.output, Conclusion) for step in trace.steps):
        raise CompileError(f"trace {trace.id} has no concluding step: leave it out, or run the case again")
    return ParsedTrace(trace, tries)


def journey_of(trace: Trace, tries: int | None = None) -> Journey:
    """The journey that a trace tells: see `parse` and `ParsedTrace.journey`."""
    return parse(trace, tries).journey


def noted(finding: Finding, words: ModelWords) -> events.Noted:
    """A finding as an event."""
    return events.Noted(words.finding(finding), finding.polarity, finding.kind, finding.salience)


def weighed_quote(weight: Weight, findings: Mapping[str, Finding], words: ModelWords) -> str:
    """The quote of the finding that a weight is about.

    Args:
        weight: the weight.
        findings: those known, by id.
        words: the model's words.

    Returns:
        The quote; empty for the case as a whole.
    """
    return "" if weight.finding == WHOLE_CASE else words.finding(findings[weight.finding])


def named(hypothesis: Hypothesis, words: ModelWords) -> events.Named:
    """A hypothesis as an event."""
    percent = min(max(round(hypothesis.prior * 100), 1), 99)
    return events.Named(words.names[hypothesis.id], percent, words.note(hypothesis.rationale))


class _Reader:
    """Turns steps into events, and introduces everything before it is spoken of.

    What a skipped step brought in (a finding, a hypothesis, a refutation) is told where it is first needed.
    """

    def __init__(self, parsed: ParsedTrace) -> None:
        self._trace_id = parsed.trace.id
        self._answer = parsed.answer
        self._words = parsed.words
        self._findings: dict[str, Finding] = {}
        self._hypotheses: dict[str, Hypothesis] = {}
        self._noted: set[str] = {WHOLE_CASE}
        self._introduced: dict[str, events.Named] = {}
        self._held_back: set[str] = set()
        """Hypotheses that a skipped step brought in: introduced once they are spoken of."""
        self._refuted: set[str] = set()
        self._owed: dict[str, str] = {}
        """Refutations of skipped steps, by hypothesis."""
        self._asked = self._halted = self._reopened = False

    def read(self, steps: Sequence[Taken]) -> Iterator[Event]:
        for step, kept in steps:
            if kept:
                yield from self._step(step)
            else:
                self._skip(step)

    def _skip(self, step: Step) -> None:
        match step.output:
            case History(findings=findings):
                self._findings.update({finding.id: finding for finding in findings})
            case Differential(hypotheses=hypotheses, revived=revived):
                self._held_back |= {h.id for h in hypotheses} - self._hypotheses.keys()
                self._hypotheses.update({h.id: h for h in hypotheses})
                if revived:
                    self._owed.clear()
                    self._reopened = bool(self._refuted)
            case Reflection(refuted=refuted):
                self._owed.update({r.hypothesis: r.because for r in refuted})
            case ExpertEdit() as edit:
                self._findings.update({finding.id: finding for finding in edit.findings or ()})
                self._held_back |= {h.id for h in edit.hypotheses or ()} - self._hypotheses.keys()
                self._hypotheses.update({h.id: h for h in edit.hypotheses or ()})
                if edit.refuted is not None:
                    self._owed = {r.hypothesis: r.because for r in edit.refuted}
                    self._refuted &= self._owed.keys()
            case _:
                pass

    def _step(self, step: Step) -> Iterator[Event]:
        match step.output:
            case History() as history:
                yield from self._history(history, asked=step.failure is None)
            case Differential() as differential:
                yield from self._differential(differential)
            case EvidenceCheck() as check:
                yield from self._check(check)
            case Reflection() as reflection:
                yield from self._reflection(reflection)
            case ExpertEdit() as edit:
                yield from self._edit(edit)
            case Conclusion() as conclusion:
                yield from self._budget(step.move)
                if step.text:  # without a call, the justification is the graph's and not the model's
                    yield from self._thought(step.node, conclusion.justification)
                yield events.Concluded(self._answer)
                return
            case _:
                for text in step.words:
                    yield from self._thought(step.node, text)
        yield from self._budget(step.move)
        if step.move.backtrack:
            yield from self._back(step.move)

    def _history(self, history: History, *, asked: bool) -> Iterator[Event]:
        if asked and not self._asked:
            self._asked = True
            yield events.Asked(history.asks)
        yield from self._thought(REVIEW_HISTORY.name, history.reasoning)
        self._findings.update({finding.id: finding for finding in history.findings})
        for finding in history.findings:
            yield from self._finding(finding.id)

    def _differential(self, differential: Differential) -> Iterator[Event]:
        if differential.revived or self._reopened:
            self._reopened = False
            self._refuted.clear()
            self._owed.clear()
            yield events.Revived()
        yield from self._thought(GENERATE_DIFFERENTIAL.name, differential.reasoning)
        self._hypotheses.update({h.id: h for h in differential.hypotheses})
        unspoken = self._refuted | self._held_back | self._owed.keys()
        for hypothesis in differential.hypotheses:
            if hypothesis.id not in unspoken:
                yield from self._hypothesis(hypothesis.id)

    def _check(self, check: EvidenceCheck) -> Iterator[Event]:
        name = yield from self._name(check.hypothesis)
        for weight in check.weights:
            yield from self._finding(weight.finding)
        yield events.Checked(name)
        yield from self._thought(CHECK_EVIDENCE.name, check.reasoning)
        for weight in check.weights:
            quote = weighed_quote(weight, self._findings, self._words)
            yield events.Weighed(quote, weight.strength, self._words.note(weight.reason))
        missing = self._words.note(check.missing)
        if missing:
            yield events.Missing(missing)

    def _reflection(self, reflection: Reflection) -> Iterator[Event]:
        yield from self._thought(REFLECT.name, reflection.critique)
        owed = {key: because for key, because in self._owed.items() if key in self._introduced}
        self._owed.clear()
        given_up = owed | {r.hypothesis: r.because for r in reflection.refuted}
        for key, because in given_up.items():
            name = yield from self._name(key)
            self._refuted.add(key)
            yield events.Refuted(name, self._words.note(because))

    def _edit(self, edit: ExpertEdit) -> Iterator[Event]:
        """What an expert changed, told as the insight that it should have been."""
        if edit.asks is not None and not self._asked:
            self._asked = True
            yield events.Asked(edit.asks)
        if edit.critique:
            yield from self._thought(REFLECT.name, edit.critique)
        for finding in edit.findings or ():
            if self._findings.get(finding.id) != finding:
                self._findings[finding.id] = finding
                self._noted.discard(finding.id)
                yield from self._finding(finding.id)
        self._hypotheses.update({h.id: h for h in edit.hypotheses or ()})
        for hypothesis in edit.hypotheses or ():
            if hypothesis.id not in self._refuted:
                yield from self._hypothesis(hypothesis.id)
        for key, weights in (edit.evidence or {}).items():
            yield from self._check(EvidenceCheck(hypothesis=key, weights=tuple(weights.values())))
        if edit.refuted is not None:
            yield from self._edited_refutations({r.hypothesis: r.because for r in edit.refuted})

    def _edited_refutations(self, refuted: Mapping[str, str]) -> Iterator[Event]:
        for key in sorted(self._refuted - refuted.keys()):
            self._refuted.discard(key)
            del self._introduced[key]
            yield from self._hypothesis(key)
        self._owed.clear()
        for key in [key for key in refuted if key not in self._refuted]:
            name = yield from self._name(key)
            self._refuted.add(key)
            yield events.Refuted(name, self._words.note(refuted[key]))

    def _budget(self, move: Move) -> Iterator[Event]:
        if move.trigger == "budget" and not self._halted:
            self._halted = True
            yield events.Halted("backtracks" if move.limit == "backtracks" else "room")

    def _back(self, move: Move) -> Iterator[Event]:
        if move.to == END:
            return
        if move.to not in _BACK_TO:
            raise CompileError(
                f"trace {self._trace_id} goes back to {move.to!r}, which no style has words for: leave it out"
            )
        targets: list[Name] = []
        for key in move.targets if move.to == CHECK_EVIDENCE.name else ():
            name = yield from self._name(key)
            targets.append(name)
        yield events.WentBack(move.to, tuple(targets), _why(move))

    def _finding(self, key: str) -> Iterator[Event]:
        """Tell a finding, unless it has been told."""
        if key in self._noted:
            return
        if key not in self._findings:
            raise CompileError(
                f"trace {self._trace_id} weighs the finding {key!r}, which no reading of its history holds"
            )
        self._noted.add(key)
        yield noted(self._findings[key], self._words)

    def _hypothesis(self, key: str) -> Iterator[Event]:
        """Introduce a hypothesis, unless it has been told just so."""
        if key not in self._hypotheses:
            raise CompileError(
                f"trace {self._trace_id} speaks of the hypothesis {key!r}, which its differential does not hold"
            )
        event = named(self._hypotheses[key], self._words)
        if self._introduced.get(key) != event:
            self._introduced[key] = event
            self._held_back.discard(key)
            yield event

    def _name(self, key: str) -> Generator[Event, None, Name]:
        """What a hypothesis is called, once it has been introduced."""
        if key not in self._introduced:
            yield from self._hypothesis(key)
        return self._words.names[key]

    def _thought(self, stop: str, text: str) -> Iterator[Event]:
        words = self._words.thought(text)
        if words:
            yield Thought(stop, words)


_BACK_TO: Final = frozenset(stop.name for stop in BACKTRACKS.values())


def _why(move: Move) -> Why:
    rule = rule_of(move)
    return "doubt" if rule is None or rule == "nothing_to_check" else rule
