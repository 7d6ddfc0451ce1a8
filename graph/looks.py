"""Ways in which a trace shows itself. How they look is drawn by the room above, loaded when it is asked for."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ddxgraph.common.errors import MissingExtra

if TYPE_CHECKING:
    import networkx as nx


class Looks:
    """What `Trace` can be turned into, to be looked at.

    The views stand above the graph and import it; were they imported here, rooms would depend on one another in a
    circle. So a view is named, and loaded by whoever calls.
    """

    def to_networkx(self) -> "nx.MultiDiGraph[str]":
        """The journey as a graph: steps, hypotheses and findings, and what they have to do with one another.

        `ddxgraph.view.charts.networkx` and docs/graphs.md say what its nodes and edges hold.

        Raises:
            MissingExtra: NetworkX is not installed.
        """
        return cast("nx.MultiDiGraph[str]", _view("charts.networkx", "journey_graph", "to_networkx")(self))

    def to_mermaid(self) -> str:
        """The journey as a Mermaid flowchart."""
        return cast(str, _view("charts.mermaid", "journey_mermaid", "to_mermaid")(self))

    def draw(self, path: Path | str) -> Path:
        """Draw the journey into a file.

        Args:
            path: ends in `.png` or `.svg`.

        Returns:
            The file.

        Raises:
            PageError: it ends in something else.
            MissingExtra: Matplotlib is not installed.
            OSError: it cannot be written.
        """
        return cast(Path, _view("charts.picture", "draw_journey", "draw")(self, Path(path)))

    def _repr_html_(self) -> str:
        """The journey's page in a frame, as a notebook shows it."""
        return cast(str, _view("page.journey", "notebook_html", "_repr_html_")(self))


def _view(module: str, name: str, wanted: str) -> Callable[..., Any]:
    """A function of the room above."""
    try:
        return cast(Callable[..., Any], getattr(import_module(f"ddxgraph.view.{module}"), name))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]  # `matplotlib`, not a module of it
        raise MissingExtra(
            f"Trace.{wanted} needs {missing}, which this Python lacks: pip install 'ddxgraph[view]'"
        ) from error
