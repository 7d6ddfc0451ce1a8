"""The command line: progress on stderr, results on stdout, no traceback.

A command's module is imported when the command is named, and imports in turn only what `--help` needs; what does
the work is imported when the command runs. So help is fast.
"""

import os
from typing import Annotated, Any, Final, NamedTuple

import typer

from ddxgraph.cli.commands import Direct, Late, group
from ddxgraph.common.offline import HUB_OFFLINE_VARIABLE, is_offline
from ddxgraph.common.words import NOTICE


class Entry(NamedTuple):
    """A command of the top level."""

    place: str
    """Its function or Typer application below `ddxgraph.cli`, as `module:attribute`."""
    summary: str
    """The first paragraph of its own help."""


COMMANDS: Final = {
    "Cases": {
        "solve": Entry("solve:solve", "Take one case through the graph."),
        "run": Entry("run:run", "Take many cases through a strategy, several at a time, into a run folder."),
        "runs": Entry("runs:app", "Run folders: check that they hold what was saved."),
        "view": Entry(
            "view:view",
            "Show a journey or a run in a browser: path, credence, evidence, where it turned back and why.",
        ),
        "graph": Entry(
            "graph:graph",
            "Show the reasoning graph itself: its stops, and where each may lead. Needs no model.",
        ),
        "schema": Entry("schema:schema", "Print the JSON schema of a trace: one line of a trace file."),
    },
    "Benchmarks and scores": {
        "data": Entry("data:app", "Benchmarks on this machine: fetch, import, check."),
        "eval": Entry(
            "eval:evaluate",
            "Score runs and compare them: accuracy with intervals, paired tests, cost, calibration, curves.",
        ),
        "judge": Entry(
            "judge:judge",
            "Have a model judge whether free-form answers are equivalent to the gold answers.",
        ),
        "inspect": Entry("inspect:app", "Logs of Inspect AI."),
    },
    "Journeys and training": {
        "review": Entry(
            "review.review:review",
            "Have an expert accept, reject or correct the traversals of a run, one by one.",
        ),
        "journeys": Entry(
            "journeys.make:app",
            "Make journey-learning data from successful traversals: gate, compile, write with a card.",
        ),
        "train": Entry("training.train:app", "Fine-tune a LoRA adapter on a set of journeys."),
        "improve": Entry(
            "training.improve:app",
            "Improve a model in rounds: generate, gate, compile, train, serve, verify, evaluate, compare.",
        ),
        "experiment": Entry(
            "training.experiment:app",
            "Train students on a teacher's journeys, told in several styles, and test them on generated cases.",
        ),
    },
    "Models": {
        "serve": Entry(
            "serving.serve:app",
            "Start an engine with the flags that the graph relies on, and stop it on Ctrl-C.",
        ),
        "adapters": Entry(
            "serving.adapters:app",
            "LoRA adapters on a running engine, and the proof that they are in force.",
        ),
        "doctor": Entry(
            "serving.doctor:doctor",
            "Check whether the graph can run on the model in use, and describe this machine.",
        ),
        "models": Entry("serving.models:app", "Weights of the embedded model."),
    },
}
"""Heading of the help to its commands, name to entry. The help of the top level needs nothing else."""


class _Commands(Direct):
    """The group of all commands, each imported when it is named."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for panel, entries in COMMANDS.items():
            for name, (place, summary) in entries.items():
                self.add_command(Late(name, f"{__name__}.{place}", summary, panel))


app = group(
    f"Take clinical cases through a reasoning graph and keep the journey.\n\n{NOTICE}",
    name="ddxgraph",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from ddxgraph.graph.trace import code_version

        typer.echo(f"ddxgraph {code_version()}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point of the `ddxgraph` command."""
    if is_offline():
        os.environ[HUB_OFFLINE_VARIABLE] = "1"  # the hub's library reads it once, when it is imported
    app()
