"""The trace: named by what decides it, complete, and the same after a trip through JSON."""

import json
import math
import re

import jsonschema
import pytest
from journeys import (
    AT_ONCE,
    CASE,
    FREE,
    STRAIGHT,
    answer,
    differential,
    named,
    reading,
    reflection,
    timeless,
    weighing,
)
from langchain_core.exceptions import ModelTimeoutError
from pydantic import ValidationError

from ddxgraph import Budget, Case, Limits, Policy, Sampling, Trace, Traversal, build_graph, solve, trace_of
from ddxgraph.graph.plan import plan
from ddxgraph.prompts.library import shipped_prompts
from ddxgraph.testing import ScriptedChatModel

WIDER = STRAIGHT | {
    "generate_differential": [
        differential(A=30, B=50, C=10, D=10),
        differential(named("Tuberculosis", 40), A=30, B=50, C=10, D=10),
    ],
    "check_evidence:A": ["not JSON", weighing(F1=1), weighing(F1=-2)],
    "check_evidence:H1": weighing(F1=-1),
    "review_history": [reading("fever", "productive cough"), reading("Crackles")],
    "reflect": [
        reflection("recheck_evidence", targets=["A"]),
        reflection("widen_differential", refuted="ABCD"),
        reflection("reread_history", refuted=["H1"]),
        reflection(refuted=["C"]),
    ],
}
"""Repair, recheck, refutation of all, revival, rereading."""

SHORT = Limits.brief().model_copy(update={"others": 1, "weights": 4})

WALKS = {
    "straight": (STRAIGHT, CASE, {}),
    "wider": (WIDER, CASE, {"limits": Limits(note_chars=100)}),
    "free-form": ({"generate_differential": differential(named("Pneumonia"))}, FREE, {}),
    "compacted": (WIDER, CASE, {"limits": SHORT, "context_window": 2_500}),
    "spent": (STRAIGHT, CASE, {"budget": Budget(max_calls=5)}),
    "unparsed": (STRAIGHT | {"conclude": "B!"}, CASE, {}),
    "broken": (STRAIGHT | {"check_evidence:B": ModelTimeoutError("30 s")}, CASE, {}),
    "broken at once": ({"review_history": ModelTimeoutError("30 s")}, CASE, {}),
    "sampled": (STRAIGHT, CASE, {"sampling": Sampling(temperature=0.7, top_p=0.9, seed=3)}),
    "unicode": ({"conclude": {"justification": "因为发热 🫀\u2028 \x7f", "answer": "A"}}, CASE, {}),
}


@pytest.fixture(params=WALKS, ids=str)
def trace(request):
    script, case, settings = WALKS[request.param]
    return solve(build_graph(ScriptedChatModel(script=script), patience=AT_ONCE, **settings), case)


def test_a_trace_survives_json(trace):
    assert Trace.model_validate_json(trace.to_json()) == trace


def test_a_trace_stands_on_one_line(trace):
    assert "\n" not in trace.to_json()


def test_a_trace_fits_the_published_schema(trace):
    schema = Trace.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(trace.to_json()), schema)


