"""`ddxgraph eval`: what runs scored, on the terminal, as a report, as JSON."""

from collections.abc import Sequence
from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.cli import options
from ddxgraph.cli.terminal import STDOUT, Exit, bar, fail, need, say, show_json, spoken
from ddxgraph.common.words import NOTICE, figure, interval, number, p_value, percent, points, points_interval

if TYPE_CHECKING:
    from ddxgraph.eval.report.evaluation import Evaluation
    from ddxgraph.eval.report.figures import RunResult
    from ddxgraph.eval.scoring.run import ScoredRun


@spoken
def evaluate(  # noqa: PLR0917 - one parameter an option
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="One or more run folders.")],
    report: Annotated[
        Path | None,
        typer.Option(
            help="Write a report (Markdown, one HTML page, plots, JSON) to this folder. By default none."
        ),
    ] = None,
    cases: options.GoldCases = None,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Compare the others with this run only. By default every two runs are compared."),
    ] = None,
    judge: options.Judge = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the evaluation as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Score runs and compare them: accuracy with intervals, paired tests, cost, calibration, curves.

    An unparsed answer and an abstention count as not correct. A traversal that failed for a reason unrelated to
    the model is unscored. The result is then incomplete: it has bounds only, and says so wherever it is shown.

    Exit code: 0 done, 1 a result is incomplete (the report is written all the same), 2 bad input.
    """
    need("evaluating", ("numpy", "scipy", "matplotlib"), "eval")
    from ddxgraph.eval.report.evaluation import evaluate as compare
    from ddxgraph.eval.report.write import check_folder, to_json, write_report

    if report:
        check_folder(report)
    folders = _folders(runs, baseline)
    scored = _scored(folders, cases, judge, quiet)
    first = next((run for run in scored if baseline and realpath(run.path) == realpath(baseline)), None)
    with bar("computing", quiet) as update:
        evaluation = compare(scored, baseline=first, seed=seed, progress=update)
    if report:
        with bar("drawing", quiet) as update:
            page = write_report(evaluation, report, progress=update)
        say(f"the report is {page}")
    if as_json:
        show_json(to_json(evaluation))
    else:
        _print(evaluation)
    if evaluation.incomplete:
        names = ", ".join(run.name for run in evaluation.incomplete)
        fail(
            f"INCOMPLETE: {names}: some traces are unscored, and the figures are bounds; the command that made "
            "the run tries them again",
            Exit.NOT_DONE,
        )


def _folders(runs: Sequence[Path], baseline: Path | None) -> list[Path]:
    """The folders, each once; the baseline among them, first if it was not named."""
    wanted = list(runs)
    if baseline and realpath(baseline) not in {realpath(run) for run in runs}:
        wanted.insert(0, baseline)
    return list({realpath(run): run for run in reversed(wanted)}.values())[::-1]


def _scored(folders: Sequence[Path], cases: Path | None, judge: str | None, quiet: bool) -> "list[ScoredRun]":
    from ddxgraph.eval.cases import CaseFile
    from ddxgraph.eval.scoring.run import manifest_of, score_run

    file = CaseFile(cases) if cases else None
    scored = []
    for folder in folders:
        own = None if manifest_of(folder).selection else file  # a benchmark's cases come from the data folder
        with bar(Path(realpath(folder)).name, quiet) as update:
            scored.append(score_run(folder, own, judge=options.selected_judge(judge), progress=update))
    return scored


def _table(items: str, runs: "Sequence[RunResult]") -> Table:
    from ddxgraph.eval.report.evaluation import reasons

    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        title=Text(items),
        title_justify="left",
        title_style="bold",
    )
    for head in ("#", "run"):
        table.add_column(head, overflow="fold")
    for head in ("accuracy", "95% interval", "looser*", "no answer", "unscored", "tokens", "s"):
        table.add_column(head, justify="right", no_wrap=head in {"accuracy", "95% interval"})
    for run in runs:
        cells = (
            run.number,
            run.name,
            figure(run.accuracy),
            interval(run.accuracy),
            percent(run.loose),
            run.unparsed + run.abstained,
            reasons(run) or 0,
            number(run.cost.output_tokens.mean if run.cost else None),
            number(run.cost.seconds.mean if run.cost else None),
        )
        table.add_row(*(Text(str(cell)) for cell in cells), style="red" if run.incomplete else "")
    return table


def _print(evaluation: "Evaluation") -> None:

    for sentence in evaluation.headline:
        STDOUT.print(Text(sentence, style="bold red" if sentence.startswith("INCOMPLETE") else ""))
    for items in dict.fromkeys(run.items for run in evaluation.runs):
        table = _table(items, [run for run in evaluation.runs if run.items == items])
        STDOUT.print(table, soft_wrap=False)
    for pair in evaluation.comparisons.made:
        left_out = f", {pair.left_out} cases left out as unscored" if pair.left_out else ""
        STDOUT.print(
            Text(
                f"{pair.b} less {pair.a}: {points(pair.difference)} points ({points_interval(pair)}), "
                f"{pair.test} p {p_value(pair.p_value)}, adjusted {p_value(pair.p_holm)}, on {pair.n} cases"
                f"{left_out}"
            )
        )
    for skipped in evaluation.comparisons.not_made:
        STDOUT.print(Text(f"not compared: {skipped.a} and {skipped.b}: {skipped.why}"))
    STDOUT.print(
        Text(
            "no answer: unparsed or abstained; tokens (output) and s (seconds): mean of a trace; "
            "* rule of published code, for comparison only",
            style="dim",
        )
    )
    STDOUT.print(Text(NOTICE, style="dim"))
