"""Charts: coordinates for pages, pictures, Mermaid text and NetworkX graphs.

- path, credence: the path and the credence of a trace as coordinates
- picture, topology: a trace and the graph, drawn into a file; canvas: what they draw on, with Matplotlib
- mermaid: a trace as Mermaid text; networkx: a trace as a graph
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.view.charts.credence import credence_chart as credence_chart
    from ddxgraph.view.charts.mermaid import journey_mermaid as journey_mermaid
    from ddxgraph.view.charts.networkx import journey_graph as journey_graph
    from ddxgraph.view.charts.path import path_chart as path_chart
    from ddxgraph.view.charts.picture import draw_journey as draw_journey
    from ddxgraph.view.charts.topology import draw_topology as draw_topology
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "credence_chart": "ddxgraph.view.charts.credence",
            "draw_journey": "ddxgraph.view.charts.picture",
            "draw_topology": "ddxgraph.view.charts.topology",
            "journey_graph": "ddxgraph.view.charts.networkx",
            "journey_mermaid": "ddxgraph.view.charts.mermaid",
            "path_chart": "ddxgraph.view.charts.path",
        },
        extras=dict.fromkeys(("draw_journey", "draw_topology", "journey_graph"), "view"),
    )
