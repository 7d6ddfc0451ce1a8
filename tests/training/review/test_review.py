"""Reviews: what is a review, which of several hold, and how far reviewers agree."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeys import AT_ONCE, CASE, FREE, STRAIGHT, answer, differential, named
from pydantic import ValidationError

from ddxgraph import Trace, build_graph, solve
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.review.review import (
    Objection,
    Review,
    agreements,
    approves,
    cohens_kappa,
    content_digest,
    counts,
    deciding,
    standing_reviews,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def walk(script=STRAIGHT, case=CASE) -> Trace:
    model = ScriptedChatModel(script=script, model_name="a-model")
    return solve(build_graph(model, patience=AT_ONCE), case)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return walk()


def said(verdict="accept", reviewer="ann", trace="t1", content="0" * 64, **fields) -> Review:
    if verdict == "reject":
        fields = {"reason": "wrong_answer", **fields}
    return Review(
        trace=trace, content=content, verdict=verdict, reviewer=reviewer, **{"time": NOON, **fields}
    )


def of(trace: Trace, *args, **fields) -> Review:
    return said(*args, trace=trace.id, content=content_digest(trace), **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": "reject", "reason": None},
        {"verdict": "accept", "reason": "wrong_answer"},
        {"verdict": "reject", "reason": "other"},
        {"verdict": "reject", "reason": "other", "detail": "  "},
        {"verdict": "reject", "reason": "ugly"},
        {"verdict": "maybe"},
        {"reviewer": " "},
        {"answer": ""},
        {"content": "abc"},
        {"time": datetime(2026, 1, 2)},
        {"version": 2},
        {"score": 3},
    ],
    ids=str,
)
def test_what_says_too_little_or_contradicts_itself_is_no_review(fields):
    with pytest.raises(ValidationError):
        said(**fields)


def test_a_review_is_its_line_and_its_time_is_utc():
    east = datetime(2026, 1, 2, 15, tzinfo=timezone(timedelta(hours=3)))
    one = said("reject", reason=Objection.OTHER, detail="dose\x1b[31m \ud800", note="שלום\n", time=east)
    again = Review.model_validate_json(one.model_dump_json())
    assert again == one
    assert (again.detail, again.note) == ("dose\x1b[31m ?", "שלום")
    assert '"time":"2026-01-02T12:00:00Z"' in one.model_dump_json()


def test_the_content_is_what_was_said_not_when_nor_at_what_cost(trace):
    step = trace.steps[0].model_copy(update={"latency_s": 9.0, "usage": trace.steps[1].usage})
    where = trace.provenance.model_copy(update={"started_at": "later", "code_version": "9"})
    retold = trace.model_copy(
        update={"steps": (step, *trace.steps[1:]), "elapsed_s": 7.0, "provenance": where}
    )
    assert content_digest(retold) == content_digest(trace)
    assert content_digest(Trace.model_validate_json(trace.to_json())) == content_digest(trace)
    altered = [
        trace.model_copy(update={"answer": "A"}),
        trace.model_copy(update={"case": FREE}),
        trace.model_copy(update={"steps": trace.steps[:-1]}),
        trace.model_copy(update={"steps": (step.model_copy(update={"text": "{}"}), *trace.steps[1:])}),
        trace.model_copy(update={"steps": (step.model_copy(update={"output": None}), *trace.steps[1:])}),
    ]
    digests = {content_digest(one) for one in (trace, *altered)}
    assert len(digests) == len(altered) + 1


def test_of_each_reviewer_the_last_word_on_this_very_content_holds(trace):
    first, other, last = of(trace), of(trace, reviewer="bob"), of(trace, "reject")
    outdated = said("reject", "cy", trace=trace.id)
    elsewhere = of(trace).model_copy(update={"trace": "another"})
    assert standing_reviews([first, outdated, other, last, elsewhere], trace) == (other, last)
    assert standing_reviews([outdated], trace) == standing_reviews([], trace) == ()


def test_any_rejection_rejects(trace):
    accepted, rejected = of(trace), of(trace, "reject", "bob")
    assert deciding([rejected, accepted], trace) == rejected
    assert deciding([accepted, of(trace, reviewer="cy")], trace).reviewer == "cy"
    assert deciding([], trace) is None


def test_an_answer_of_the_experts_own_has_to_be_the_journeys(trace):
    same, plain, other = (
        of(trace, answer="B"),
        of(trace, reviewer="bob"),
        of(trace, reviewer="cy", answer="C"),
    )
    assert [approves(one, trace) for one in (same, plain, other)] == [True, True, False]
    assert deciding([same, plain], trace) == same  # the answer is not lost
    assert deciding([other, same, plain], trace) == other


def test_in_free_form_the_answer_is_compared_as_the_strict_rule_does():
    script = {
        **STRAIGHT,
        "generate_differential": differential(named("Pneumonia")),
        "check_evidence:H1": STRAIGHT["check_evidence:B"],
        "conclude": answer("The pneumonia."),
    }
    trace = walk(script, FREE)
    assert trace.answer == "The pneumonia."
    assert approves(of(trace, answer="pneumonia"), trace)
    assert not approves(of(trace, answer="bronchitis"), trace)


@given(st.tuples(*[st.integers(0, 40)] * 4))
def test_kappa_is_that_of_the_closed_form_of_a_two_by_two_table(table):
    both, first_only, second_only, neither = table
    pairs = (
        [("accept", "accept")] * both
        + [("accept", "reject")] * first_only
        + [("reject", "accept")] * second_only
        + [("reject", "reject")] * neither
    )
    scale = (both + first_only) * (first_only + neither) + (both + second_only) * (second_only + neither)
    found = cohens_kappa(pairs)
    if scale == 0:
        assert found is None
    else:
        assert found == pytest.approx(2 * (both * neither - first_only * second_only) / scale)


def test_kappa_of_a_published_table_and_at_its_ends():
    table = {("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}
    assert cohens_kappa([pair for pair, count in table.items() for _ in range(count)]) == pytest.approx(0.4)
    assert cohens_kappa([("a", "a"), ("r", "r")]) == 1
    assert cohens_kappa([("a", "r"), ("r", "a")]) == -1
    assert cohens_kappa([]) is None


def test_reviewers_are_counted_and_compared_where_they_saw_the_same():
    reviews = [
        (said(), said(reviewer="bob", blind=False)),
        (said("reject", answer="C"), said("reject", "bob", reason="poor_wording")),
        (said(), said("reject", "bob", reason="dangerous_advice"), said(reviewer="cy")),
        (said("reject", "cy"),),
    ]
    ann, bob, cy = counts(reviews)
    assert (ann.reviewer, ann.reviewed, ann.accepted, ann.rejected, ann.answers, ann.blind) == (
        "ann",
        3,
        2,
        1,
        1,
        3,
    )
    assert (bob.reviewed, bob.accepted, bob.blind) == (3, 1, 2)
    assert dict(bob.reasons) == {"dangerous_advice": 1, "poor_wording": 1}
    assert (cy.reviewed, cy.rejected) == (2, 1)
    pairs = {(one.first, one.second): one for one in agreements(reviews)}
    assert set(pairs) == {("ann", "bob"), ("ann", "cy"), ("bob", "cy")}
    both = pairs["ann", "bob"]
    assert (both.traces, both.agreed) == (3, 2)
    assert both.percent == pytest.approx(66.7, abs=0.1)
    assert both.kappa == pytest.approx(0.4)  # 2 (1 x 1 - 1 x 0) / (2 x 2 + 1 x 1)
    assert pairs["ann", "cy"].kappa is None
