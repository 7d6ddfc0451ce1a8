"""What breaks is typed and kept: an engine's failure ends a walk unscored, an unreadable reply seldom does."""

import httpx
import pytest
from journeys import (
    AT_ONCE,
    CASE,
    CONCLUDING,
    FREE,
    OPENING,
    ROUND,
    STRAIGHT,
    answer,
    course,
    differential,
    reading,
    reflection,
    weighing,
)
from langchain_core.exceptions import (
    ModelAuthenticationError,
    ModelConnectionError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from ddxgraph import asolve, build_graph, solve
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.testing import ScriptedChatModel

STOPS = ["review_history", "generate_differential", "check_evidence:C", "reflect", "conclude"]
STRAIGHT_COURSE = OPENING + ROUND + CONCLUDING


def walk(script, case=CASE, **settings):
    model = ScriptedChatModel(script=script)
    return solve(build_graph(model, patience=AT_ONCE, **settings), case), model


def checked_by(line):
    """The straight script, every check answered by the same line."""
    return {key: said for key, said in STRAIGHT.items() if ":" not in key} | {"check_evidence": line}


def broken(stop):
    return f"{stop} -> end [engine]"


@pytest.mark.parametrize(
    "error", [ModelTimeoutError("30 s"), ConnectionError("refused")], ids=["timeout", "gone"]
)
@pytest.mark.parametrize(
    ("stop", "steps"),
    [
        ("review_history", [broken("review_history")]),
        ("generate_differential", [OPENING[0], broken("generate_differential")]),
        ("reflect", [*OPENING, *ROUND, broken("reflect")]),
        ("conclude", [*OPENING, *ROUND, CONCLUDING[0], broken("conclude")]),
    ],
)
def test_an_engine_that_breaks_on_the_trunk_ends_the_walk_and_keeps_what_came_before(stop, steps, error):
    trace, model = walk(STRAIGHT | {stop: error})
    assert course(trace) == steps
    assert (trace.outcome, trace.ended, trace.answer) == ("error", "failure", None)
    assert trace.failure == trace.steps[-1].failure
    assert (trace.failure.boundary, trace.failure.node) == ("engine", stop)
    assert trace.failure.kind == (FailureKind.TIMEOUT if "30 s" in str(error) else FailureKind.CONNECTION)
    assert str(error) in trace.failure.message
    assert trace.usage.calls == len(model.requests) == len(steps)
    assert all(step.failure is None for step in trace.steps[:-1])
    assert trace.distribution == {}


async def test_one_check_of_four_that_breaks_leaves_the_others_standing():
    for solved in (
        walk(STRAIGHT | {"check_evidence:C": ModelTimeoutError("30 s")})[0],
        await _walk_async("C"),
    ):
        assert course(solved) == [*OPENING, *ROUND[:2], broken("check_evidence:C"), ROUND[3]]
        assert (solved.outcome, solved.ended) == ("error", "failure")
        assert solved.failure.kind == FailureKind.TIMEOUT
        assert solved.failure.node == "check_evidence"
        kept = [step for step in solved.steps if step.branch and not step.failure]
        assert [step.output.hypothesis for step in kept] == ["B", "A", "D"]
        assert all(step.output.weights for step in kept)
        assert solved.usage.calls == 6


async def _walk_async(branch):
    script = STRAIGHT | {f"check_evidence:{branch}": ModelTimeoutError("30 s")}
    return await asolve(build_graph(ScriptedChatModel(script=script), patience=AT_ONCE), CASE)


def test_checks_that_all_break_are_all_recorded():
    trace, _ = walk(checked_by(ModelConnectionError("refused")))
    assert course(trace) == OPENING + [broken(f"check_evidence:{key}") for key in "BACD"]
    assert all(step.failure.kind == FailureKind.CONNECTION for step in trace.steps[2:])
    assert trace.ended == "failure"


def test_of_several_breaks_the_first_names_the_failure():
    script = {
        "check_evidence:A": ModelTimeoutError("30 s"),
        "check_evidence:D": ModelConnectionError("refused"),
    }
    trace, _ = walk(STRAIGHT | script)
    assert [step.failure.kind for step in trace.steps if step.failure] == ["timeout", "connection"]
    assert trace.failure.kind == FailureKind.TIMEOUT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), FailureKind.TIMEOUT),
        (ModelRateLimitError("slow down"), FailureKind.RATE_LIMIT),
        (ModelAuthenticationError("no"), FailureKind.AUTHENTICATION),
        (RuntimeError("This model's maximum context length is 4096 tokens"), FailureKind.CONTEXT_LENGTH),
        (RuntimeError("boom"), FailureKind.OTHER),
        (httpx.HTTPError("odd"), FailureKind.OTHER),
    ],
    ids=lambda value: getattr(value, "value", type(value).__name__),
)
def test_whatever_a_chat_model_raises_is_typed(error, kind):
    trace, _ = walk({"review_history": error})
    assert (trace.ended, trace.failure.kind) == ("failure", kind)


def test_an_engine_that_breaks_after_a_backtrack_keeps_the_earlier_evidence():
    script = STRAIGHT | {
        "reflect": [reflection("recheck_evidence", targets=["A"]), ConnectionError("refused")],
    }
    trace, _ = walk(script)
    assert course(trace)[6:] == [
        "reflect -> check_evidence A [self, back]",
        "check_evidence:A -> reflect [self]",
        broken("reflect"),
    ]
    assert max(trace.trajectory()[-1].items(), key=lambda share: share[1])[0] == "B"


