"""Rules that look at one traversal: each rejects what it should, with its reason, and lets the twin pass."""

import asyncio
from datetime import UTC, datetime

import pytest
from gated import PLAIN, SOUND, Walk, case, model_walking
from journeys import AT_ONCE

from ddxgraph import Budget, GraphStrategy, Sampling, Trace
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.graph.replay import standpoint
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.failure import Failure
from ddxgraph.nodes.generate_differential import Refutation
from ddxgraph.nodes.review_history import Finding
from ddxgraph.training.gate.config import (
    Correct,
    Ended,
    Evidence,
    Findings,
    GateConfig,
    Length,
    ProvenanceRule,
)
from ddxgraph.training.gate.reasons import Note, Reason, Rule
from ddxgraph.training.gate.rules import Examined, Standing, first_rejection, hypothesis_of_answer, notes_on
from ddxgraph.training.review.review import Review, content_digest

RIGHT = Standing(Verdict.CORRECT)


def walked(known=None, walk: Walk = SOUND, **settings) -> Trace:
    strategy = GraphStrategy(patience=AT_ONCE, sampling=Sampling(seed=100), **settings)
    return asyncio.run(strategy(known or case(1), model_walking(walk)))


@pytest.fixture(scope="module")
def good() -> Trace:
    """Straight, and answered B, which leads."""
    return walked()


@pytest.fixture(scope="module")
def back() -> Trace:
    return walked(walk=Walk(goes_back=lambda number, sample: True))


def with_step(trace: Trace, node: str, /, **fields) -> Trace:
    """A trace whose last step at a node is another; `output` fields go into its output."""
    place = max(step.index for step in trace.steps if step.node == node)
    steps = list(trace.steps)
    output = fields.pop("output", None)
    if output:
        fields["output"] = steps[place].output.model_copy(update=output)
    steps[place] = steps[place].model_copy(update=fields)
    return trace.model_copy(update={"steps": tuple(steps)})


def moved(trace: Trace, node: str, **fields) -> Trace:
    place = max(step.index for step in trace.steps if step.node == node)
    return with_step(trace, node, move=trace.steps[place].move.model_copy(update=fields))


def reviewed(trace: Trace, verdict: str = "accept", **fields) -> Standing:
    review = Review(
        trace=trace.id,
        content=content_digest(trace),
        verdict=verdict,
        reviewer="Dr A",
        time=datetime(2026, 1, 2, tzinfo=UTC),
        **fields,
    )
    return Standing(Verdict.INCORRECT, review)


def reason(trace: Trace, config: GateConfig = PLAIN, standing: Standing = RIGHT) -> Reason | None:
    found = first_rejection(Examined(trace, config, standing))
    return found.reason if found else None


def test_a_sound_journey_passes(good, back):
    assert reason(good) is None
    assert reason(back) is None
    assert (good.backtracks, back.backtracks) == (0, 1)
    assert good.answer == back.answer == "B"


def test_every_reason_says_what_it_means():
    assert len({reason.words for reason in Reason}) == len(Reason)


def test_only_answers_of_the_graph_are_taken(good):
    assert reason(good.model_copy(update={"outcome": "unparsed", "answer": None})) is Reason.NOT_ANSWERED
    other = good.strategy.model_copy(update={"name": "cot"})
    assert reason(good.model_copy(update={"strategy": other})) is Reason.OTHER_STRATEGY


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.CORRECT, None),
        (Verdict.INCORRECT, Reason.WRONG_ANSWER),
        (Verdict.UNPARSED, Reason.WRONG_ANSWER),
        (Verdict.ERROR, Reason.UNSCORED),
        (None, Reason.UNSCORED),
    ],
)
def test_the_answer_must_be_correct(good, verdict, expected):
    assert reason(good, standing=Standing(verdict)) is expected
    off = GateConfig(correct=Correct(enabled=False))
    assert reason(good, off, Standing(verdict)) is None


