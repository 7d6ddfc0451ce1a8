"""Scripted walks through the real graph: which stops, which moves, why it ended, what it cost."""

import asyncio
import math
import threading

import pytest
from journeys import (
    CASE,
    CONCLUDING,
    FREE,
    OPENING,
    OPTIONS,
    ROUND,
    STRAIGHT,
    VIGNETTE,
    answer,
    course,
    differential,
    named,
    prompt_of,
    reading,
    reflection,
    timeless,
    weighing,
)
from pydantic import PrivateAttr, ValidationError

from ddxgraph import Case, CaseTooLong, Policy, Sampling, Traversal, asolve, build_graph, solve
from ddxgraph.nodes.call.consultation import SERIAL_KEY
from ddxgraph.testing import ScriptedChatModel


def walk(script, case=CASE, sample=0, **settings):
    model = ScriptedChatModel(script=script)
    return solve(build_graph(model, **settings), case, sample), model


def by_branch(model):
    """Requests by stop and branch; the checks of a round may come in any order."""
    return {(request.node, request.branch): request for request in model.requests}


def weighable(request):
    """Findings that a check may name, by its form."""
    return request.schema["properties"]["weights"]["items"]["properties"]["finding"]["enum"]


def test_a_case_goes_straight_to_its_conclusion():
    trace, model = walk(STRAIGHT)
    assert course(trace) == OPENING + ROUND + CONCLUDING
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")
    assert trace.usage.calls == len(model.requests) == 8
    assert [step.index for step in trace.steps] == list(range(8))
    assert [step.parent for step in trace.steps] == [None, 0, 1, 1, 1, 1, 1, 6]
    assert trace.failure is None
    assert trace.backtracks == 0
    assert trace.compactions == ()


def test_evidence_moves_credence_from_prior_to_the_conclusion():
    trace, _ = walk(STRAIGHT)
    before, after = trace.steps[1].credence, trace.steps[-1].credence
    odds = {"A": 0.3, "B": 0.5, "C": 0.1, "D": 0.1}
    assert before == pytest.approx({key: value / sum(odds.values()) for key, value in odds.items()})
    odds = {"A": odds["A"] * 3, "B": odds["B"] * 27, "C": odds["C"] / 9, "D": odds["D"] / 9}
    assert after == pytest.approx({key: value / sum(odds.values()) for key, value in odds.items()})
    assert trace.distribution == pytest.approx(after)
    assert trace.distribution_from == "credence"


def test_a_refuted_leader_sends_the_journey_back_to_the_differential():
    script = STRAIGHT | {
        "generate_differential": [
            differential(A=30, B=50, C=10, D=10),
            differential(named("Tuberculosis", 40), A=30, B=50, C=10, D=10),
        ],
        "check_evidence:H1": weighing(F1=2, F2=2),
        "reflect": [reflection("widen_differential", refuted=["B"]), reflection()],
        "conclude": answer("A"),
    }
    trace, _ = walk(script)
    assert course(trace) == [
        *OPENING,
        *ROUND,
        "reflect -> generate_differential [self, back]",
        "generate_differential -> check_evidence H1 [self]",
        "check_evidence:H1 -> reflect [self]",
        *CONCLUDING,
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "A")
    assert trace.usage.calls == 11
    assert trace.backtracks == 1
    assert [step.parent for step in trace.steps[6:]] == [1, 6, 7, 7, 9]
    wide = trace.steps[7]
    assert [h.id for h in wide.output.hypotheses] == ["A", "B", "C", "D", "H1"]
    assert "Pneumonia: B does not fit" in wide.prompt
    assert wide.credence["B"] < 0.02
    assert max(trace.steps[-1].credence.items(), key=lambda share: share[1])[0] == "H1"


