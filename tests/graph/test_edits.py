"""An expert pauses a journey, edits it, forks it and lets it go on, as LangGraph's users do it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from edited import BACK, EDITS, FINDING, SCRIPT, STOPS, Walk
from journeys import (
    AT_ONCE,
    CASE,
    FREE,
    Whimsy,
    answer,
    differential,
    named,
    reading,
    reflection,
    timeless,
    weighing,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from pydantic_core import to_jsonable_python

from ddxgraph import Budget, EditError, Trace, Traversal, asolve, build_graph, solve, trace_of
from ddxgraph.common.errors import BadInput
from ddxgraph.graph.replay import standpoint
from ddxgraph.graph.state import Journey, JourneyInput, standpoint_of
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.testing import ScriptedChatModel


def edits_in(trace):
    return [step for step in trace.steps if isinstance(step.output, ExpertEdit)]


def after(trace, step):
    return trace.steps[step.index + 1]


def lived_through(trace):
    """What must hold of every trace with edits."""
    assert Trace.model_validate_json(trace.to_json()) == trace
    assert [step.index for step in trace.steps] == list(range(len(trace.steps)))
    assert all(step.parent is None or step.parent < step.index for step in trace.steps)
    return trace


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("serial", [False, True])
def test_paused_edited_and_resumed_before_every_stop(stop, serial):
    plain = solve(build_graph(ScriptedChatModel(script=SCRIPT)), CASE)
    walk = Walk(pauses=[stop]).begin()
    if serial:
        walk.model.metadata = {"ddxgraph_serial": True}
    assert stop in walk.state.next
    trace = lived_through(walk.edit(EDITS[stop]).end())
    assert (trace.outcome, trace.ended) == ("answered", "concluded")
    assert trace.id != plain.id
    [edit] = edits_in(trace)
    assert (edit.move.trigger, edit.move.to, edit.text) == ("expert", stop, "")
    told = after(trace, edit).prompt
    assert told.startswith("An expert has corrected the record.")
    assert all(change in told for change in edit.output.changes)
    assert [step.node for step in trace.steps if step.node != "expert_edit"] == [s.node for s in plain.steps]
    assert sum("An expert has" in str(m.text) for m in trace.messages()) >= 1
    assert standpoint(trace.steps) == standpoint_of(walk.state.values)


async def test_the_same_on_an_event_loop():
    by_stop = {}
    for stop in STOPS:
        walk = Walk(pauses=[stop])
        await walk.graph.ainvoke({"case": CASE}, walk.config)
        await walk.graph.aupdate_state(walk.config, EDITS[stop])
        while (await walk.graph.aget_state(walk.config)).next:
            await walk.graph.ainvoke(None, walk.config)
        by_stop[stop] = trace_of((await walk.graph.aget_state(walk.config)).values)
    for stop, trace in by_stop.items():
        assert timeless(trace) == timeless(Walk(pauses=[stop]).begin().edit(EDITS[stop]).end())


@pytest.mark.parametrize("stop", STOPS)
def test_after_every_stop_too(stop):
    graph = build_graph(
        ScriptedChatModel(script=SCRIPT),
        checkpointer=InMemorySaver(),
        interrupt_after=[stop],
        patience=AT_ONCE,
    )
    config = {"configurable": {"thread_id": "one"}}
    paused = trace_of(graph.invoke({"case": CASE}, config))
    if stop == "conclude":
        assert paused.outcome == "answered"
        with pytest.raises(EditError, match="it has ended"):
            graph.update_state(config, {"critique": "too late"})
        return
    assert (paused.outcome, paused.ended, paused.failure) == ("interrupted", "interrupted", None)
    graph.update_state(config, {"critique": "look again"}, as_node=stop)
    trace = lived_through(trace_of(graph.invoke(None, config)))
    assert (trace.outcome, len(edits_in(trace))) == ("answered", 1)


def test_an_edit_changes_the_outcome():
    assert solve(build_graph(ScriptedChatModel(script=SCRIPT)), CASE).answer == "B"
    refuted = Walk(pauses=["conclude"]).begin().edit(EDITS["conclude"]).end()
    assert refuted.answer == "A"
    assert "B: refuted" not in refuted.steps[-2].prompt
    assert refuted.distribution["B"] < 0.01
    weighed = Walk(pauses=["reflect"]).begin().edit({"evidence": {"B": {"F1": -2, "F2": -2}}}).end()
    assert weighed.answer == "A"
    prior = [{**h.model_dump(), "prior": 0.98 if h.id == "D" else 0.01} for h in refuted_hypotheses()]
    likelier = Walk(pauses=["check_evidence"]).begin().edit({"hypotheses": prior}).end()
    assert (
        likelier.steps[-1].credence["D"]
        > solve(build_graph(ScriptedChatModel(script=SCRIPT)), CASE).steps[-1].credence["D"]
    )


def refuted_hypotheses():
    return Walk(pauses=["check_evidence"]).begin().state.values["hypotheses"]


def test_a_new_hypothesis_is_checked_and_a_refuted_one_is_not():
    hypotheses = [*map(to_jsonable_python, refuted_hypotheses()), {"label": "Lung abscess", "prior": 0.2}]
    script = {**SCRIPT, "check_evidence:H1": weighing(F1=2, F2=2)}
    walk = Walk(script, pauses=["check_evidence"]).begin()
    walk.edit({"hypotheses": hypotheses, "refuted": [{"hypothesis": "D", "because": "the heart is well"}]})
    trace = lived_through(walk.end())
    assert [step.branch for step in trace.steps if step.branch] == ["B", "A", "C", "H1"]
    [edit] = edits_in(trace)
    assert edit.move.targets == ("B", "A", "C", "H1")
    assert "new hypothesis H1: Lung abscess, prior 20%" in edit.output.changes
    assert all(step.prompt.startswith("An expert") for step in trace.steps if step.branch)


def test_a_finding_that_is_struck_out_takes_its_evidence_with_it():
    walk = Walk({**BACK, "review_history": reading("fever", "productive cough")}, pauses=["reflect"]).begin()
    kept = walk.state.values["findings"][1:]
    before = standpoint_of(walk.state.values).credence
    walk.edit({"findings": kept})
    now = standpoint_of(walk.state.values)
    assert all("F1" not in weights for weights in now.evidence.values())
    assert now.credence != before
    trace = lived_through(walk.end())
    assert standpoint(trace.steps).findings.keys() == {"F2"}


def test_a_number_is_not_given_to_a_second_finding():
    script = {**SCRIPT, "reflect": [reflection("reread_history"), reflection()]}
    script["review_history"] = [reading("fever", "productive cough"), reading("crackles")]
    script["check_evidence:B"] = weighing(F2=2)
    walk = Walk(script, pauses=["reflect"]).begin()
    walk.edit({"findings": walk.state.values["findings"][1:]})
    trace = walk.end()
    assert list(standpoint(trace.steps).findings) == ["F2", "F3"]


@pytest.mark.parametrize("seed", range(100))
def test_a_pause_without_an_edit_changes_nothing(seed):
    dice = Random(seed)
    case, budget = (
        dice.choice([CASE, FREE]),
        Budget(max_backtracks=2, max_tokens=dice.choice([6_000, 200_000])),
    )
    script = dict.fromkeys(STOPS, Whimsy(seed))
    window = dice.choice([None, None, 3_000])
    walk = Walk(script, pauses=[dice.choice(STOPS)], budget=budget, context_window=window).begin(case)
    for empty in ({}, None, dict(walk.state.values)):  # tools send back the whole state
        if walk.state.next:
            walk.edit(empty)
    whole = solve(
        build_graph(ScriptedChatModel(script=script), budget=budget, context_window=window, patience=AT_ONCE),
        case,
    )
    assert timeless(walk.end()) == timeless(whole)


@pytest.mark.parametrize("seed", range(20))
def test_a_fork_changes_only_what_follows(seed):
    dice = Random(seed)
    script = {**dict.fromkeys(STOPS, Whimsy(seed, garbage=0, breaks=0)), "conclude": answer("A")}
    walk = Walk(script, budget=Budget(max_backtracks=2)).begin()
    whole = trace_of(walk.state.values)
    past = dice.choice(
        [past for past in walk.graph.get_state_history(walk.config) if {*past.next} & {*STOPS}]
    )
    fork = walk.graph.update_state(past.config, {"critique": f"{seed}"})
    assert walk.graph.get_state(fork).next == past.next
    forked = lived_through(trace_of(walk.graph.invoke(None, fork)))
    kept = len(past.values.get("steps", []))
    assert forked.steps[:kept] == whole.steps[:kept]
    assert forked.steps[kept].move.trigger == "expert"
    assert forked.id != whole.id
    again = walk.graph.update_state(past.config, {"critique": f"{seed}"})
    assert trace_of(walk.graph.invoke(None, again)).id == forked.id, "the same edit has the same id"
    assert timeless(trace_of(walk.graph.invoke(None, past.config))) == timeless(whole), "time travel"


@pytest.mark.parametrize("goto", STOPS)
def test_a_command_leads_to_another_stop(goto):
    walk = Walk(BACK, pauses=["conclude"], budget=Budget(max_backtracks=3)).begin()
    visited = [step.node for step in walk.state.values["steps"]]
    walk.graph.invoke(Command(update={"critique": "once more"}, goto=goto), walk.config)
    trace = lived_through(walk.end())
    [edit] = edits_in(trace)
    assert (edit.move.to, edit.move.trigger, edit.move.backtrack) == (goto, "expert", goto != "conclude")
    assert [step.node for step in trace.steps][: len(visited) + 2] == [*visited, "expert_edit", goto]


async def test_a_command_on_an_event_loop_streams():
    walk = Walk(pauses=["conclude"])
    await walk.graph.ainvoke({"case": CASE}, walk.config)
    command = Command(goto="reflect", update=EDITS["conclude"])
    nodes = [
        node
        async for chunk in walk.graph.astream(command, walk.config, stream_mode="updates")
        for node in chunk
    ]
    assert nodes == ["reflect", "__interrupt__"]
    resumed = Command(resume="go on")
    assert trace_of(await walk.graph.ainvoke(resumed, walk.config)).answer == "A"


REFUSED = {
    "a key with a slip": ({"finding": []}, "did you mean 'findings'"),
    "another slip": ({"hypothesis": []}, "did you mean 'hypotheses'"),
    "a key of nothing": ({"diagnosis_probability": 1}, "a journey has no 'diagnosis_probability'"),
    "the record": ({"steps": []}, "'steps' cannot be edited"),
    "the answer": ({"conclusion": {"answer": "A"}}, "'conclusion' cannot be edited"),
    "the case": ({"case": {"vignette": "another"}}, "begin another journey"),
    "no mapping": (["findings"], "maps keys"),
    "a kind that is none": (
        {"findings": [{**FINDING, "kind": "rumour"}]},
        "the edit of findings cannot be used",
    ),
    "an id of its own": ({"findings": [{**FINDING, "id": "X1"}]}, "F1, F2"),
    "an id twice": ({"findings": [{**FINDING, "id": "F1"}, {**FINDING, "id": "F1"}]}, "F1 twice"),
    "a percentage": ({"hypotheses": [{"label": "Abscess", "prior": 30}]}, "less than 1"),
    "an option left out": ({"hypotheses": [{"label": "Abscess"}]}, "`refuted` instead"),
    "an unknown hypothesis": ({"evidence": {"Z": {"F1": 1}}}, "which the journey does not have; it has A, B"),
    "an unknown finding": ({"evidence": {"A": {"F9": 1}}}, "finding 'F9'"),
    "a strength too strong": ({"evidence": {"A": {"F1": 3}}}, "the edit of evidence"),
    "a refuted stranger": ({"refuted": [{"hypothesis": "Z", "because": "no"}]}, "`refuted` names"),
    "a refutation as text": ({"refuted": ["A"]}, "the edit of refuted"),
    "another kind of question": ({"asks": "gossip"}, "the edit of asks"),
}


@pytest.mark.parametrize(("values", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_edited_is_refused_in_one_sentence(values, said):
    walk = Walk(pauses=["reflect"]).begin()
    with pytest.raises(EditError, match=re.escape(said)) as caught:
        walk.edit(values)
    assert "\n" not in str(caught.value)
    assert not edits_in(walk.end())


def test_where_nothing_is_paused_nothing_is_edited():
    walk = Walk()
    with pytest.raises(EditError, match="has not begun"):
        walk.edit({"critique": "early"})
    with pytest.raises(EditError, match="it has ended"):
        walk.begin().edit({"critique": "late"})
    with pytest.raises(EditError, match="no stop 'reflection'"):
        Walk(pauses=["reflect"]).begin().graph.invoke(Command(goto="reflection"), walk.config)
    with pytest.raises(EditError, match="as_node='nobody'"):
        Walk(pauses=["reflect"]).begin().edit({"critique": "x"}, as_node="nobody")
    with pytest.raises(BadInput, match="no stop 'reflection'"):
        build_graph(walk.model, interrupt_before=["reflection"])


def test_before_the_first_stop_the_case_may_change():
    walk = Walk(pauses=["review_history"]).begin()
    other = CASE.model_copy(update={"vignette": f"{CASE.vignette} Her sputum is rusty."})
    trace = walk.edit({"case": other}).end()
    assert trace.case == other
    assert not edits_in(trace)
    assert trace.id == solve(build_graph(ScriptedChatModel(script=SCRIPT)), other).id


async def test_a_traversal_that_pauses_is_interrupted_and_no_error():
    walk = Walk(pauses=["conclude"])
    traversal = Traversal(walk.graph, CASE, thread="one")
    nodes = [step.node async for step in traversal]
    trace = traversal.trace()
    assert nodes[-1] == "reflect"
    assert (trace.outcome, trace.ended, trace.failure) == ("interrupted", "interrupted", None)
    whole = await asolve(walk.graph, CASE, thread="one")
    assert (whole.outcome, whole.steps[: len(nodes)]) == ("answered", trace.steps)


def test_a_tool_may_send_the_whole_state_back():
    walk = Walk(pauses=["reflect"]).begin()
    whole = {**to_jsonable_python(walk.state.values), "critique": "look at the calf"}
    [edit] = edits_in(walk.edit(whole).end())
    assert edit.output.changes == ("critique: look at the calf",)
    assert edit.move.reason == "an expert changed critique"


def test_edits_add_up():
    walk = Walk(pauses="*").begin()
    walk.edit({"critique": "one"}).edit({"critique": "two"})
    walk.graph.invoke(None, walk.config)
    walk.edit({"asks": "treatment"})
    trace = lived_through(walk.end())
    assert [step.output.changes for step in edits_in(trace)] == [
        ("critique: one",),
        ("critique: two",),
        ("the question asks for: treatment",),
    ]
    first = next(step for step in trace.steps if step.node == "review_history")
    assert "critique: one" in first.prompt
    assert "critique: two" in first.prompt


@pytest.mark.parametrize("stop", STOPS)
def test_within_a_budget_and_a_window_the_edit_is_paid_for(stop):
    limits = {"budget": Budget(max_tokens=9_000, max_backtracks=1), "context_window": 2_600}
    wordy = {"critique": "the history is too short. " * 40}
    trace = lived_through(Walk(BACK, pauses=[stop], **limits).begin().edit(wordy).end())
    assert trace.usage.total_tokens <= 9_000
    assert trace.ended in {"concluded", "budget_tokens", "budget_backtracks"}
    for step in trace.steps:
        if step.text:
            spoken = sum(len(str(m.text)) // 4 for m in trace.messages(step.index)) + len(step.prompt) // 4
            assert spoken < 2_600


def test_a_journey_within_another_graph_is_edited_through_it():
    class Parent(Journey):
        note: str

    inner = build_graph(
        ScriptedChatModel(script=SCRIPT), interrupt_before=["conclude"], checkpointer=None, patience=AT_ONCE
    )
    parent = StateGraph(Parent, input_schema=JourneyInput)
    parent.add_node("reason", inner)
    parent.add_node("note", lambda state: {"note": state["conclusion"].answer})
    parent.add_edge(START, "reason")
    parent.add_edge("reason", "note")
    parent.add_edge("note", END)
    outer = parent.compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "one"}}
    outer.invoke({"case": CASE}, config)
    [task] = outer.get_state(config, subgraphs=True).tasks
    outer.update_state(task.state.config, EDITS["conclude"])
    assert outer.invoke(None, config)["note"] == "A"


STRICT = """
import sys
from typing import Any, TypedDict
sys.path[:0] = {tests!r}, {tests!r} + "/graph"
from test_edits import *