def test_an_experts_word_goes_before_the_gold_answer(good):
    assert reason(good, standing=reviewed(good)) is None
    assert reason(good, standing=reviewed(good, answer="B")) is None
    assert reason(good, standing=reviewed(good, answer="C")) is Reason.EXPERT_CORRECTED
    rejected = reviewed(good, "reject", reason="invented_finding")._replace(verdict=Verdict.CORRECT)
    assert reason(good, standing=rejected) is Reason.EXPERT_REJECTED
    assert "Dr A rejected it: invented_finding" in first_rejection(Examined(good, PLAIN, rejected)).detail


def test_a_review_can_be_asked_for(good):
    asked = GateConfig(correct=Correct(require_review=True))
    assert reason(good, asked) is Reason.NOT_REVIEWED
    assert reason(good, asked, reviewed(good)) is None


@pytest.mark.parametrize("trigger", ["gold", "label"])
def test_a_move_by_an_answer_key_is_rejected_unless_asked_for_and_then_marked(back, trigger):
    keyed = moved(back, "check_evidence", trigger=trigger)
    assert reason(keyed) is Reason.ANSWER_KEY
    allowed = GateConfig(provenance=ProvenanceRule(allow_answer_key=True))
    assert reason(keyed, allowed) is None
    assert notes_on(Examined(keyed, allowed, RIGHT)) == (Note.ANSWER_KEY,)
    assert notes_on(Examined(back, allowed, RIGHT)) == ()


@pytest.mark.parametrize("trigger", ["self", "verifier", "engine"])
def test_other_triggers_pass(back, trigger):
    assert reason(moved(back, "check_evidence", trigger=trigger)) is None


def test_notes_say_what_the_answer_rests_on(good):
    assert notes_on(Examined(good, PLAIN, reviewed(good))) == (Note.EXPERT_APPROVED,)
    assert notes_on(Examined(good, GateConfig(correct=Correct(enabled=False)), Standing())) == (
        Note.NOT_SCORED,
    )


def test_what_a_budget_ended_is_rejected_unless_allowed():
    spent = walked(walk=Walk(goes_back=lambda number, sample: True), budget=Budget(max_backtracks=0))
    assert spent.ended == "budget_backtracks"
    assert reason(spent) is Reason.NOT_CONCLUDED
    assert reason(spent, GateConfig(ended=Ended(allow=("budget_calls",)))) is Reason.NOT_CONCLUDED
    assert reason(spent, GateConfig(ended=Ended(allow=("budget_backtracks",)))) is None


def test_a_conclusion_that_the_model_did_not_write_is_never_one():
    spent = walked(budget=Budget(max_calls=6))
    assert (spent.ended, spent.outcome) == ("budget_calls", "answered")
    allowed = GateConfig(ended=Ended(allow=("budget_calls",)))
    assert (reason(spent, allowed) is None) == bool(spent.steps[-1].text)
    assert reason(with_step(spent, "conclude", text=""), allowed) is Reason.NOT_CONCLUDED


def test_a_traversal_whose_prompt_was_cut_is_rejected(good):
    cut = good.model_copy(update={"cut_prompts": (2, 5)})
    assert reason(cut) is Reason.CUT_PROMPT
    assert reason(cut, GateConfig(provenance=ProvenanceRule(allow_cut_prompts=True))) is None


def test_unreadable_replies_are_counted(good):
    failed = with_step(
        good, "check_evidence", failure=Failure(boundary="parse", kind="malformed", message="x")
    )
    assert reason(failed) is Reason.FAILED_STEPS
    assert reason(failed, GateConfig(ended=Ended(max_failed_steps=1))) is None


@pytest.mark.parametrize(
    ("limits", "straight", "backtracking"),
    [
        ({"min_steps": 9}, Reason.TOO_SHORT, None),
        ({"max_steps": 8}, None, Reason.TOO_LONG),
        ({"min_backtracks": 1}, Reason.TOO_FEW_BACKTRACKS, None),
        ({"max_backtracks": 0}, None, Reason.TOO_MANY_BACKTRACKS),
        ({"min_completion_tokens": 10**6}, Reason.TOO_SHORT, Reason.TOO_SHORT),
        ({"max_completion_tokens": 10}, Reason.TOO_LONG, Reason.TOO_LONG),
    ],
)
def test_lengths_have_their_limits(good, back, limits, straight, backtracking):
    config = GateConfig(length=Length(**limits))
    assert (reason(good, config), reason(back, config)) == (straight, backtracking)


