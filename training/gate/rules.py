"""Rules that look at one traversal alone; pure."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from ddxgraph.eval.scoring.freeform import same
from ddxgraph.eval.scoring.rule import Verdict, verdict_of
from ddxgraph.graph.routing import Trigger
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.generate_differential import Differential, Hypothesis
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import History, comparable
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.reasons import Note, Reason, Rejection, Rule
from ddxgraph.training.gate.text import stem_of
from ddxgraph.training.review.review import Review

GRAPH: Final = "graph"
ANSWER_KEY: Final[frozenset[Trigger]] = frozenset({"gold", "label"})
"""Triggers of moves that an answer key made."""
_TIE: Final = 1e-9


class Standing(NamedTuple):
    """What is known of a traversal beside itself."""

    verdict: Verdict | None = None
    """By the strict rule; None where it was not scored."""
    review: Review | None = None


class Examined(NamedTuple):
    """A traversal before the rules."""

    trace: Trace
    config: GateConfig
    standing: Standing


Fault = tuple[Reason, str] | None
"""Why a rule rejects, with a few words for a reader; None where it does not."""


def first_rejection(trace: Trace, config: GateConfig, standing: Standing) -> Rejection | None:
    """The first rule, in their order, that a traversal fails; None where it passes those of this module."""
    for rule, check in _CHECKS.items():
        if not getattr(config, rule).enabled:
            continue
        found = check(Examined(trace, config, standing))
        if found is not None:
            return Rejection(rule, *found)
    return None


def notes_on(trace: Trace, config: GateConfig, standing: Standing) -> tuple[Note, ...]:
    """What must be known of a traversal that passed."""
    approved = standing.review is not None and standing.review.verdict == "accept"
    noted = {
        Note.ANSWER_KEY: any(step.move.trigger in ANSWER_KEY for step in trace.steps),
        Note.EXPERT_APPROVED: approved,
        Note.NOT_SCORED: not config.correct.enabled,
    }
    return tuple(note for note, holds in noted.items() if holds)


def answered(examined: Examined) -> Fault:
    """Whether the graph answered."""
    trace = examined.trace
    if trace.strategy.name != GRAPH:
        return Reason.OTHER_STRATEGY, f"by the strategy {trace.strategy.name}"
    if trace.outcome != "answered" or trace.answer is None:
        return Reason.NOT_ANSWERED, f"outcome {trace.outcome}"
    return None


def correct(examined: Examined) -> Fault:
    """Whether the answer is correct. An expert's word on a traversal goes before the gold answer."""
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
    """Whether an answer key made a move."""
    trace, config, _ = examined
    if config.provenance.allow_answer_key:
        return None
    for step in trace.steps:
        if step.move.trigger in ANSWER_KEY:
            return Reason.ANSWER_KEY, f"step {step.index} moved by trigger {step.move.trigger}"
    return None


def ended(examined: Examined) -> Fault:
    """Whether the journey came to its own conclusion."""
    trace, config, _ = examined
    allowed = config.ended.allow
    if trace.ended != "concluded" and trace.ended not in allowed:
        return Reason.NOT_CONCLUDED, f"ended by {trace.ended}"
    last = trace.steps[-1] if trace.steps else None
    if last is None or last.node not in {"conclude", "generate"} or not last.text:
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

    Its hypothesis must be in the differential and stand unrefuted at the end, and some finding must have been
    weighed against it. Beyond that `support` asks that it lead (nothing has a higher credence at the end), that
    its strengths, the last one of each finding, sum to zero or more, or both.
    """
    trace, config, _ = examined
    own = hypothesis_of_answer(trace)
    if own is None:
        return Reason.ANSWER_NOT_CONSIDERED, f"the answer {trace.answer} is no hypothesis"
    if own.id in _refuted(trace):
        return Reason.ANSWER_REFUTED, f"{own.id} was refuted"
    strengths = _strengths(trace, own.id)
    if not strengths:
        return Reason.NO_EVIDENCE, f"nothing was weighed on {own.id}"
    support = config.evidence.support
    shares = trace.trajectory()[-1]
    if support != "not_against" and shares[own.id] < max(shares.values()) - _TIE:
        leader = max(shares, key=shares.__getitem__)
        return (
            Reason.ANSWER_NOT_LEADING,
            f"{own.id} at {shares[own.id]:.2f}, {leader} at {shares[leader]:.2f}",
        )
    if support != "leads" and sum(strengths) < 0:
        return Reason.EVIDENCE_AGAINST, f"the strengths on {own.id} sum to {sum(strengths)}"
    return None


def hypothesis_of_answer(trace: Trace) -> Hypothesis | None:
    """The hypothesis that a traversal answers with; None where its last differential has none such."""
    named = [step.output for step in trace.steps if isinstance(step.output, Differential)]
    if not named or trace.answer is None:
        return None
    for hypothesis in named[-1].hypotheses:
        if trace.case.options:
            if hypothesis.letter == trace.answer:
                return hypothesis
        elif same(hypothesis.label, trace.answer):
            return hypothesis
    return None


def _refuted(trace: Trace) -> set[str]:
    """Hypotheses that are refuted at the end."""
    gone: set[str] = set()
    for step in trace.steps:
        match step.output:
            case Differential(revived=revived):
                gone.difference_update(revived)
            case Reflection(refuted=refuted):
                gone.update(refutation.hypothesis for refutation in refuted)
    return gone


def _strengths(trace: Trace, hypothesis: str) -> list[int]:
    """Strengths on a hypothesis, the last of each finding."""
    weighed: dict[str, int] = {}
    for step in trace.steps:
        if isinstance(step.output, EvidenceCheck) and step.output.hypothesis == hypothesis:
            weighed.update({weight.finding: weight.strength for weight in step.output.weights})
    return list(weighed.values())


def findings(examined: Examined) -> Fault:
    """Whether the findings are the case's own words. Quotes are compared anew: who knows what was imported."""
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