@pytest.mark.parametrize(
    "wrong",
    [{"version": 2}, {"outcome": "wrong"}, {"steps": [{"node": "guess"}]}, {"gold": "B"}, {"id": None}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_no_trace_fits_neither_schema_nor_model(wrong):
    known = json.loads(solve(build_graph(ScriptedChatModel()), CASE).to_json())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(known | wrong, Trace.model_json_schema())
    with pytest.raises(ValidationError):
        Trace.model_validate(known | wrong)


def test_credence_has_a_course_of_one_entry_a_step(trace):
    course = trace.trajectory()
    assert len(course) == len(trace.steps)
    for shares in filter(None, course):
        assert math.fsum(shares.values()) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in shares.values())
    begun = [bool(shares) for shares in course]
    assert begun == sorted(begun)


def test_the_course_of_credence_agrees_with_what_each_step_on_the_trunk_recorded(trace):
    pairs = [(step, shares) for step, shares in zip(trace.steps, trace.trajectory(), strict=True)]
    recorded = [(step.credence, shares) for step, shares in pairs if step.branch is None and not step.failure]
    for known, shares in recorded:
        assert known == pytest.approx(shares)


def test_steps_are_numbered_and_each_knows_the_trunk_step_that_led_to_it(trace):
    assert [step.index for step in trace.steps] == list(range(len(trace.steps)))
    trunk = None
    for step in trace.steps:
        assert step.parent == trunk
        if step.branch is None:
            trunk = step.index


def test_usage_is_the_sum_over_the_steps(trace):
    assert trace.usage.calls == sum(step.usage.calls for step in trace.steps)
    assert trace.usage.prompt_tokens == sum(step.usage.prompt_tokens for step in trace.steps)
    assert trace.usage.completion_tokens == sum(step.usage.completion_tokens for step in trace.steps)
    assert trace.usage.cached_tokens is None
    assert not trace.usage.estimated


def test_distributions_are_complete_and_sum_to_one(trace):
    if trace.outcome == "answered":
        assert math.fsum(trace.distribution.values()) == pytest.approx(1)
        assert set(trace.distribution) == set(trace.case.letters or trace.trajectory()[-1])
    else:
        assert trace.distribution == {}


def test_a_trace_says_where_it_comes_from(trace):
    assert trace.provenance.model == "scripted"
    assert re.fullmatch(r"[0-9a-f]{12}", trace.provenance.prompt_set)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", trace.provenance.started_at)
    assert trace.elapsed_s >= max(step.latency_s for step in trace.steps)
    hashes = shipped_prompts().hashes
    assert all(step.prompt_hash == hashes[step.node] for step in trace.steps if step.usage.calls)


def name(case=CASE, sample=0, model="scripted", **settings):
    return solve(build_graph(ScriptedChatModel(model_name=model), **settings), case, sample).id


def test_the_same_work_has_the_same_id():
    assert re.fullmatch(r"[0-9a-f]{16}", name())
    assert name() == name()
    assert name(budget=Budget()) == name()
    assert name(sampling=Sampling(seed=1)) == name(sampling=Sampling(seed=1))


def test_the_id_does_not_depend_on_how_it_went():
    assert (
        name()
        == solve(
            build_graph(ScriptedChatModel(script={"reflect": ConnectionError()}), patience=AT_ONCE), CASE
        ).id
    )


def test_the_id_is_known_before_the_walk():
    settled = plan(ScriptedChatModel(), budget=Budget(max_calls=9), sampling=Sampling(seed=2))
    assert settled.trace_id(CASE, 3) == name(sample=3, budget=Budget(max_calls=9), sampling=Sampling(seed=2))


def copy(**changes):
    return Case(**{**CASE.model_dump(), **changes})


CHANGES = {
    "vignette": {"case": copy(vignette=CASE.vignette + " He smokes.")},
    "question": {"case": copy(question="What is the next step?")},
    "options": {"case": copy(options={**CASE.options, "A": "Bronchitis"})},
    "case id": {"case": copy(id="other")},
    "sample": {"sample": 1},
    "model": {"model": "another"},
    "max_tokens": {"budget": Budget(max_tokens=9_999)},
    "max_calls": {"budget": Budget(max_calls=9)},
    "max_backtracks": {"budget": Budget(max_backtracks=1)},
    "seed": {"sampling": Sampling(seed=1)},
    "temperature": {"sampling": Sampling(temperature=0.1)},
    "top_p": {"sampling": Sampling(top_p=0.1)},
    "limits": {"limits": Limits(findings=3)},
    "policy": {"policy": Policy(min_margin=0.1)},
    "window": {"context_window": 100_000},
}


def test_whatever_decides_a_walk_changes_the_id():
    names = {change: name(**settings) for change, settings in CHANGES.items()} | {"nothing": name()}
    assert len(set(names.values())) == len(names)


@pytest.mark.parametrize("change", [{"source": "medqa"}, {"split": "test"}], ids=str)
def test_what_does_not_decide_a_walk_leaves_the_id(change):
    assert name(copy(**change)) == name()


def test_options_in_another_order_are_the_same_case():
    assert name(copy(options=dict(reversed(CASE.options.items())))) == name()


def test_a_final_state_and_a_walk_give_the_same_trace():
    state = build_graph(ScriptedChatModel(script=WIDER)).invoke({"case": CASE})
    walked = Traversal(build_graph(ScriptedChatModel(script=WIDER)), CASE)
    list(walked)
    assert timeless(trace_of(state)) == timeless(walked.trace())


def test_messages_at_the_start_are_the_case_alone():
    known = solve(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)
    assert [message.content for message in known.messages(0)] == [known.system, known.opening]


def test_probabilities_told_by_the_engine_are_preferred_to_credence():
    tokens = [
        {"token": '{"justification":"","answer":"', "logprob": 0.0, "top_logprobs": []},
        {
            "token": "B",
            "logprob": math.log(0.3),
            "top_logprobs": [
                {"token": "B", "logprob": math.log(0.3)},
                {"token": "A", "logprob": math.log(0.1)},
            ],
        },
        {"token": '"}', "logprob": 0.0, "top_logprobs": []},
    ]

    class Telling(ScriptedChatModel):
        def invoke(self, *args, **kwargs):
            message = super().invoke(*args, **kwargs)
            if kwargs.get("logprobs"):
                message.response_metadata["logprobs"] = {"content": tokens}
            return message

    script = STRAIGHT | {"conclude": '{"justification":"","answer":"B"}'}
    told = solve(build_graph(Telling(script=script)), CASE)
    assert told.distribution_from == "logprobs"
    assert told.distribution == pytest.approx({"A": 1 / 6, "B": 1 / 2, "C": 1 / 6, "D": 1 / 6})
    assert solve(build_graph(ScriptedChatModel(script=script)), CASE).distribution_from == "credence"


def test_a_walk_of_many_answers_is_told_apart_by_sample():
    script = STRAIGHT | {"conclude": [answer("A"), answer("B")]}
    graph = build_graph(ScriptedChatModel(script=script))
    first, second = solve(graph, CASE, 0), solve(graph, CASE, 1)
    assert (first.answer, second.answer) == ("A", "B")
    assert first.id != second.id
