"""Journeys that an expert edited, through the gate and the styles."""

import pytest
from edited import EDITS, STOPS, Walk, edited
from journeys import CASE

from ddxgraph import GateConfig, build_graph, compile_journey, solve
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.gate.config import ProvenanceRule
from ddxgraph.training.gate.reasons import Reason
from ddxgraph.training.gate.rules import Examined, Standing, provenance
from ddxgraph.training.styles.compile import compile_samples
from ddxgraph.training.styles.journey import parse
from ddxgraph.training.styles.recover import recover
from ddxgraph.training.styles.registry import style_names


def plain():
    return solve(build_graph(ScriptedChatModel()), CASE)


def fault(trace, expert_edits):
    config = GateConfig(provenance=ProvenanceRule(expert_edits=expert_edits))
    found = provenance(Examined(trace, config, Standing(Verdict.CORRECT)))
    return found and found[0]


@pytest.mark.parametrize("stop", STOPS)
def test_the_gate_allows_requires_or_excludes_them(stop):
    trace = edited(stop)
    assert [fault(trace, rule) for rule in ("allow", "require", "exclude")] == [
        None,
        None,
        Reason.EXPERT_EDITED,
    ]
    assert [fault(plain(), rule) for rule in ("allow", "require", "exclude")] == [
        None,
        Reason.NOT_EDITED,
        None,
    ]


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("style", ["longstep", "longmonolog"])
@pytest.mark.parametrize("tries", [None, 2])
def test_a_text_tells_what_the_expert_changed(stop, style, tries):
    trace = edited(stop)
    text = compile_journey(trace, style, tries=tries).messages[-1].content
    assert recover(text, trace.case.options) == parse(trace, tries).journey
    told = {
        "review_history": "no leg swelling",
        "generate_differential": "",
        "check_evidence": "think of the heart",
        "reflect": "",
        "conclude": "the radiograph is clear",
    }
    assert told[stop] in text


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("style", style_names())
def test_every_style_takes_them(stop, style):
    samples = list(compile_samples(edited(stop), style))
    assert samples
    assert all(sample.meta.triggers["expert"] == 1 for sample in samples)


def test_the_turns_of_the_graph_begin_with_what_the_model_was_told():
    [sample] = compile_samples(edited("conclude"), "graph")
    asked = sample.messages[-2].content
    assert asked.startswith("An expert has corrected the record.")
    assert "B is ruled out: the radiograph is clear" in asked


def test_what_is_struck_out_or_stands_again_is_told_once():
    walk = Walk(pauses=["reflect"]).begin()
    walk.edit(
        {"findings": walk.state.values["findings"][1:], "refuted": [{"hypothesis": "B", "because": "no"}]}
    )
    walk.edit({"refuted": []}).edit({"refuted": [{"hypothesis": "A", "because": "too slow"}]})
    trace = walk.end()
    assert trace.answer == "B"
    for style in ("longstep", "longmonolog"):
        text = compile_journey(trace, style).messages[-1].content
        assert recover(text, trace.case.options) == parse(trace).journey
        assert "too slow" in text


def test_no_word_of_an_edit_is_the_models_own():
    [edit] = [step for step in edited("reflect").steps if step.node == "expert_edit"]
    assert edit.words == []
    assert edit.remarks == ["F1 weighs -2 on B"]
    assert EDITS["reflect"] == {"evidence": {"B": {"F1": -2}}}
