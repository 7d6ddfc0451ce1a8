"""`ddxgraph improve`: rounds of journeys, training and evaluation, from one configuration."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.commands import branching
from ddxgraph.cli.signals import stopped_as_ctrl_c
from ddxgraph.cli.terminal import STDOUT, Exit, fail, show_json, spoken
from ddxgraph.cli.training.progress import company
from ddxgraph.common.errors import MissingExtra
from ddxgraph.common.extras import install
from ddxgraph.common.words import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.loop.summary import LoopSummary

app = branching()
_NEEDED: Final = {
    "eval": ("numpy", "scipy"),
    "journeys": ("datasketch",),
    "train": ("torch", "transformers", "trl", "peft", "datasets"),
}
"""Extra to those of its packages that a loop needs."""


@app.callback()
@spoken
def improve(
    loop: Annotated[
        Path,
        typer.Argument(
            metavar="LOOP",
            help="The loop's settings (TOML), as `ddxgraph improve default-config` prints them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The loop's folder. By default LOOP without its ending."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Improve a model in rounds: generate, gate, compile, train, serve, verify, evaluate, compare.

    A round's adapter is kept unless a paired test on the validation cases shows it to be worse; then the loop
    stops. Repeat the command to resume in any stage. Ctrl-C loses no finished work.

    Exit code: 0 done, 1 stopped (by the rule, for lack of journeys, or because an adapter is not in force) or not
    done, 2 bad input, 130 interrupted.
    """
    need_the_extras()
    from ddxgraph.training.loop.improve import improve as improve_model
    from ddxgraph.training.loop.improve import place_of

    place = place_of(loop, out)
    with stopped_as_ctrl_c():
        try:
            summary = improve_model(loop, place, company=company(quiet=quiet))
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted; the same command goes on from there", Exit.INTERRUPTED)
    if as_json:
        show_json(summary.model_dump_json())
    else:
        _print(summary, place)
    if summary.state == "stopped":
        fail(summary.why, Exit.NOT_DONE)


@app.command("default-config")
@spoken
def default_config() -> None:
    """Print the default settings as a commented TOML file; every line of it may be left out."""
    from ddxgraph.training.loop.config import default_toml

    typer.echo(default_toml(), nl=False)


def _print(summary: "LoopSummary", place: Path) -> None:
    """Print the base model, the rounds, and where the details are."""
    from ddxgraph.common.words import figure, interval, number, p_value, percent, points

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("")
    for name in ("accuracy", "95% interval", "tokens", "journeys", "loss", "points", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kept", overflow="fold")
    if summary.base:
        base = summary.base
        table.add_row(
            "base", figure(base.accuracy), interval(base.accuracy), number(base.output_tokens), *[""] * 5
        )
    for each in summary.rounds:
        evaluated, decision, gathered = each.evaluated, each.decision, each.gathered
        compared = decision.comparison if decision else None
        table.add_row(
            f"round {each.number}",
            figure(evaluated.accuracy) if evaluated else "–",
            interval(evaluated.accuracy) if evaluated else "–",
            number(evaluated.output_tokens) if evaluated else "–",
            f"{gathered.accepted} of {gathered.traversals} ({percent(gathered.share, 0)})"
            if gathered
            else "–",
            f"{each.trained.train_loss:.3f}" if each.trained else "–",
            f"{points(compared.difference)} against {compared.a}" if compared else "–",
            p_value(compared.p_value) if compared else "–",
            ("yes" if decision.kept else "no") if decision else "–",
        )
    STDOUT.print(table, soft_wrap=False)
    STDOUT.print(Text(f"{summary.items}, by {summary.strategy}; more in {place / 'summary.html'}"))
    if summary.kept:
        STDOUT.print(Text(f"the adapter to use: {place / summary.kept}"))
    STDOUT.print(Text(NOTICE, style="dim"))


def need_the_extras() -> None:
    """Check that all packages that a loop needs are installed.

    Raises:
        MissingExtra: some are not; the message names the extras.
    """
    lacking = {extra: [name for name in names if find_spec(name) is None] for extra, names in _NEEDED.items()}
    if any(lacking.values()):
        missing = ", ".join(name for names in lacking.values() for name in names)
        extras = [extra for extra, names in lacking.items() if names]
        raise MissingExtra(f"the loop needs {missing}, which this Python lacks: {install(*extras)}")
