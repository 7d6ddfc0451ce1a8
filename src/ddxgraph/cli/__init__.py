"""The command line: progress on stderr, results on stdout, no traceback."""

from typing import Annotated

import typer

from ddxgraph.cli import (
    adapters,
    data,
    doctor,
    experiment,
    graph,
    improve,
    inspect,
    journeys,
    judge,
    review,
    run,
    schema,
    serve,
    solve,
    train,
    view,
    weights,
)
from ddxgraph.cli import eval as eval_
from ddxgraph.cli.branching import branching
from ddxgraph.graph.trace import code_version
from ddxgraph.view.notice import NOTICE

app = typer.Typer(
    name="ddxgraph",
    help=f"Take clinical cases through a reasoning graph and keep the journey.\n\n{NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.command("solve")(solve.solve)
app.command("run")(run.run)
app.command("view")(view.view)
app.command("eval")(eval_.evaluate)
app.command("judge")(judge.judge)
app.command("review")(review.review)
app.command("journeys", cls=branching(journeys.branches))(journeys.journeys)
app.command("train", cls=branching(train.branches))(train.train)
app.command("improve", cls=branching(improve.branches))(improve.improve)
app.command("experiment", cls=branching(experiment.branches))(experiment.experiment)
app.add_typer(data.data)
app.add_typer(inspect.inspect)
app.command("serve", context_settings={"allow_extra_args": True})(serve.serve)
app.add_typer(adapters.adapters)
app.command("doctor")(doctor.doctor)
app.command("graph")(graph.graph)
app.command("schema")(schema.schema)
app.add_typer(weights.models)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ddxgraph {code_version()}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `ddxgraph` command."""
    app()