class Small(TypedDict):
    case: Any
    conclusion: Any

walk = Walk(BACK, pauses=["reflect"]).begin().edit(EDITS["reflect"])
whole = walk.end()
inner = build_graph(
    ScriptedChatModel(script=BACK), interrupt_before=["reflect"], interrupt_after=["conclude"], patience=AT_ONCE
)
parent = StateGraph(Small)
parent.add_node("reason", inner)
parent.add_edge(START, "reason")
outer = parent.compile(checkpointer=InMemorySaver())
config = {{"configurable": {{"thread_id": "one"}}}}
outer.invoke({{"case": CASE}}, config)
[task] = outer.get_state(config, subgraphs=True).tasks
raw = type(task.state.values["setting"]).__name__
outer.update_state(task.state.config, EDITS["reflect"])
for _ in range(9):
    [task] = outer.get_state(config, subgraphs=True).tasks
    if task.state.values.get("conclusion"):
        break
    outer.invoke(None, config)
again = trace_of(task.state.values)
assert timeless(again) == timeless(whole)
print(raw)
"""


def test_strict_serialisation_reads_every_journey():
    """The parent's own checkpointer knows none of our types: it gives back plain mappings."""
    tests = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", STRICT.format(tests=tests)],
        env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "dict\n", done.stderr


