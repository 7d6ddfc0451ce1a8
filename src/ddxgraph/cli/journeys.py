"""`ddxgraph journeys`: from runs to journey-learning data, through the gate."""

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.text import Text

from ddxgraph.cli import options, rewriting
from ddxgraph.cli.bar import bar
from ddxgraph.cli.extras import need
from ddxgraph.cli.journeyinspect import inspect
from ddxgraph.cli.journeyresult import complain, print_gate, print_set, to_json
from ddxgraph.cli.speech import STDOUT, Exit, fail, spoken
from ddxgraph.common.errors import fault_of
from ddxgraph.eval.cases import CaseFile
from ddxgraph.eval.scoring.run import manifest_of
from ddxgraph.training.gate.config import GateConfig, Length, default_toml, read_config
from ddxgraph.training.rewrite.rewrite import STYLE as REWRITTEN
from ddxgraph.training.sets.manifest import SetSettings
from ddxgraph.training.sets.samples import Format
from ddxgraph.view.notice import NOTICE

if TYPE_CHECKING:
    from ddxgraph.training.source import RunSource


class StyleName(StrEnum):
    """Style of a set."""

    LONGSTEP = "longstep"
    LONGMONOLOG = "longmonolog"
    SHORTCUT = "shortcut"
    COT = "cot"
    GRAPH = "graph"


@spoken
def journeys(  # noqa: PLR0917 - one parameter an option
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders.")],
    style: Annotated[
        list[StyleName],
        typer.Option(
            metavar="STYLE",
            help=f"{', '.join(StyleName)}. Given several times: each goes into a folder of its name in --out.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The set's folder; made where it is missing.")],
    config: Annotated[
        Path | None,
        typer.Option(help="Settings of the gate (TOML): `ddxgraph journeys default-config` prints them all."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(help="Gives another wording. Which journeys are drawn goes by the gate's own seed."),
    ] = 0,
    tries: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="For longstep and longmonolog: tell at most so many tries of each node on the path to the "
            "answer, the last one right.",
        ),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="TRL's chat format (messages), or ShareGPT's.")
    ] = "messages",
    min_backtracks: Annotated[
        int | None, typer.Option(min=0, help="Take journeys alone that go back so often.")
    ] = None,
    cases: options.GoldCases = None,
    judge: options.Judge = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another set that lies in the folder.")
    ] = False,
    rewrite: rewriting.Rewrite = False,
    rewrites: rewriting.Rewrites = None,
    rewrite_attempts: rewriting.RewriteAttempts = 2,
    rewrite_temperature: rewriting.RewriteTemperature = 0.7,
    rewrite_seed: rewriting.RewriteSeed = 0,
    base_url: options.BaseUrl = None,
    model: options.ModelName = None,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Rewritings at a time.", rich_help_panel=rewriting.PANEL)
    ] = 8,
    patience: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to wait for a rewriting engine that is away.",
            rich_help_panel=rewriting.PANEL,
        ),
    ] = 600.0,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds to wait for one reply.", rich_help_panel=rewriting.PANEL)
    ] = 600.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Turn successful traversals into journey-learning data: gate them, compile them, write them with a card.

    `ddxgraph journeys inspect DIR` looks at a set; `ddxgraph journeys default-config` prints the gate's settings.
    (A run folder of such a name is given as ./inspect.)

    The same runs and settings give the same bytes; a set that is there already stays as it is.

    Exit code: 0 done, 1 there is nothing to train on (the gate's report says why), 2 bad input.
    """
    need("the gate", ("numpy", "datasketch"), "journeys")
    from ddxgraph.training.gate.screen import gate  # noqa: PLC0415 - needs the extra
    from ddxgraph.training.sets.folder import check_place  # noqa: PLC0415
    from ddxgraph.training.sets.make import write_journeys  # noqa: PLC0415

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
    if rewrite and REWRITTEN not in style:
        fail(f"--rewrite is for {REWRITTEN}: add --style {REWRITTEN}, or leave it out", Exit.BAD_INPUT)
    rules = _rules(config, min_backtracks)
    wanted = [_settings(one, form, seed, tries, rules) for one in dict.fromkeys(style)]
    places = [out / one.style if len(wanted) > 1 else out for one in wanted]
    for settings, place in zip(wanted, places, strict=True):
        check_place(place, settings, overwrite=overwrite)
    with bar("gate", quiet) as told:
        gated = gate(_sources(runs, cases), rules, judge=options.whose(judge), progress=told)
    sets = []
    for settings, place in zip(wanted, places, strict=True):
        retell = partial(rewriting.rewritten, how=how) if rewrite and settings.style == REWRITTEN else None
        with bar(settings.style, quiet) as told:
            sets.append(
                write_journeys(gated, settings, place, retell=retell, overwrite=overwrite, progress=told)
            )
    if as_json:
        typer.echo(to_json(gated, sets))
    else:
        print_gate(gated.report)
        for made in sets:
            print_set(made)
        STDOUT.print(Text(NOTICE, style="dim"))
    complain(gated, sets)


branches = typer.Typer(rich_markup_mode="markdown")
branches.command("inspect")(inspect)


@branches.command("default-config")
@spoken
def default_config() -> None:
    """Print the gate's settings as a TOML file that explains itself; every line of it may be left out."""
    typer.echo(default_toml(), nl=False)


def _rules(config: Path | None, min_backtracks: int | None) -> GateConfig:
    rules = read_config(config) if config else GateConfig()
    if min_backtracks is None:
        return rules
    try:
        length = Length.model_validate(
            {**rules.length.model_dump(), "enabled": True, "min_backtracks": min_backtracks}
        )
    except ValidationError as error:
        fail(f"--min-backtracks {min_backtracks}: {fault_of(error)} (in {config})", Exit.BAD_INPUT)
    return rules.model_copy(update={"length": length})


def _settings(style: StyleName, form: Format, seed: int, tries: int | None, rules: GateConfig) -> SetSettings:
    if tries is not None and style not in {"longstep", "longmonolog"}:
        fail(f"--tries is for longstep and longmonolog, not for {style}: leave it out", Exit.BAD_INPUT)
    return SetSettings(style=style.value, format=form, seed=seed, tries=tries, gate=rules)


def _sources(runs: Sequence[Path], cases: Path | None) -> "list[RunSource]":
    """Each folder once; a benchmark's cases come from the data folder."""
    from ddxgraph.training.source import RunSource  # noqa: PLC0415

    file = CaseFile(cases) if cases else None
    folders = {run.resolve(): run for run in reversed(runs)}.values()
    return [RunSource(run, None if manifest_of(run).selection else file) for run in folders]
