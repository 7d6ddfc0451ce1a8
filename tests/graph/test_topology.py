"""The ways between the stops, as a picture that a review can see change."""

from pathlib import Path

from ddxgraph import Budget, Limits, build_graph
from ddxgraph.graph.plan import plan
from ddxgraph.nodes.call.consultation import BRIEF_KEY
from ddxgraph.studio import make_graph
from ddxgraph.testing import ScriptedChatModel

SNAPSHOT = Path(__file__).parent / "topology.mmd"


def test_the_graph_is_the_one_that_was_reviewed():
    """Where a change of an edge is meant, write the new drawing to `topology.mmd`."""
    drawn = build_graph(ScriptedChatModel()).get_graph().draw_mermaid()
    assert drawn == SNAPSHOT.read_text()


def test_the_ways_do_not_depend_on_settings():
    drawn = build_graph(ScriptedChatModel(), budget=Budget(max_backtracks=0)).get_graph().draw_mermaid()
    assert drawn == SNAPSHOT.read_text()


def test_studio_can_ask_what_the_graph_takes_and_gives():
    graph = build_graph(ScriptedChatModel())
    assert set(graph.get_input_jsonschema()["properties"]) == {"case", "sample"}
    assert "conclusion" in graph.get_output_jsonschema()["properties"]


def test_a_model_that_says_it_is_small_gets_brief_limits_unless_told_otherwise():
    small = ScriptedChatModel(metadata={BRIEF_KEY: True})
    assert plan(small).strategy.limits == Limits.brief()
    assert plan(small, limits=Limits()).strategy.limits == Limits()
    assert plan(ScriptedChatModel()).strategy.limits == Limits()


def test_studio_starts_one_engine_however_often_it_asks(monkeypatch):
    made = []
    monkeypatch.setattr("ddxgraph.studio.connect", lambda: made.append(1) or ScriptedChatModel())
    make_graph.cache_clear()
    try:
        assert make_graph() is make_graph()
        assert len(made) == 1
    finally:
        make_graph.cache_clear()
