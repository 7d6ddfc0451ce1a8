"""A journey as a NetworkX graph: what it tells, and that it goes through JSON unchanged."""

import json

import networkx as nx
import pytest
from journeys import AT_ONCE, CASE, FREE, STRAIGHT, Whimsy, answer, reflection, weighing

from ddxgraph import Case, Trace, build_graph, solve
from ddxgraph.testing import ScriptedChatModel

TURNING = {
    **STRAIGHT,
    "reflect": [reflection("recheck_evidence", refuted=["C"], targets=["A", "B"]), reflection()],
}


def walked(script=STRAIGHT, case: Case = CASE) -> Trace:
    return solve(build_graph(ScriptedChatModel(script=script), patience=AT_ONCE), case)


def of_kind(graph, kind):
    return {key: told for key, told in graph.nodes(data=True) if told["kind"] == kind}


def edges(graph, kind):
    return [(a, b, told) for a, b, told in graph.edges(data=True) if told["kind"] == kind]


def wandering(seed: int) -> Trace:
    """A walk on a model that answers anything."""
    whim = Whimsy(seed)
    stops = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
    return walked(dict.fromkeys(stops, whim), FREE if seed % 4 == 3 else CASE)


def test_steps_hypotheses_and_findings_are_there_with_what_is_known_of_them():
    graph = walked(TURNING).to_networkx()
    assert graph.nodes["finding:F1"] == {
        "kind": "finding",
        "quote": "fever",
        "finding": "symptom",
        "polarity": "present",
        "salience": 2,
    }
    assert graph.nodes["hypothesis:C"]["refuted"]
    assert not graph.nodes["hypothesis:B"]["refuted"]
    assert graph.nodes["hypothesis:B"]["label"] == "Pneumonia"
    assert graph.nodes["hypothesis:B"]["prior"] == 0.5
    assert sum(told["credence"] for told in of_kind(graph, "hypothesis").values()) == pytest.approx(1)
    first = graph.nodes["step:0"]
    assert (first["node"], first["title"], first["branch"]) == ("review_history", "History", None)
    assert graph.graph["answer"] == "B"


def test_edges_tell_who_found_named_tested_weighed_refuted_and_answered():
    graph = walked(TURNING).to_networkx()
    assert {(a, b) for a, b, _ in edges(graph, "finds")} == {
        ("step:0", "finding:F1"),
        ("step:0", "finding:F2"),
    }
    assert [b for _, b, _ in edges(graph, "names")] == [f"hypothesis:{key}" for key in "ABCD"]
    assert ("step:6", "hypothesis:C", {"kind": "refutes", "because": "C does not fit"}) in edges(
        graph, "refutes"
    )
    assert [(a, b) for a, b, _ in edges(graph, "answers")] == [("step:10", "hypothesis:B")]
    told = [t for a, b, t in edges(graph, "weighs") if (a, b) == ("finding:F2", "hypothesis:B")]
    assert [one["strength"] for one in told] == [2, 2], "each check's weight is kept"
    back = [(a, b) for a, b, told in edges(graph, "leads") if told["move"] == "back"]
    assert back == [("step:6", "step:7"), ("step:6", "step:8")]


def test_a_single_generation_and_words_for_an_answer_make_a_graph_too():
    free = walked({**STRAIGHT, "conclude": answer("Pneumonia")}, FREE).to_networkx()
    assert not edges(free, "answers")
    assert of_kind(free, "step")


def test_what_was_never_listed_is_no_error():
    trace = walked({**STRAIGHT, "check_evidence:B": weighing(F1=1)})
    odd = trace.model_dump(mode="json")
    odd["steps"][2]["output"]["weights"] = [{"finding": "F77", "strength": 1, "reason": ""}]
    odd["steps"][2]["output"]["hypothesis"] = "Z"
    odd["steps"][6]["output"]["refuted"] = [{"hypothesis": "Q", "because": "?"}]
    graph = Trace.model_validate(odd).to_networkx()
    assert graph.nodes["finding:F77"]["quote"] == "F77"
    assert graph.nodes["hypothesis:Z"]["label"] == "Z"
    assert "hypothesis:Q" not in graph


@pytest.mark.parametrize("seed", range(40))
def test_through_json_it_stays_the_same_and_its_counts_are_the_trace_s(seed):
    trace = wandering(seed)
    graph = trace.to_networkx()
    there = json.loads(json.dumps(nx.node_link_data(graph, edges="edges"), allow_nan=False))
    again = nx.node_link_graph(there, edges="edges")
    assert type(again) is type(graph)
    assert again.graph == graph.graph
    assert dict(again.nodes(data=True)) == dict(graph.nodes(data=True))
    assert list(again.edges(keys=True, data=True)) == list(graph.edges(keys=True, data=True))
    steps = of_kind(graph, "step").values()
    assert len(steps) == len(trace.steps)
    assert sum(step["branch"] is not None for step in steps) == sum(s.branch is not None for s in trace.steps)
    assert sum(step["backtrack"] for step in steps) == trace.backtracks == graph.graph["backtracks"]


def test_the_walks_of_that_property_turn_back_break_and_branch():
    traces = [wandering(seed) for seed in range(40)]
    assert sum(trace.backtracks > 0 for trace in traces) > 5
    assert any(trace.outcome == "error" for trace in traces)
    assert any(step.output is None for trace in traces for step in trace.steps)
