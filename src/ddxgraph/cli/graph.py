"""`ddxgraph graph`: the stops of the graph, and where each may lead."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ddxgraph.cli.terminal import need, spoken
from ddxgraph.common.errors import BadInput

if TYPE_CHECKING:
    from ddxgraph.view.data.topology import Lead


@spoken
def graph(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid flowchart.")] = False,
    png: Annotated[Path | None, typer.Option(help="Draw it to this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw it to this file.")] = None,
) -> None:
    """Show the reasoning graph itself: its stops, and where each may lead. Needs no model.

    By default it is printed as text.

    Exit code: 0 done, 2 bad input.
    """
    from ddxgraph.graph.topology import build_graph
    from ddxgraph.testing import ScriptedChatModel
    from ddxgraph.view.data.topology import Lead, in_lines

    drawable = build_graph(ScriptedChatModel()).get_graph()
    leads = [
        Lead(edge.source, edge.target.strip("_"))
        for edge in drawable.edges
        if not edge.source.startswith("__")
    ]
    for path in filter(None, (png, svg)):
        _draw(leads, path)
    if mermaid:
        typer.echo(drawable.draw_mermaid(), nl=False)
    elif not (png or svg):
        for line in in_lines(leads):
            typer.echo(line)


def _draw(leads: "list[Lead]", path: Path) -> None:
    need("drawing", ("matplotlib",), "view")
    from ddxgraph.view.charts.topology import draw_topology

    try:
        typer.echo(str(draw_topology(leads, path)))
    except ValueError as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
