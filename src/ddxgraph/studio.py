"""Entry point for LangGraph Studio and the LangGraph server (`langgraph dev`); see `langgraph.json`."""

from ddxgraph.graph.topology import JourneyGraph, build_graph
from ddxgraph.serving.connect import connect


def make_graph() -> JourneyGraph:
    """The graph on whatever model `connect()` finds. Input: `{"case": {"vignette": ..., "options": ...}}`."""
    return build_graph(connect())