def test_a_state_that_came_as_json_is_read():
    walk = Walk(BACK).begin()
    plain = json.loads(json.dumps(to_jsonable_python(walk.state.values)))
    assert trace_of(plain) == trace_of(walk.state.values)
    graph = build_graph(walk.model, checkpointer=InMemorySaver())
    other = {"configurable": {"thread_id": "copy"}}
    with pytest.raises(EditError):
        graph.update_state(other, {**plain, "findings": []})


def test_many_threads_are_edited_at_once():
    walk = Walk(pauses=["reflect"])

    async def one(number):
        config = {"configurable": {"thread_id": str(number)}}
        await walk.graph.ainvoke({"case": CASE}, config)
        await walk.graph.aupdate_state(config, {"critique": f"{number}"})
        return trace_of(await walk.graph.ainvoke(None, config))

    async def all_of_them():
        return await asyncio.gather(*map(one, range(20)))

    traces = asyncio.run(all_of_them())
    assert [edits_in(trace)[0].output.critique for trace in traces] == [str(n) for n in range(20)]
    assert len({trace.id for trace in traces}) == 20


def test_a_free_form_case_takes_hypotheses_from_an_expert():
    script = {
        **SCRIPT,
        "generate_differential": differential(named("Pneumonia", 60), named("Influenza", 30)),
        "check_evidence": weighing(F1=1),
        "conclude": answer("Legionellosis"),
    }
    walk = Walk(script, pauses=["generate_differential"]).begin(FREE)
    walk.edit({"hypotheses": [{"label": "Legionellosis", "prior": 0.5, "rationale": "she was at a spa"}]})
    trace = lived_through(walk.end())
    assert [h.label for h in standpoint(trace.steps).hypotheses.values()] == [
        "Legionellosis",
        "Pneumonia",
        "Influenza",
    ]
    visit = next(step for step in trace.steps if step.node == "generate_differential")
    assert "Stop: differential." in visit.prompt
