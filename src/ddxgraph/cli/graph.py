"""`ddxgraph graph`: which stops the graph has, and where they lead."""

from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.extras import need
from ddxgraph.cli.speech import Exit, fail, spoken
from ddxgraph.graph.topology import build_graph
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.data.topology import Lead, in_lines


@spoken
def graph(
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid flowchart.")] = False,
    png: Annotated[Path | None, typer.Option(help="Draw it into this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw it into this file.")] = None,
) -> None:
    """Show the reasoning graph itself: its stops, and where each may lead. Needs no model.

    Exit code: 0 done, 2 bad input.
    """
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


def _draw(leads: list[Lead], path: Path) -> None:
    need("drawing", ("matplotlib",), "view")
    from ddxgraph.view.charts.topology import draw_topology  # noqa: PLC0415 - needs the extra

    try:
        typer.echo(str(draw_topology(leads, path)))
    except ValueError as error:
        fail(str(error), Exit.BAD_INPUT)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror or error}", Exit.BAD_INPUT)
