"""`ddxgraph journeys`: from runs to journey-learning data, through the gate."""

from collections.abc import Sequence
from functools import partial
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.commands import branching
from ddxgraph.cli.journeys import rewriting
from ddxgraph.cli.journeys.inspect import inspect
from ddxgraph.cli.journeys.result import complain, print_gate, print_set, to_json
from ddxgraph.cli.terminal import STDOUT, bar, need, show_json, spoken
from ddxgraph.common.errors import BadInput, fault_of
from ddxgraph.common.words import NOTICE
from ddxgraph.training.sets.forms import form_names, form_of
from ddxgraph.training.styles.registry import check_tries, rewritten_styles, style_names, style_of

if TYPE_CHECKING:
    from ddxgraph.training.gate.config import GateConfig
    from ddxgraph.training.sets.manifest import SetSettings
    from ddxgraph.training.source import RunSource
    from ddxgraph.training.styles.registry import Style

app = branching()


@app.callback()
@spoken
def journeys(  # noqa: PLR0917 - one parameter an option
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="One or more run folders.")],
    style: Annotated[
        list[str],
        typer.Option(
            metavar="STYLE",
            help=f"How a journey is told: {', '.join(style_names())}. Repeat it for several sets, each in a "
            "folder of its name in --out.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The set's folder. It is made if it does not exist.")],
    config: Annotated[
        Path | None,
        typer.Option(
            help="The gate's settings (TOML). By default those that `ddxgraph journeys default-config` prints."
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the wording. The gate's settings have their own seed, of which journeys to take."
        ),
    ] = 0,
    tries: Annotated[
        int | None,
        typer.Option(
            min=2,
            help=f"For {' and '.join(style_names('journey'))}: tell at most this many tries of each node on the "
            "path to the answer, the last of them the right one. By default the whole journey is told.",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help=f"Form of a line: {', '.join(form_names())}. `messages` are TRL's chat messages.",
        ),
    ] = "messages",
    min_backtracks: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Keep only journeys with at least this many backtracks. By default as the gate's settings say.",
        ),
    ] = None,
    cases: options.GoldCases = None,
    judge: options.Judge = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another set in the folder.")
    ] = False,
    rewrite: rewriting.Rewrite = False,
    rewrites: rewriting.Rewrites = None,
    rewrite_attempts: rewriting.RewriteAttempts = 2,
    rewrite_temperature: rewriting.RewriteTemperature = 0.7,
    rewrite_seed: rewriting.RewriteSeed = 0,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Monologues rewritten at a time.", rich_help_panel=rewriting.PANEL)
    ] = 8,
    patience: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to wait for an engine that is away.",
            rich_help_panel=rewriting.PANEL,
        ),
    ] = 600.0,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for one reply.", rich_help_panel=rewriting.PANEL)
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Make journey-learning data from successful traversals: gate, compile, write with a card.

    The same runs and settings give the same bytes; a set that exists already is left as it is. A run folder with
    the name of a subcommand is given as ./inspect.

    Exit code: 0 done, 1 there is nothing to train on (the gate's report says why), 2 bad input.
    """
    styles = [style_of(name) for name in dict.fromkeys(style)]
    need("the gate", ("numpy", "scipy", "datasketch"), "journeys")
    from ddxgraph.training.gate.screen import gate
    from ddxgraph.training.sets.folder import check_place
    from ddxgraph.training.sets.make import write_journeys

    how = rewriting.Rewriting(
        folder=rewrites or runs[0],
        base_url=base_url,
        model=model,
        temperature=rewrite_temperature,
        seed=rewrite_seed,
        attempts=rewrite_attempts,
        concurrency=concurrency,
        patience_s=patience,
        timeout_s=timeout,
        quiet=quiet,
    )
    if rewrite and not any(each.rewritten for each in styles):
        names = " or ".join(rewritten_styles())
        raise BadInput(f"--rewrite is for {names}: add --style {names}, or leave it out")
    rules = _rules(config, min_backtracks)
    wanted = [_settings(each, form, seed, tries, rules) for each in styles]
    places = [out / each.name if len(styles) > 1 else out for each in styles]
    for settings, place in zip(wanted, places, strict=True):
        check_place(place, settings, overwrite=overwrite)
    with bar("gate", quiet) as update:
        gated = gate(_sources(runs, cases), rules, judge=options.selected_judge(judge), progress=update)
    sets = []
    for each, settings, place in zip(styles, wanted, places, strict=True):
        retell = partial(rewriting.rewritten, how=how) if rewrite and each.rewritten else None
        with bar(each.name, quiet) as update:
            sets.append(
                write_journeys(gated, settings, place, retell=retell, overwrite=overwrite, progress=update)
            )
    if as_json:
        show_json(to_json(gated, sets))
    else:
        print_gate(gated.report)
        for made in sets:
            print_set(made)
        STDOUT.print(Text(NOTICE, style="dim"))
    complain(gated, sets)


app.command("inspect")(inspect)


@app.command("default-config")
@spoken
def default_config() -> None:
    """Print the gate's default settings as a commented TOML file; every line of it may be left out."""
    from ddxgraph.training.gate.config import default_toml

    typer.echo(default_toml(), nl=False)


def _rules(config: Path | None, min_backtracks: int | None) -> "GateConfig":
    from pydantic import ValidationError

    from ddxgraph.training.gate.config import GateConfig, Length, read_config

    rules = read_config(config) if config else GateConfig()
    if min_backtracks is None:
        return rules
    try:
        length = Length.model_validate(
            {**rules.length.model_dump(), "enabled": True, "min_backtracks": min_backtracks}
        )
    except ValidationError as error:
        raise BadInput(f"--min-backtracks {min_backtracks}: {fault_of(error)} (in {config})") from error
    return rules.model_copy(update={"length": length})


def _settings(style: "Style", form: str, seed: int, tries: int | None, rules: "GateConfig") -> "SetSettings":
    from ddxgraph.training.sets.manifest import SetSettings

    check_tries(style, tries)
    form_of(form)
    return SetSettings(style=style.name, format=form, seed=seed, tries=tries, gate=rules)


def _sources(runs: Sequence[Path], cases: Path | None) -> "list[RunSource]":
    """Each folder once; the cases of a benchmark come from the data folder."""
    from ddxgraph.eval.cases import CaseFile
    from ddxgraph.eval.scoring.run import manifest_of
    from ddxgraph.training.source import RunSource

    file = CaseFile(cases) if cases else None
    folders = {realpath(run): run for run in reversed(runs)}.values()
    return [RunSource(run, None if manifest_of(run).selection else file) for run in folders]
