"""`ddxgraph experiment`: does training on journeys help? Shown on generated cases, from one configuration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.improve import company, need_the_extras, stopped_as_ctrl_c
from ddxgraph.cli.speech import STDOUT, Exit, fail, spoken
from ddxgraph.view.notice import NOTICE

if TYPE_CHECKING:
    from ddxgraph.experiment.summary import ExperimentSummary

branches = typer.Typer(rich_markup_mode="markdown")


@spoken
def experiment(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="EXPERIMENT",
            help="Settings (TOML); `ddxgraph experiment default-config` prints those of the full size.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The experiment's folder; else one of the file's name, without its ending, beside it."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train students on a teacher's journeys, told in several styles, and test them on generated cases.

    The cases are of the laboratory benchmark `ddxlab`. The same command goes on where it was broken off, in
    whatever stage. Ctrl-C loses nothing that has ended.

    Exit code: 0 done, 1 not done, 2 bad input, 130 interrupted. A target that is missed is a result,
    and no failure.
    """
    need_the_extras()
    from ddxgraph.experiment.run import experiment as go_on  # noqa: PLC0415 - needs the extras

    with stopped_as_ctrl_c():
        try:
            summary = go_on(file, out, company=company(quiet=quiet))
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted; the same command goes on from there", Exit.INTERRUPTED)
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        _print(summary, (out or file.with_suffix("")) / "summary.md")


@branches.command("default-config")
@spoken
def default_config(
    size: Annotated[
        Literal["full", "quick"],
        typer.Option(help="`full`: some hours; `quick`: some minutes, for the machinery."),
    ] = "full",
) -> None:
    """Print the settings as a TOML file that explains itself."""
    from ddxgraph.experiment.config import shipped  # noqa: PLC0415 - heavy

    typer.echo(shipped(size), nl=False)


def _print(summary: "ExperimentSummary", page: Path) -> None:
    from ddxgraph.eval.wording import interval, percent  # noqa: PLC0415 - needs the extra

    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in ("seed", "arm", "accuracy", "95% interval", "by level", "tokens by level"):
        table.add_column(name, justify="left" if name == "arm" else "right", overflow="fold")
    for one in summary.arms:
        table.add_row(
            "" if one.seed is None else str(one.seed),
            Text(one.name),
            percent(one.accuracy.value),
            interval(one.accuracy),
            " ".join(f"{100 * level.accuracy.value:.0f}" for level in one.levels),
            " ".join(f"{level.output_tokens:.0f}" for level in one.levels),
        )
    STDOUT.print(table, soft_wrap=False)
    for target in summary.targets:
        told = f"seed {target.seed}: {'met' if target.met else 'MISSED'}: {target.wanted}: {target.found}"
        STDOUT.print(Text(told, style="" if target.met else "bold"))
    STDOUT.print(Text(f"more in {page}"))
    STDOUT.print(Text(NOTICE, style="dim"))
