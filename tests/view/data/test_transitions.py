"""The ways of many journeys: counted by hand, and summing to one."""

import pytest
from journeys import AT_ONCE, CASE, STRAIGHT, Whimsy, reflection

from ddxgraph import build_graph, solve, transitions
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.data.transitions import Way, flow_of

TURNING = {
    **STRAIGHT,
    "reflect": [reflection("recheck_evidence", targets=["A", "B"]), reflection()],
}


def walked(script):
    return solve(build_graph(ScriptedChatModel(script=script), patience=AT_ONCE), CASE)


def test_two_journeys_counted_by_hand():
    graph = transitions([walked(STRAIGHT), walked(TURNING)])
    moves = {(a, b): told["count"] for a, b, told in graph.edges(data=True)}
    assert moves == {
        ("start", "review_history"): 2,
        ("review_history", "generate_differential"): 2,
        ("generate_differential", "check_evidence"): 2,
        ("check_evidence", "reflect"): 4 + 4 + 2,
        ("reflect", "check_evidence"): 1,
        ("reflect", "conclude"): 2,
        ("conclude", "end"): 2,
    }
    back = graph.edges["reflect", "check_evidence"]
    assert back["probability"] == pytest.approx(1 / 3)
    assert (back["back"], back["journeys"], back["triggers"]) == (1, 1, {"self": 1})
    assert graph.nodes["check_evidence"]["visits"] == 10
    assert graph.nodes["conclude"]["ended"] == {"concluded, answered": 2}
    assert graph.graph["journeys"] == 2


def test_where_it_is_known_edges_tell_how_journeys_came_out():
    traces = [walked(STRAIGHT), walked(TURNING), walked(TURNING)]
    right = {traces[0].id: True}
    graph = transitions(traces, lambda trace: right.get(trace.id, None if trace is traces[2] else False))
    told = graph.edges["reflect", "conclude"]
    assert (told["journeys"], told["correct"], told["incorrect"]) == (3, 3, 0), (
        "ids are those of case and plan"
    )
    apart = iter([True, False, None])
    told = transitions(traces, lambda _: next(apart)).edges["reflect", "check_evidence"]
    assert (told["journeys"], told["correct"], told["incorrect"]) == (2, 0, 1)


def test_probabilities_out_of_a_stop_sum_to_one_whatever_was_walked():
    stops = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
    flow = flow_of(walked(dict.fromkeys(stops, Whimsy(seed))) for seed in range(25))
    for start in {way.start for way in flow.ways}:
        out = [flow.probability(way) for way in flow.ways if way.start == start]
        assert sum(out) == pytest.approx(1)
    assert flow.ways[Way("start", "review_history")].count == 25
    assert sum(sum(stop.ended.values()) for stop in flow.stops.values()) == 25
    assert flow.stops["reflect"].visits == sum(
        w.count for way, w in flow.ways.items() if way.start == "reflect"
    )
    assert flow.stops["review_history"].failures + flow.stops["reflect"].failures > 0


def test_no_journey_makes_an_empty_graph():
    graph = transitions([])
    assert (len(graph), graph.graph) == (0, {"journeys": 0})


def broken_off(trace, upto):
    ended = {"answer": None, "outcome": "error", "ended": "interrupted"}
    return trace.model_copy(update={"steps": trace.steps[:upto], **ended})


@pytest.mark.parametrize(
    ("upto", "expected"),
    [
        (0, {("start", "end"): 1}),
        (
            4,  # two of four checks are there; nothing joined them
            {
                ("start", "review_history"): 1,
                ("review_history", "generate_differential"): 1,
                ("generate_differential", "check_evidence"): 1,
                ("check_evidence", "end"): 1,
            },
        ),
        (
            7,  # it wanted to go back, and did not come to it
            {
                ("start", "review_history"): 1,
                ("review_history", "generate_differential"): 1,
                ("generate_differential", "check_evidence"): 1,
                ("check_evidence", "reflect"): 4,
                ("reflect", "end"): 1,
            },
        ),
    ],
)
def test_a_journey_that_broke_off_made_no_move_that_it_did_not_follow(upto, expected):
    graph = transitions([broken_off(walked(TURNING), upto)])
    assert {(a, b): told["count"] for a, b, told in graph.edges(data=True)} == expected
    last = [told for _, end, told in graph.edges(data=True) if end == "end"]
    assert [(told["back"], told["triggers"]) for told in last] == [(0, {})]
    assert graph.nodes["end"]["visits"] == 1


def test_what_comes_to_a_stop_is_what_visits_it_however_journeys_end():
    traces = [broken_off(walked(TURNING), upto) for upto in range(12)] + [walked(STRAIGHT)] * 2
    graph = transitions(traces)
    for stop in ("review_history", "generate_differential", "conclude", "end"):
        assert (
            sum(told["count"] for *_, told in graph.in_edges(stop, data=True)) == graph.nodes[stop]["visits"]
        )
    assert graph.nodes["start"]["visits"] == graph.nodes["end"]["visits"] == len(traces)
    for stop in set(graph) - {"end", "check_evidence"}:
        out = [told for *_, told in graph.out_edges(stop, data=True)]
        assert sum(told["count"] for told in out) == graph.nodes[stop]["visits"]
        assert sum(told["probability"] for told in out) == pytest.approx(1)
