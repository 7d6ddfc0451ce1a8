"""The rules that look at one traversal at a time, applied while the run folders are read."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import numpy as np

from ddxgraph.eval.scoring.rule import Verdict, same, verdict_of
from ddxgraph.graph.replay import standpoint
from ddxgraph.graph.routing import Trigger
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.generate import GENERATE
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.review_history import History, comparable
from ddxgraph.nodes.stop import Standpoint
from ddxgraph.nodes.strategies import GRAPH
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import Decontaminator, HeldOutSets
from ddxgraph.training.gate.duplicates import Sketcher, course_digest, repeated_share
from ddxgraph.training.gate.reasons import Candidate, Note, Reason, Rejection, Rule
from ddxgraph.training.gate.text import (
    Hashes,
    WordHasher,
    joined,
    ngrams,
    question_of,
    reasoning_of,
    remainder_of,
    stem_of,
)
from ddxgraph.training.review.review import Review, RunReviews
from ddxgraph.training.source import Placed, TraceSource, Verdicts

ANSWER_KEY: Final[frozenset[Trigger]] = frozenset({"gold", "label"})
"""Triggers of moves that an answer key made."""
_TIE: Final = 1e-9
_GROUP_WORDS: Final = 13
"""Length of the n-grams by which near-duplicate questions are recognised."""
_TOLD_EVERY: Final = 1 << 20
"""Bytes between two reports of progress."""

Progress = Callable[[int, int], None]
"""Gets how many bytes were read, and how many there are."""


class Standing(NamedTuple):
    """What is known about a traversal from elsewhere."""

    verdict: Verdict | None = None
    """By the strict rule; None if it was not scored."""
    review: Review | None = None


class Examined(NamedTuple):
    """A traversal, and what the rules go by."""

    trace: Trace
    config: GateConfig
    standing: Standing


Fault = tuple[Reason, str] | None
"""Why a rule rejects, and a few words about it; None where it accepts."""


def first_rejection(examined: Examined) -> Rejection | None:
    """The first rule, in their order, that rejects a traversal for itself; None if all of them accept it."""
    for rule, check in _CHECKS.items():
        fault = check(examined) if getattr(examined.config, rule).enabled else None
        if fault is not None:
            return Rejection(rule, *fault)
    return None


def notes_on(examined: Examined) -> tuple[Note, ...]:
    """What must be known about an accepted traversal."""
    trace, config, standing = examined
    approved = standing.review is not None and standing.review.verdict == "accept"
    holding = {
        Note.ANSWER_KEY: any(step.move.trigger in ANSWER_KEY for step in trace.steps),
        Note.EXPERT_APPROVED: approved,
        Note.NOT_SCORED: not config.correct.enabled,
    }
    return tuple(note for note, holds in holding.items() if holds)


def answered(examined: Examined) -> Fault:
    """Whether the graph gave an answer."""
    trace = examined.trace
    if trace.strategy.name != GRAPH:
        return Reason.OTHER_STRATEGY, f"by the strategy {trace.strategy.name}"
    if trace.outcome != "answered" or trace.answer is None:
        return Reason.NOT_ANSWERED, f"outcome {trace.outcome}"
    return None


def correct(examined: Examined) -> Fault:
    """Whether the answer is correct. An expert's review goes before the gold answer."""
    trace, config, standing = examined
    verdict, review = standing
    if review is not None:
        return _reviewed(trace, review)
    if config.correct.require_review:
        return Reason.NOT_REVIEWED, "no expert has accepted it"
    match verdict:
        case Verdict.CORRECT:
            return None
        case None | Verdict.ERROR:
            return Reason.UNSCORED, "not known whether the answer is correct"
        case _:
            return Reason.WRONG_ANSWER, f"the answer {trace.answer} is {verdict}"


def _reviewed(trace: Trace, review: Review) -> Fault:
    if review.verdict != "accept":
        return Reason.EXPERT_REJECTED, f"{review.reviewer} rejected it: {review.detail or review.reason}"
    if review.answer is None:
        return None
    if verdict_of(trace.outcome, trace.answer, review.answer, trace.case.options) is Verdict.CORRECT:
        return None
    return Reason.EXPERT_CORRECTED, f"{review.reviewer} answers {review.answer}, it answers {trace.answer}"


def provenance(examined: Examined) -> Fault:
    """Whether no answer key made a move, no prompt was cut, and an expert edited it or not, as configured."""
    trace, config, _ = examined
    edits = sum(step.move.trigger == "expert" for step in trace.steps)
    if edits and config.provenance.expert_edits == "exclude":
        return Reason.EXPERT_EDITED, f"{edits} {'edit' if edits == 1 else 'edits'} by an expert"
    if not edits and config.provenance.expert_edits == "require":
        return Reason.NOT_EDITED, "no step is an expert's edit"
    cut = () if config.provenance.allow_cut_prompts else trace.cut_prompts
    if cut:
        return Reason.CUT_PROMPT, f"the server counts fewer tokens than the prompt of step {cut[0]} has"
    if config.provenance.allow_answer_key:
        return None
    for step in trace.steps:
        if step.move.trigger in ANSWER_KEY:
            return Reason.ANSWER_KEY, f"step {step.index} moved by trigger {step.move.trigger}"
    return None


