"""Display methods of `Trace`; renderers are imported lazily from `view`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ddxgraph.common.errors import MissingExtra
from ddxgraph.common.extras import install

if TYPE_CHECKING:
    import networkx as nx


class Looks:
    """Display methods of `Trace`.

    `view` imports the graph, so an import of `view` here would be a circle. A renderer is therefore looked up by
    name when it is called.
    """

    def to_networkx(self) -> "nx.MultiDiGraph[str]":
        """The journey as a graph of steps, hypotheses and findings.

        `ddxgraph.view.charts.networkx` and docs/graphs.md document the attributes of nodes and edges.

        Raises:
            MissingExtra: NetworkX is not installed.
        """
        return cast("nx.MultiDiGraph[str]", _view("charts.networkx", "journey_graph", "to_networkx")(self))

    def to_mermaid(self) -> str:
        """The journey as a Mermaid flowchart."""
        return cast(str, _view("charts.mermaid", "journey_mermaid", "to_mermaid")(self))

    def draw(self, path: Path | str) -> Path:
        """Draw the journey to a file.

        Args:
            path: the file, which ends in `.png` or `.svg`.

        Returns:
            The file.

        Raises:
            PageError: it ends in something else.
            MissingExtra: Matplotlib is not installed.
            OSError: it cannot be written.
        """
        return cast(Path, _view("charts.picture", "draw_journey", "draw")(self, Path(path)))

    def _repr_html_(self) -> str:
        """The page of the journey in a frame, for notebooks."""
        return cast(str, _view("page.journey", "notebook_html", "_repr_html_")(self))


def _view(module: str, name: str, wanted: str) -> Callable[..., Any]:
    """A function of `view`."""
    try:
        return cast(Callable[..., Any], getattr(import_module(f"ddxgraph.view.{module}"), name))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]  # `matplotlib`, not a module of it
        raise MissingExtra(
            f"Trace.{wanted} needs {missing}, which this Python lacks: {install('view')}"
        ) from error