REPLIES = {
    "review_history": reading("fever", "productive cough"),
    "generate_differential": differential(A=30, B=50, C=10, D=10),
    "check_evidence:C": weighing(F1=-2, F2=0),
    "reflect": reflection(),
    "conclude": answer("B"),
}


@pytest.mark.parametrize(
    "bad", ["I would say B.", "", '{"reasoning": "cut of', "[]"], ids=["prose", "empty", "cut", "list"]
)
@pytest.mark.parametrize("stop", STOPS)
def test_a_reply_that_cannot_be_read_is_repaired_once(stop, bad):
    trace, model = walk(STRAIGHT | {stop: [bad, REPLIES[stop]]})
    assert course(trace) == STRAIGHT_COURSE
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")
    assert trace.usage.calls == len(model.requests) == 9
    assert trace.failure is None
    mended = [step for step in trace.steps if step.attempts]
    assert [(step.usage.calls, step.failure) for step in mended] == [(2, None)]
    assert [attempt.text for attempt in mended[0].attempts] == [bad]
    assert mended[0].attempts[0].error
    straight, _ = walk(STRAIGHT)
    assert [step.output for step in trace.steps] == [step.output for step in straight.steps]
    assert [step.text for step in trace.steps] == [step.text for step in straight.steps]


@pytest.mark.parametrize("stop", STOPS[:-1])
def test_a_reply_that_cannot_be_read_twice_is_recorded_and_the_walk_goes_on(stop):
    script = checked_by(weighing(F0=1)) if stop == "review_history" else STRAIGHT
    trace, model = walk(script | {stop: ["no", "still no", REPLIES[stop]]})
    assert [line.split(" ->")[0].split(":")[0] for line in course(trace)] == [
        "review_history",
        "generate_differential",
        *["check_evidence"] * 4,
        "reflect",
        "conclude",
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")
    failed = [step for step in trace.steps if step.failure]
    assert [(step.node, step.branch) for step in failed] == [
        (stop.partition(":")[0], stop.partition(":")[2] or None)
    ]
    assert (failed[0].failure.boundary, failed[0].failure.kind) == ("parse", FailureKind.MALFORMED)
    assert [attempt.text for attempt in failed[0].attempts] == ["no", "still no"]
    assert failed[0].text == "still no"
    assert trace.failure is None
    assert trace.usage.calls == len(model.requests) >= 9


def test_without_a_reading_the_case_as_a_whole_is_weighed():
    trace, _ = walk(checked_by(weighing(F0=1)) | {"review_history": "no"})
    assert trace.steps[0].output.findings == ()
    assert [step.output.weights[0].finding for step in trace.steps if step.branch] == ["F0"] * 4


def test_without_a_differential_the_options_stand_at_even_odds():
    trace, _ = walk(STRAIGHT | {"generate_differential": "no"})
    assert set(trace.steps[1].credence.values()) == {0.25}


def test_without_a_differential_a_free_form_case_goes_on_to_its_conclusion():
    trace, _ = walk({"generate_differential": "no", "conclude": answer("Pneumonia")}, FREE)
    assert course(trace) == [
        OPENING[0],
        "generate_differential -> conclude [verifier]",
        "conclude -> end [self]",
    ]
    assert (trace.outcome, trace.answer, trace.distribution) == ("answered", "Pneumonia", {})


def test_a_check_that_cannot_be_read_weighs_nothing():
    trace, _ = walk(STRAIGHT | {"check_evidence:B": "no"})
    course_of_b = [shares["B"] for shares in trace.trajectory()[1:3]]
    assert course_of_b[0] == course_of_b[1]


def test_a_conclusion_that_cannot_be_read_is_unparsed_and_no_answer_is_guessed():
    trace, model = walk(STRAIGHT | {"conclude": "B, I think"})
    assert course(trace) == STRAIGHT_COURSE
    assert (trace.outcome, trace.ended, trace.answer) == ("unparsed", "concluded", None)
    assert (trace.failure.boundary, trace.failure.kind) == ("parse", FailureKind.MALFORMED)
    assert trace.distribution == {}
    assert trace.usage.calls == len(model.requests) == 9


def test_a_letter_that_is_no_option_is_not_an_answer():
    trace, _ = walk(STRAIGHT | {"conclude": [answer("E"), answer("B")]})
    assert trace.answer == "B"
    assert trace.steps[-1].attempts[0].text == '{"justification": "it fits best", "answer": "E"}'


@pytest.mark.parametrize(
    "dressed", ["```json\n{}\n```", "<think>So { this } is it.</think>\n{}"], ids=["fence", "thought"]
)
def test_a_reply_in_a_fence_or_after_a_thought_needs_no_repair(dressed):
    text = dressed.replace("{}", '{"justification": "fits", "answer": "B"}')
    trace, _ = walk(STRAIGHT | {"conclude": text})
    assert (trace.answer, trace.steps[-1].attempts) == ("B", ())


def test_an_engine_that_breaks_during_the_repair_ends_the_walk():
    trace, _ = walk(STRAIGHT | {"reflect": ["no", ConnectionError("refused")]})
    assert course(trace)[-1] == broken("reflect")
    assert (trace.ended, trace.failure.kind) == ("failure", FailureKind.CONNECTION)
    assert trace.steps[-1].usage.calls == 2
    assert [attempt.text for attempt in trace.steps[-1].attempts] == ["no"]
