"""`ddxgraph experiment`: does training on journeys help? Shown on generated cases, from one configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.commands import branching
from ddxgraph.cli.signals import stopped_as_ctrl_c
from ddxgraph.cli.terminal import STDOUT, Exit, fail, show_json, spoken
from ddxgraph.cli.training.improve import need_the_extras
from ddxgraph.cli.training.progress import company
from ddxgraph.common.words import NOTICE

if TYPE_CHECKING:
    from ddxgraph.experiment.summary import ExperimentSummary

app = branching()


@app.callback()
@spoken
def experiment(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="EXPERIMENT",
            help="The experiment's settings (TOML), as `ddxgraph experiment default-config` prints them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The experiment's folder. By default EXPERIMENT without its ending."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train students on a teacher's journeys, told in several styles, and test them on generated cases.

    The cases come from the laboratory benchmark `ddxlab`. Repeat the command to resume in any stage. Ctrl-C loses
    no finished work.

    Exit code: 0 done, 1 not done, 2 bad input, 130 interrupted. A missed target is a result, not a failure.
    """
    need_the_extras()
    from ddxgraph.experiment.run import experiment as run_experiment

    with stopped_as_ctrl_c():
        try:
            summary = run_experiment(file, out, company=company(quiet=quiet))
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted; the same command goes on from there", Exit.INTERRUPTED)
    if as_json:
        show_json(summary.model_dump_json())
    else:
        _print(summary, (out or file.with_suffix("")) / "summary.md")


@app.command("default-config")
@spoken
def default_config(
    size: Annotated[
        Literal["full", "quick"],
        typer.Option(help="The size: `full` takes hours; `quick` takes minutes and tests the machinery."),
    ] = "full",
) -> None:
    """Print the settings of an experiment as a commented TOML file."""
    from ddxgraph.experiment.config import shipped

    typer.echo(shipped(size), nl=False)


def _print(summary: "ExperimentSummary", page: Path) -> None:
    from ddxgraph.common.words import interval, percent

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("seed", "arm", "accuracy", "95% interval", "by level", "tokens by level"):
        table.add_column(name, justify="left" if name == "arm" else "right", overflow="fold")
    for arm in summary.arms:
        table.add_row(
            "" if arm.seed is None else str(arm.seed),
            Text(arm.name),
            percent(arm.accuracy.value),
            interval(arm.accuracy),
            " ".join(f"{100 * level.accuracy.value:.0f}" for level in arm.levels),
            " ".join(f"{level.output_tokens:.0f}" for level in arm.levels),
        )
    STDOUT.print(table, soft_wrap=False)
    for target in summary.targets:
        result = f"seed {target.seed}: {'met' if target.met else 'MISSED'}: {target.wanted}: {target.found}"
        STDOUT.print(Text(result, style="" if target.met else "bold"))
    STDOUT.print(Text(f"more in {page}"))
    STDOUT.print(Text(NOTICE, style="dim"))