def test_a_limit_itself_passes(good):
    tokens = good.usage.completion_tokens
    exact = Length(
        min_steps=8, max_steps=8, min_completion_tokens=tokens, max_completion_tokens=tokens, max_backtracks=0
    )
    assert reason(good, GateConfig(length=exact)) is None
    assert reason(
        good.model_copy(update={"usage": Usage(completion_tokens=tokens + 1)}), GateConfig(length=exact)
    )


def test_an_answer_must_be_led_to_by_its_evidence(good):
    against = good.model_copy(update={"answer": "C"})
    assert reason(against) is Reason.ANSWER_NOT_LEADING
    assert reason(against, GateConfig(evidence=Evidence(support="not_against"))) is Reason.EVIDENCE_AGAINST
    assert reason(good, GateConfig(evidence=Evidence(support="both"))) is None
    assert reason(against, GateConfig(evidence=Evidence(enabled=False))) is None


def test_an_answer_that_was_refuted_is_rejected_unless_revived(good):
    gone = with_step(good, "reflect", output={"refuted": (Refutation(hypothesis="B", because="x"),)})
    assert reason(gone) is Reason.ANSWER_REFUTED
    other = with_step(good, "reflect", output={"refuted": (Refutation(hypothesis="C", because="x"),)})
    assert reason(other) is None


def test_an_answer_without_evidence_or_hypothesis_is_rejected(good):
    bare = good.model_copy(
        update={
            "steps": tuple(
                step.model_copy(update={"output": step.output.model_copy(update={"weights": ()})})
                if step.branch == "B"
                else step
                for step in good.steps
            )
        }
    )
    assert reason(bare) is Reason.NO_EVIDENCE
    nameless = with_step(good, "generate_differential", output={"hypotheses": ()})
    assert hypothesis_of_answer(nameless, standpoint(nameless.steps)) is None
    assert reason(nameless) is Reason.ANSWER_NOT_CONSIDERED


def test_a_free_form_answer_is_known_by_its_name(good):
    hypotheses = good.steps[1].output.hypotheses
    named = tuple(h.model_copy(update={"letter": None}) for h in hypotheses)
    free = with_step(good, "generate_differential", output={"hypotheses": named})
    free = free.model_copy(
        update={
            "case": good.case.model_copy(update={"options": {}}),
            "answer": f"The {hypotheses[1].label.upper()}.",
        }
    )
    assert hypothesis_of_answer(free, standpoint(free.steps)).id == "B"
    assert reason(free) is None


def test_findings_must_stand_in_the_case(good):
    ours = good.steps[0].output.findings
    invented = Finding(id="F9", quote="no such words", kind="sign", polarity="present", salience=1)
    assert reason(with_step(good, "review_history", output={"findings": (invented,)})) is Reason.NO_FINDINGS
    assert reason(with_step(good, "review_history", output={"findings": ()})) is Reason.NO_FINDINGS
    mixed = with_step(good, "review_history", output={"findings": (*ours, invented, invented, invented)})
    assert reason(mixed) is Reason.FINDINGS_NOT_QUOTED
    assert reason(mixed, GateConfig(findings=Findings(max_dropped_share=0.6))) is None
    dropped = with_step(good, "review_history", output={"unquoted": 3})
    assert reason(dropped) is Reason.FINDINGS_NOT_QUOTED
    shouted = ours[0].model_copy(update={"quote": ours[0].quote.upper()})
    assert reason(with_step(good, "review_history", output={"findings": (shouted,)})) is None


def test_the_first_rule_that_fails_is_the_one(good):
    worst = moved(good.model_copy(update={"ended": "budget_calls"}), "reflect", trigger="gold")
    assert first_rejection(Examined(worst, PLAIN, Standing(Verdict.INCORRECT))).rule is Rule.CORRECT
    assert first_rejection(Examined(worst, PLAIN, RIGHT)).rule is Rule.PROVENANCE
