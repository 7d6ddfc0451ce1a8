import asyncio
import json
from itertools import islice

import pytest
from laboratory import made_up
from langchain_core.messages import HumanMessage, SystemMessage

from ddxgraph import Case, build_graph
from ddxgraph.graph.strategy import GraphStrategy
from ddxgraph.graph.trace import Trace
from ddxgraph.lab.labcase import Draw, LabCase, lab_cases
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.teacher import Teacher
from ddxgraph.lab.wording import read_vignette

LEVEL_NUMBERS = list(LEVELS)


def cases(number: int, count: int = 25) -> list[LabCase]:
    return list(islice(lab_cases(Draw(made_up(), LEVELS[number])), count))


def walked(case: LabCase, teacher: Teacher) -> Trace:
    return asyncio.run(GraphStrategy()(case.case, teacher))


@pytest.mark.parametrize("number", LEVEL_NUMBERS)
@pytest.mark.parametrize(
    "teacher", [Teacher(), Teacher(misread=1), Teacher(overlooked=1)], ids=["sure", "misreads", "overlooks"]
)
def test_it_walks_the_real_graph_to_the_gold_answer(number, teacher):
    for case in cases(number):
        trace = walked(case, teacher)
        assert trace.answer == case.gold
        assert not trace.failure
        assert not [attempt for step in trace.steps for attempt in step.attempts]


def test_without_wrong_turns_it_never_goes_back():
    assert {walked(case, Teacher()).backtracks for n in LEVEL_NUMBERS for case in cases(n)} == {0}


@pytest.mark.parametrize(
    ("teacher", "to"), [(Teacher(misread=1), "check_evidence"), (Teacher(overlooked=1), "review_history")]
)
def test_a_wrong_turn_is_corrected_by_the_evidence(teacher, to):
    gone_back = 0
    for case in cases(4, 60):
        trace = walked(case, teacher)
        back = [step.move for step in trace.steps if step.move.backtrack]
        if not back:
            continue
        gone_back += 1
        assert [(move.to, move.trigger) for move in back] == [(to, "self")]
        reflections = [step for step in trace.steps if step.node == "reflect"]
        first, last = (
            max(step.credence, key=step.credence.get) for step in (reflections[0], reflections[-1])
        )
        assert last == case.gold
        if to == "check_evidence":
            assert first != case.gold
        # What refutes the wrong turn stands in the case.
        named = [
            name
            for name in read_vignette(case.case.vignette).findings
            if name in reflections[0].output.critique
        ]
        assert named
    assert gone_back >= 10


def test_it_goes_wrong_at_the_rate_that_it_is_told():
    some = [case for n in LEVEL_NUMBERS for case in cases(n, 30)]
    share = sum(walked(case, Teacher(misread=0.4)).backtracks for case in some) / len(some)
    always = sum(walked(case, Teacher(misread=1.0)).backtracks for case in some) / len(some)
    assert share == pytest.approx(0.4 * always, abs=0.08)


def test_the_same_seed_takes_the_same_wrong_turns_and_another_seed_others():
    def turns(seed: int) -> list[str]:
        return [
            step.text
            for case in cases(2)
            for step in walked(case, Teacher(misread=0.5, seed=seed)).steps
            if step.node == "reflect"
        ]

    assert turns(0) == turns(0)
    assert turns(0) != turns(1)


def test_what_it_is_made_of_is_in_the_traces_id():
    case = cases(1)[0]
    ids = {walked(case, Teacher(misread=rate, seed=seed)).id for rate, seed in [(0, 0), (0.5, 0), (0.5, 1)]}
    assert len(ids) == 3


def test_it_knows_the_case_from_the_prompt_alone():
    """The gold answer is no part of what a chat model is given, and the teacher has nothing else."""
    case = cases(2)[0]
    shuffled = dict(zip(case.case.options, reversed(case.case.options.values()), strict=True))
    turned = Case(vignette=case.case.vignette, question=case.case.question, options=shuffled)
    answer = build_graph(Teacher()).invoke({"case": turned})["conclusion"].answer
    assert shuffled[answer] == case.case.options[case.gold]


@pytest.mark.parametrize(
    "text",
    ["Hello.", "<case>\nFever.\n</case>\n<question>Why?</question>\n<options>\nA. x\nB. y\n</options>"],
)
def test_another_prompt_is_refused(text):
    with pytest.raises(ValueError, match="laboratory case"):
        Teacher().invoke([SystemMessage("s"), HumanMessage(text)])


def test_a_single_generation_is_refused():
    case = cases(1)[0]
    opening = walked(case, Teacher()).opening
    with pytest.raises(ValueError, match="stops of the graph alone"):
        Teacher().invoke([SystemMessage("s"), HumanMessage(opening)])


def test_its_replies_are_json_as_the_forms_want_them():
    trace = walked(cases(4)[0], Teacher())
    assert all(json.loads(step.text) for step in trace.steps)