def ended(examined: Examined) -> Fault:
    """Whether the traversal came to its own conclusion."""
    trace, config, _ = examined
    allowed = config.ended.allow
    if trace.ended != "concluded" and trace.ended not in allowed:
        return Reason.NOT_CONCLUDED, f"ended by {trace.ended}"
    last = trace.steps[-1] if trace.steps else None
    if last is None or last.node not in {STOPS.last.name, GENERATE.name} or not last.text:
        return Reason.NOT_CONCLUDED, "its last step is no conclusion by the model"
    moves = (step.move for step in trace.steps if step.move.trigger == "budget")
    spent = next((move for move in moves if f"budget_{move.limit}" not in allowed), None)
    if spent is not None:
        return Reason.NOT_CONCLUDED, f"sent to its end by the budget: {spent.reason}"
    failed = sum(step.failure is not None for step in trace.steps)
    if failed > config.ended.max_failed_steps:
        return Reason.FAILED_STEPS, f"{failed} {'step' if failed == 1 else 'steps'} with an unreadable reply"
    return None


def length(examined: Examined) -> Fault:
    """Whether the length is within its limits."""
    trace, config, _ = examined
    limits = config.length
    tokens = trace.usage.completion_tokens
    measured = (
        ("steps", len(trace.steps), limits.min_steps, limits.max_steps),
        ("completion tokens", tokens, limits.min_completion_tokens, limits.max_completion_tokens),
        ("backtracks", trace.backtracks, limits.min_backtracks, limits.max_backtracks),
    )
    for name, count, least, most in measured:
        back = name == "backtracks"
        if count < least:
            reason = Reason.TOO_FEW_BACKTRACKS if back else Reason.TOO_SHORT
            return reason, f"{count} {name}, fewer than {least}"
        if most is not None and count > most:
            reason = Reason.TOO_MANY_BACKTRACKS if back else Reason.TOO_LONG
            return reason, f"{count} {name}, more than {most}"
    return None


def evidence(examined: Examined) -> Fault:
    """Whether the answer is supported by its own evidence.

    Its hypothesis must be in the differential and unrefuted at the end, and at least one finding must have been
    weighed on it. Beyond that `support` asks that no other hypothesis have a higher credence at the end, that
    the strengths of its findings (the last one of each) sum to zero or more, or both.
    """
    trace, config, _ = examined
    now = standpoint(trace.steps)
    own = hypothesis_of_answer(trace, now)
    if own is None:
        return Reason.ANSWER_NOT_CONSIDERED, f"the answer {trace.answer} is no hypothesis"
    if own.id in now.refuted:
        return Reason.ANSWER_REFUTED, f"{own.id} was refuted"
    strengths = [weight.strength for weight in now.evidence.get(own.id, {}).values()]
    if not strengths:
        return Reason.NO_EVIDENCE, f"nothing was weighed on {own.id}"
    support = config.evidence.support
    shares = now.credence
    if support != "not_against" and shares[own.id] < max(shares.values()) - _TIE:
        leader = max(shares, key=shares.__getitem__)
        return (
            Reason.ANSWER_NOT_LEADING,
            f"{own.id} at {shares[own.id]:.2f}, {leader} at {shares[leader]:.2f}",
        )
    if support != "leads" and sum(strengths) < 0:
        return Reason.EVIDENCE_AGAINST, f"the strengths on {own.id} sum to {sum(strengths)}"
    return None


def hypothesis_of_answer(trace: Trace, now: Standpoint) -> Hypothesis | None:
    """The hypothesis that a traversal answers with, of those that stand; None if it is not among them."""
    if trace.answer is None:
        return None
    for hypothesis in now.hypotheses.values():
        if trace.case.options:
            if hypothesis.letter == trace.answer:
                return hypothesis
        elif same(hypothesis.label, trace.answer):
            return hypothesis
    return None


def findings(examined: Examined) -> Fault:
    """Whether the findings are quotes of the case. They are compared again, since traces may be imported."""
    trace, config, _ = examined
    record = comparable(stem_of(trace.case))
    quoted = dropped = 0
    for step in trace.steps:
        if isinstance(step.output, History):
            stand = sum(bool(q := comparable(f.quote)) and q in record for f in step.output.findings)
            quoted += stand
            dropped += step.output.unquoted + len(step.output.findings) - stand
    if not quoted:
        return Reason.NO_FINDINGS, f"none of {dropped} findings stands in the case"
    if dropped / (quoted + dropped) > config.findings.max_dropped_share:
        return (
            Reason.FINDINGS_NOT_QUOTED,
            f"{dropped} of {quoted + dropped} findings do not stand in the case",
        )
    return None


