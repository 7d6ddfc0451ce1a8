"""The control `straight`: every candidate weighed in one pass, without the wrong turns."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys import CASE, STRAIGHT, reflection, weighing
from walks import plain_walk, traces, walked

from ddxgraph import Budget, GenerationStrategy
from ddxgraph.common.errors import CompileError
from ddxgraph.nodes.call.statement import stated
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.detours import without_turns_back
from ddxgraph.training.styles.events import Checked, Named, Refuted, Revived, Thought, Weighed, WentBack
from ddxgraph.training.styles.journey import parse
from ddxgraph.training.styles.recover import recover
from ddxgraph.training.styles.registry import style_of
from ddxgraph.training.styles.straight import straight_path

BACK = re.compile(r"^## (Going back|Second|.*revised)|\bI go back\b", re.MULTILINE)


def told(trace, style: str = "straight", seed: int = 0) -> str:
    return compile_journey(trace, style, seed).messages[-1].content


def test_every_candidate_is_named_weighed_and_judged_once():
    trace = plain_walk().trace
    path = straight_path(parse(trace))
    labels = [hypothesis.label for hypothesis in parse(trace).now.hypotheses.values()]
    assert len(labels) == 5
    assert [event.hypothesis.label for event in path if isinstance(event, Named)] == labels
    assert [event.hypothesis.label for event in path if isinstance(event, Checked)] == labels
    assert sorted(event.hypothesis.label for event in path if isinstance(event, Refuted)) == sorted(
        label for label in labels if label != "Pulmonary embolism"
    )
    assert not any(isinstance(event, WentBack | Revived) for event in path)


def test_it_weighs_what_longstep_weighs_and_turns_back_nowhere():
    trace = plain_walk().trace
    journey = {event for event in parse(trace).journey if isinstance(event, Weighed)}
    assert {event for event in straight_path(parse(trace)) if isinstance(event, Weighed)} <= journey
    for seed in range(20):
        assert not BACK.search(told(trace, seed=seed))
    assert BACK.search(told(trace, "longstep"))


def test_it_is_a_journey_of_its_own():
    """In the form of `longstep`, so that the same reader reads it."""
    trace = plain_walk().trace
    assert recover(told(trace), trace.case.options) == straight_path(parse(trace))


def test_of_a_journey_without_wrong_turns_nothing_is_left_out():
    trace = walked(STRAIGHT, CASE).trace
    journey = [event for event in parse(trace).journey if not isinstance(event, Thought)]
    path = [event for event in straight_path(parse(trace)) if not isinstance(event, Thought)]
    assert sorted(map(repr, path)) == sorted(map(repr, journey))


def test_a_weight_that_was_replaced_and_a_refutation_that_was_taken_back_are_gone():
    script = {
        **STRAIGHT,
        "check_evidence:B": [weighing(F1=-2, F2=1), weighing(F1=2)],
        "reflect": [reflection("recheck_evidence", targets=["B"]), reflection()],
    }
    text = told(walked(script, CASE, budget=Budget(max_backtracks=1)).trace)
    section = text.split("## Evidence for and against Pneumonia (B)")[1].split("##")[0]
    assert "“fever” strongly supports it" in section
    assert "against it" not in section


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Influenza is less likely than pneumonia.", "Influenza is less likely than pneumonia."),
        ("At first I took it for gout. The crystals are rhomboid.", "The crystals are rhomboid."),
        ("I was wrong about the calf.", ""),
        ("Fever fits. On reflection the count does not.", "Fever fits."),
        ("", ""),
    ],
)
def test_sentences_of_a_change_of_mind_are_left_out_and_comparisons_stay(text, left):
    assert without_turns_back(text) == left


def test_a_conclusion_that_only_takes_something_back_stays():
    script = {**STRAIGHT, "conclude": {"justification": "I was wrong about influenza.", "answer": "B"}}
    assert "I was wrong about influenza." in told(walked(script, CASE).trace)


def test_a_model_is_asked_for_what_it_was_taught():
    asked = {style: style_of(style).strategy for style in ("longstep", "straight", "shortcut")}
    assert asked == {name: name for name in asked}
    model = ScriptedChatModel()
    prompts = {
        name: GenerationStrategy(style=name).settle(model).wording.prompts.render(name, letters=CASE.letters)
        for name in asked
    }
    assert [("wrong turns" in prompts[name], "candidate answers" in prompts[name]) for name in asked] == [
        (True, True),
        (False, True),
        (False, False),
    ]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(traces(), st.integers(0, 3))
def test_the_control_of_any_trace(trace, seed):
    try:
        text = told(trace, seed=seed)
    except CompileError:
        return
    assert stated(text, trace.case.options).answer == parse(trace).answer
    assert not BACK.search(text)