def test_rereading_the_history_continues_the_ids_and_weighs_everything_anew():
    script = STRAIGHT | {
        "review_history": [
            reading("fever", "productive cough"),
            reading("fever", "crackles", "no leg swelling"),
        ],
        "check_evidence:D": [weighing(F1=-1, F2=-1), weighing(F3=-2)],
        "reflect": [reflection("reread_history"), reflection()],
    }
    trace, model = walk(script)
    assert course(trace) == [
        *OPENING,
        *ROUND,
        "reflect -> review_history [self, back]",
        *OPENING,
        *ROUND,
        *CONCLUDING,
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")
    assert trace.usage.calls == 15
    again = trace.steps[7].output
    assert [(finding.id, finding.quote) for finding in again.findings] == [
        ("F3", "crackles"),
        ("F4", "no leg swelling"),
    ]
    assert again.repeated == 1
    second_round = [request for request in model.requests if request.node == "check_evidence"][4:]
    assert trace.steps[-1].credence["D"] == pytest.approx(trace.steps[-1].credence["C"] / 9)
    assert all(weighable(request) == ["F1", "F2", "F3", "F4"] for request in second_round)
    told = [
        str(request.messages[-1].content)
        for request in model.requests
        if request.node == "generate_differential"
    ]
    assert "Noted: <data>F1 fever; F2 productive cough</data>" in told[0]
    assert "Noted: <data>F3 crackles; F4 no leg swelling</data>" in told[1]


def test_only_the_targets_are_rechecked_and_their_new_weights_replace_the_old():
    script = STRAIGHT | {
        "check_evidence:A": [weighing(F1=2, F2=2), weighing(F1=-2, F2=-1)],
        "reflect": [reflection("recheck_evidence", targets=["A"]), reflection()],
    }
    trace, _ = walk(script)
    assert course(trace) == [
        *OPENING,
        *ROUND,
        "reflect -> check_evidence A [self, back]",
        "check_evidence:A -> reflect [self]",
        *CONCLUDING,
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")
    assert trace.usage.calls == 10
    assert [step.parent for step in trace.steps[6:]] == [1, 6, 6, 8]
    odds = {"A": 0.3 / 27, "B": 0.5 * 27, "C": 0.1 / 9, "D": 0.1 / 9}
    assert trace.steps[-1].credence == pytest.approx({k: v / sum(odds.values()) for k, v in odds.items()})


def test_a_recheck_keeps_the_weights_of_findings_that_it_leaves_out():
    script = STRAIGHT | {
        "check_evidence:B": [weighing(F1=1, F2=2), weighing(F2=0)],
        "reflect": [reflection("recheck_evidence", targets=["B"]), reflection()],
    }
    graph = build_graph(ScriptedChatModel(script=script))
    weights = graph.invoke({"case": CASE})["evidence"]["B"]
    assert {key: weight.strength for key, weight in weights.items()} == {"F1": 1, "F2": 0}


def test_hypotheses_that_are_all_refuted_stand_again_in_the_next_differential():
    script = STRAIGHT | {
        "reflect": [reflection("conclude", refuted="ABCD"), reflection()],
        "generate_differential": [differential(A=30, B=50, C=10, D=10), differential(A=20, B=70, C=10, D=10)],
    }
    trace, _ = walk(script)
    assert course(trace) == [
        *OPENING,
        *ROUND,
        "reflect -> generate_differential [verifier, back]",
        OPENING[1],
        *ROUND,
        *CONCLUDING,
    ]
    assert trace.steps[7].output.revived == ("A", "B", "C", "D")
    assert trace.usage.calls == 14
    assert (trace.outcome, trace.ended) == ("answered", "concluded")
    assert "refuted" not in trace.steps[-1].prompt


def test_hypotheses_refuted_twice_over_do_not_keep_the_journey_going():
    script = STRAIGHT | {"reflect": reflection("conclude", refuted="ABCD")}
    trace, _ = walk(script)
    assert trace.backtracks == 1
    assert (trace.outcome, trace.ended) == ("answered", "concluded")


def test_a_narrow_margin_is_sent_back_once_to_the_two_leaders():
    script = {key: line for key, line in STRAIGHT.items() if ":" not in key}
    trace, _ = walk(script | {"check_evidence": weighing(F1=0)}, policy=Policy(min_margin=0.9))
    assert course(trace) == [
        *OPENING,
        *ROUND,
        "reflect -> check_evidence B,A [verifier, back]",
        "check_evidence:B -> reflect [self]",
        "check_evidence:A -> reflect [self]",
        *CONCLUDING,
    ]
    assert trace.steps[6].move.reason == "margin 0.20 below 0.90"


def test_a_free_form_case_names_its_own_hypotheses_and_answers_in_words():
    script = {
        "review_history": reading("fever"),
        "generate_differential": differential(
            named("Pneumonia", 60), named("Bronchitis", 30), named("pneumonia.", 5)
        ),
        "check_evidence:H1": weighing(F1=2),
        "check_evidence:H2": weighing(F1=1),
        "conclude": answer("Pneumonia"),
    }
    trace, model = walk(script, FREE)
    assert course(trace) == [
        "review_history -> generate_differential [self]",
        "generate_differential -> check_evidence H1,H2 [self]",
        "check_evidence:H1 -> reflect [self]",
        "check_evidence:H2 -> reflect [self]",
        *CONCLUDING,
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "Pneumonia")
    assert trace.usage.calls == 6
    assert trace.steps[1].output.merged == 1
    assert set(trace.distribution) == {"H1", "H2"}
    assert "logprobs" not in model.requests[-1].options


@pytest.mark.parametrize("count", range(2, 11))
def test_every_option_is_checked_whatever_their_number(count):
    letters = "ABCDEFGHIJ"[:count]
    case = Case(vignette=VIGNETTE, options={letter: f"candidate {letter}" for letter in letters})
    trace, model = walk({"conclude": answer(letters[-1])}, case)
    assert course(trace) == [
        OPENING[0],
        f"generate_differential -> check_evidence {','.join(letters)} [self]",
        *(f"check_evidence:{letter} -> reflect [self]" for letter in letters),
        *CONCLUDING,
    ]
    assert trace.answer == letters[-1]
    assert trace.usage.calls == len(model.requests) == count + 4
    assert list(trace.distribution) == list(letters)
    assert math.fsum(trace.distribution.values()) == pytest.approx(1)
    form = by_branch(model)["conclude", None].schema["properties"]
    assert form["answer"]["enum"] == list(letters)


def check_turn(asks):
    """What the check of hypothesis B is told where the question asks for this."""
    _, model = walk(STRAIGHT | {"review_history": reading("fever", "productive cough", asks=asks)})
    return by_branch(model)["check_evidence", "B"].messages[-1].content


def test_evidence_for_a_step_is_checked_in_other_words_than_for_a_diagnosis():
    assert check_turn("next_step") == check_turn("treatment") == check_turn("investigation")
    assert check_turn("diagnosis") == check_turn("mechanism") == check_turn("prognosis")
    assert check_turn("diagnosis") != check_turn("next_step")


def test_what_the_question_asks_is_settled_by_the_first_reading():
    script = STRAIGHT | {
        "review_history": [
            reading("fever", "productive cough", asks="next_step"),
            reading("fever", asks="diagnosis"),
        ],
        "reflect": [reflection("reread_history"), reflection()],
    }
    trace, model = walk(script)
    assert trace.backtracks == 1
    assert by_branch(model)["check_evidence", "B"].messages[-1].content == check_turn("next_step")


def test_findings_that_are_not_in_the_case_are_dropped_and_counted():
    trace, model = walk(
        STRAIGHT | {"review_history": reading("Fever", "haemoptysis", "PRODUCTIVE  cough", "fever")}
    )
    history = trace.steps[0].output
    assert [finding.quote for finding in history.findings] == ["Fever", "PRODUCTIVE  cough"]
    assert (history.unquoted, history.repeated) == (1, 1)
    told = next(request for request in model.requests if request.node == "generate_differential")
    assert "Noted: <data>F1 Fever; F2 PRODUCTIVE  cough</data>" in str(told.messages[-1].content)


def test_samples_differ_in_seed_and_id_alone():
    graph = build_graph(
        model := ScriptedChatModel(script=STRAIGHT), sampling=Sampling(temperature=0.7, seed=40)
    )
    traces = [solve(graph, CASE, sample) for sample in range(3)]
    assert len({trace.id for trace in traces}) == 3
    assert [trace.sample for trace in traces] == [0, 1, 2]
    assert [request.options["seed"] for request in model.requests] == [40] * 8 + [41] * 8 + [42] * 8
    assert {request.options["temperature"] for request in model.requests} == {0.7}
    assert {trace.provenance.sampling["seed"] for trace in traces} == {40}


def test_without_a_seed_none_is_sent():
    _, model = walk(STRAIGHT, sample=2)
    assert not any(
        "seed" in request.options or "temperature" in request.options for request in model.requests
    )


BACK_AND_FORTH = STRAIGHT | {
    "check_evidence:A": ["not JSON", weighing(F1=1)],
    "reflect": [
        reflection("recheck_evidence", targets=["B", "D"]),
        reflection("reread_history"),
        reflection(),
    ],
}


async def test_sync_async_and_iteration_take_the_same_steps():
    def graph():
        return build_graph(ScriptedChatModel(script=BACK_AND_FORTH))

    solved = await asyncio.to_thread(solve, graph(), CASE)
    awaited = await asolve(graph(), CASE)
    iterated = Traversal(graph(), CASE)
    seen = list(iterated)
    iterated_async = Traversal(graph(), CASE)
    seen_async = [step async for step in iterated_async]
    expected = timeless(solved)
    assert timeless(awaited) == expected
    assert timeless(iterated.trace()) == expected
    assert timeless(iterated_async.trace()) == expected
    stops = sorted((step.node, step.branch or "") for step in solved.steps)
    assert sorted((step.node, step.branch or "") for step in seen) == stops
    assert sorted((step.node, step.branch or "") for step in seen_async) == stops
    assert [step.index for step in seen] == [step.index for step in seen_async] == list(range(len(stops)))


async def test_many_cases_walk_side_by_side_on_one_graph():
    graph = build_graph(ScriptedChatModel(script=STRAIGHT))
    cases = [Case(vignette=f"{VIGNETTE} Patient {number}.", options=OPTIONS) for number in range(10)]
    traces = await asyncio.gather(*(asolve(graph, case) for case in cases))
    assert [trace.case for trace in traces] == cases
    assert all(course(trace) == OPENING + ROUND + CONCLUDING for trace in traces)
    assert all(f"Patient {number}." in trace.opening for number, trace in enumerate(traces))


def serial_model():
    script = STRAIGHT | {"reflect": [reflection("recheck_evidence", targets=["D", "A"]), reflection()]}
    return ScriptedChatModel(script=script, metadata={SERIAL_KEY: True})


IN_TURN = ["B", "A", "C", "D", "D", "A"]


def test_a_serial_engine_is_asked_in_turn():
    model = serial_model()
    solve(build_graph(model), CASE)
    assert [request.branch for request in model.requests if request.branch] == IN_TURN


class Yielding(ScriptedChatModel):
    """Lets other tasks run during a call, and notes how many calls were under way at once."""

    _now: int = PrivateAttr(0)
    _most: int = PrivateAttr(0)

    async def ainvoke(self, *args, **kwargs):
        self._now += 1
        self._most = max(self._most, self._now)
        await asyncio.sleep(0)
        message = await super().ainvoke(*args, **kwargs)
        self._now -= 1
        return message


@pytest.mark.parametrize(
    ("metadata", "at_once"), [({SERIAL_KEY: True}, 1), ({}, 4)], ids=["serial", "parallel"]
)
async def test_on_an_event_loop_checks_run_side_by_side_unless_the_engine_is_serial(metadata, at_once):
    model = Yielding(script=STRAIGHT, metadata=metadata)
    await asolve(build_graph(model), CASE)
    assert model._most == at_once


def test_checks_run_side_by_side_on_threads():
    together = threading.Barrier(4, timeout=10)

    def met(request):
        together.wait()
        return weighing(F1=0)

    trace, _ = walk({key: line for key, line in STRAIGHT.items() if ":" not in key} | {"check_evidence": met})
    assert trace.outcome == "answered"


def test_checks_on_a_serial_engine_never_overlap_on_threads():
    threads = []

    def noted(request):
        threads.append(threading.get_ident())
        return weighing(F1=0)

    script = {key: line for key, line in STRAIGHT.items() if ":" not in key} | {"check_evidence": noted}
    solve(build_graph(ScriptedChatModel(script=script, metadata={SERIAL_KEY: True})), CASE)
    assert len(threads) == 4
    assert len(set(threads)) == 1


@pytest.mark.parametrize("taken", [1, 2, 4, 7])
def test_a_walk_stopped_early_keeps_its_steps_and_says_that_it_was_interrupted(taken):
    whole, _ = walk(STRAIGHT)
    traversal = Traversal(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)
    for count, _ in enumerate(traversal, 1):
        if count == taken:
            break
    trace = traversal.trace()
    assert (trace.outcome, trace.ended, trace.answer) == ("error", "interrupted", None)
    assert trace.failure.boundary == "user"
    assert trace.id == whole.id
    assert len(trace.steps) == taken
    assert [step.index for step in trace.steps] == list(range(taken))
    assert {step.branch for step in trace.steps} <= {None, *"ABCD"}


def test_a_walk_left_at_its_last_step_is_whole():
    traversal = Traversal(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)
    for step in traversal:
        if step.node == "conclude":
            break
    trace = traversal.trace()
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "concluded", "B")


async def test_a_walk_stopped_early_on_an_event_loop_keeps_its_steps():
    traversal = Traversal(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)
    async for step in traversal:
        if step.node == "reflect":
            break
    trace = traversal.trace()
    assert course(trace) == OPENING + ROUND + CONCLUDING[:1]
    assert trace.ended == "interrupted"


def test_ctrl_c_in_a_call_keeps_the_steps_before_it():
    def interrupt(request):
        raise KeyboardInterrupt

    traversal = Traversal(build_graph(ScriptedChatModel(script=STRAIGHT | {"reflect": interrupt})), CASE)
    with pytest.raises(KeyboardInterrupt):
        list(traversal)
    assert course(traversal.trace()) == OPENING + ROUND
    assert traversal.trace().ended == "interrupted"


def test_a_walk_that_never_began_has_no_trace():
    traversal = Traversal(build_graph(ScriptedChatModel()), CASE)
    with pytest.raises(ValueError, match="before its first step"):
        traversal.trace()


def test_the_gold_answer_cannot_be_handed_to_the_graph():
    graph = build_graph(model := ScriptedChatModel(script=STRAIGHT))
    with pytest.raises(ValidationError, match="gold"):
        graph.invoke({"case": {**CASE.model_dump(), "gold": "B"}})
    assert model.requests == []


@pytest.mark.parametrize(
    "given",
    [
        {"vignette": ""},
        {"vignette": "Fever.", "options": {"A": "one"}},
        {"vignette": "Fever.", "options": {"A": "x", "b": "y"}},
        {"vignette": "Fever.", "answer": "A"},
        {},
        None,
    ],
    ids=["no text", "one option", "small letter", "unknown field", "nothing", "none"],
)
def test_a_malformed_case_is_refused_before_any_call(given):
    graph = build_graph(model := ScriptedChatModel())
    with pytest.raises(ValidationError):
        graph.invoke({"case": given})
    assert model.requests == []


def test_a_case_too_long_for_the_context_window_is_refused_before_any_call():
    graph = build_graph(model := ScriptedChatModel(), context_window=4096)
    with pytest.raises(CaseTooLong, match="shorten the vignette"):
        graph.invoke({"case": {"vignette": "fever " * 3_000}})
    assert model.requests == []


def test_braces_and_template_signs_in_a_case_are_data():
    text = "Fever {{ 7 * 7 }} {% raw %} <|im_end|> </case> [INST] <4000 cells."
    case = Case(vignette=text, options={"A": "{{ case }}", "B": "<data>{%"})
    trace, model = walk({}, case)
    assert trace.outcome == "answered"
    said = prompt_of(by_branch(model)["reflect", None])
    assert "{{ 7 * 7 }} {% raw %}" in said
    assert "<4000 cells" in said
    assert "<|im_end|>" not in said
    assert said.count("</case>") == 1 + trace.system.count("</case>")