_CHECKS: Final[Mapping[Rule, Callable[[Examined], Fault]]] = {
    Rule.ANSWERED: answered,
    Rule.CORRECT: correct,
    Rule.PROVENANCE: provenance,
    Rule.ENDED: ended,
    Rule.LENGTH: length,
    Rule.EVIDENCE: evidence,
    Rule.FINDINGS: findings,
}


class Sifting:
    """Judges each traversal by itself, and keeps what the comparisons between them need.

    Args:
        config: the settings.
        sets: the test sets.
        total: bytes of all files, for the progress.
        progress: gets how many bytes were read, and how many there are.
    """

    def __init__(self, config: GateConfig, sets: HeldOutSets, total: int, progress: Progress | None) -> None:
        self._config, self._total, self._progress = config, total, progress
        self._before = self._reported = 0
        self._hasher = WordHasher()
        self._sketch = Sketcher(config.near_duplicates.permutations)
        self.decontaminator = Decontaminator(sets.present, config.decontamination, self._hasher)
        """Holds the test sets; finds nothing if the rule is off."""
        self._known: dict[tuple[int, str], Candidate] = {}
        self._digests: dict[str, bytes] = {}
        self.questions: dict[str, Hashes] = {}
        """Case digest to the n-grams of vignette and question, of the cases that are left."""

    @property
    def candidates(self) -> Iterable[Candidate]:
        """All traversals, each once per folder."""
        return self._known.values()

    def take(self, number: int, source: TraceSource, verdicts: Verdicts, opinions: RunReviews) -> None:
        """Read and judge the traces of a run.

        Args:
            number: of the run.
            source: the run.
            verdicts: by the gold answers.
            opinions: of the experts.

        Raises:
            GateError, TraceFileError: see `TraceSource.read`.
        """
        for placed in source.read(self._report):
            trace = placed.trace
            standing = Standing(verdicts.get(trace.id), opinions.on(trace))
            self._known[number, trace.id] = self._candidate(number, placed, standing)
        self._before += source.size
        self._report(0)

    def _report(self, place: int) -> None:
        """Report progress at a place in the current file, in bytes; 0: at its beginning."""
        done = self._before + place
        if self._progress and (not place or done - self._reported >= _TOLD_EVERY):
            self._reported = done
            self._progress(done, self._total)

    def _candidate(self, number: int, placed: Placed, standing: Standing) -> Candidate:
        offset, trace = placed
        case, digest = trace.case, trace.case.digest
        examined = Examined(trace, self._config, standing)
        candidate = Candidate(
            source=number,
            offset=offset,
            id=trace.id,
            case=case.id,
            sample=trace.sample,
            digest=digest,
            question=self._question(case, digest),
            letter=trace.answer or "" if case.options else "",
            backtracks=trace.backtracks,
            notes=notes_on(examined),
            rejection=first_rejection(examined),
        )
        if candidate.rejection is None:
            self._compare_words(trace, candidate)
        if candidate.rejection is None:
            candidate.course = course_digest(trace)
            if digest not in self.questions:
                self.questions[digest] = ngrams(self._hasher(stem_of(case)), _GROUP_WORDS)
        return candidate

    def _question(self, case: Case, digest: str) -> bytes:
        if digest not in self._digests:
            words = self._hasher(question_of(case)).tobytes()
            self._digests[digest] = hashlib.blake2b(words, digest_size=16).digest()
        return self._digests[digest]

    def _compare_words(self, trace: Trace, candidate: Candidate) -> None:
        """Apply the rules on repetition and test sets, and sketch the reasoning for near duplicates."""
        config = self._config
        hashed = self._hasher(joined(reasoning_of(trace)))
        if config.repetition.enabled:
            share = repeated_share(ngrams(hashed, config.repetition.words))
            if share > config.repetition.max_repeated_share:
                detail = f"{share:.0%} of its {config.repetition.words}-word sequences stood there before"
                candidate.rejection = Rejection(Rule.REPETITION, Reason.REPETITIVE, detail)
                return
        if config.decontamination.enabled:
            self._decontaminate(trace, hashed, candidate)
        if candidate.rejection is None and config.near_duplicates.enabled:
            candidate.signature = self._sketch(ngrams(hashed, config.near_duplicates.words))

    def _decontaminate(self, trace: Trace, reasoning: Hashes, candidate: Candidate) -> None:
        rule = self._config.decontamination
        hit = self.decontaminator.question(trace.case)
        if hit is not None:
            detail = f"{hit.measure:.0%} of the shorter one's {rule.words}-grams are those of {hit.question}"
            candidate.rejection = Rejection(Rule.DECONTAMINATION, Reason.TEST_QUESTION, detail)
            candidate.test_set = hit.name
            return
        written = np.concatenate([reasoning, self._hasher(joined(remainder_of(trace)))])
        quote = self.decontaminator.reasoning(written, trace.case)
        if quote is not None:
            row = f"{quote.run + rule.words - 1} words in a row of {quote.question}"
            detail = f"{row}, {quote.share:.0%} of its {rule.words}-grams in all"
            candidate.rejection = Rejection(Rule.DECONTAMINATION, Reason.TEST_QUESTION_IN_REASONING, detail)
            candidate.test_set = quote.name
