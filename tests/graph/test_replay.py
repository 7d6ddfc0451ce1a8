"""What stands after a step, worked out from a trace, is what stood in the state of the walk."""

import pytest
from journeys import CASE, Whimsy

from ddxgraph import build_graph, trace_of
from ddxgraph.graph.replay import START, after, replay, standpoint
from ddxgraph.graph.state import standpoint_of
from ddxgraph.nodes.registry import STOPS
from ddxgraph.testing import ScriptedChatModel


@pytest.mark.parametrize("seed", range(8))
def test_the_end_of_a_replay_is_the_state_at_the_end_of_the_walk(seed):
    model = ScriptedChatModel(script=dict.fromkeys(STOPS.names, Whimsy(seed, breaks=0)))
    state = build_graph(model).invoke({"case": CASE})
    steps = trace_of(state).steps
    assert standpoint(steps) == standpoint_of(state)
    assert [*replay(steps)][-1] == standpoint(steps)


@pytest.mark.parametrize("seed", range(8))
def test_on_the_trunk_the_credence_is_the_one_that_the_step_recorded(seed):
    model = ScriptedChatModel(script=dict.fromkeys(STOPS.names, Whimsy(seed, breaks=0)))
    steps = trace_of(build_graph(model).invoke({"case": CASE})).steps
    stood = [now.credence for step, now in zip(steps, replay(steps), strict=True) if step.branch is None]
    assert stood == [step.credence for step in steps if step.branch is None]


def test_before_the_first_step_nothing_stands():
    assert standpoint([]) == START
    assert (START.ranking, START.credence, START.asks) == ([], {}, None)


def test_a_standpoint_is_not_changed_by_what_comes_after():
    model = ScriptedChatModel(script=dict.fromkeys(STOPS.names, Whimsy(3, breaks=0)))
    steps = trace_of(build_graph(model).invoke({"case": CASE})).steps
    all_at_once = [*replay(steps)]
    now = START
    for step, then in zip(steps, all_at_once, strict=True):
        now = after(now, step)
        assert now == then
