"""Entry point for LangGraph Studio and the LangGraph server (`langgraph dev`); see `langgraph.json`."""

from functools import cache

from ddxgraph.graph.journeygraph import JourneyGraph
from ddxgraph.graph.topology import build_graph
from ddxgraph.serving.connect import connect


@cache
def make_graph() -> JourneyGraph:
    """The graph on whatever model `connect()` finds. Input: `{"case": {"vignette": ..., "options": ...}}`.

    Studio asks for it again and again. It is made once a process, since an embedded engine takes up to 1 GB.
    """
    return build_graph(connect())
