"""`ddxgraph data`: the benchmarks on this machine."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ddxgraph.cli import options
from ddxgraph.cli.commands import group
from ddxgraph.cli.terminal import STDERR, STDOUT, Exit, fail, say, show_json, spoken
from ddxgraph.common.errors import BadInput
from ddxgraph.eval.benchmarks.registry import BENCHMARKS, find

if TYPE_CHECKING:
    from ddxgraph.eval.benchmarks.benchmark import Benchmark
    from ddxgraph.eval.benchmarks.store import Fetched, Progress, Standing

_MOST_SHOWN: Final = 20
"""Rows of one file that differ and are listed; `--json` has them all."""

app = group("Benchmarks on this machine: fetch, import, check.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help=f"The benchmark's name: {', '.join(BENCHMARKS)}.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


@app.command("list")
@spoken
def list_(as_json: Json = False) -> None:
    """List the benchmarks: splits, cases, what is on this machine, licence, source."""
    from ddxgraph.eval.benchmarks.store import standings

    if as_json:
        show_json(
            json.dumps([_described(benchmark) for benchmark in BENCHMARKS.values()], ensure_ascii=False)
        )
        return
    for benchmark in BENCHMARKS.values():
        STDOUT.print(f"{benchmark.name}: {benchmark.title}", markup=False)
        for standing in standings(benchmark):
            STDOUT.print(f"  {_line(standing)}", markup=False)
        STDOUT.print(f"  licence: {benchmark.licence}; from {benchmark.home}", markup=False, style="dim")


@app.command()
@spoken
def fetch(
    name: Name,
    split: Annotated[str | None, typer.Option(help="Only this split. By default all splits.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Take the files from this folder, zip archive or file instead of downloading them.",
        ),
    ] = None,
    url: Annotated[
        str,
        typer.Option(help="Download this file or zip archive. By default the benchmark's known addresses."),
    ] = "",
    quiet: options.Quiet = False,
) -> None:
    """Fetch a benchmark's raw files and check them, by hash and row by row. Files that are here are kept.

    Exit code: 0 done, 1 a download failed or something is still missing, 2 bad input or not the published file.
    """
    from ddxgraph.eval.benchmarks.rawfile import data_folder
    from ddxgraph.eval.benchmarks.store import fetch as fetch_files

    benchmark = find(name)
    if source and url:
        raise BadInput("give --from or --url, not both")
    with _progress(quiet) as update:
        fetched = fetch_files(benchmark, split, source=source, url=url, progress=update)
    for file in fetched:
        _report(file, source)
    if benchmark.importer and benchmark.importer.last(data_folder()) is None:
        say(f"the items themselves are not here: {benchmark.obtain}")
    lacking = [file for file in fetched if file.state in {"no home", "not found"}]
    if lacking and (len(lacking) == len(fetched) or split or any(not file.raw.optional for file in lacking)):
        fail(_how(benchmark, lacking, source), Exit.NOT_DONE)
    homeless = [file for file in lacking if file.state == "no home"]
    if homeless:
        say(_how(benchmark, homeless, source))


@app.command("import")
@spoken
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The public scraper's output: CSV or JSON.")],
    urls: Annotated[
        Path | None,
        typer.Option(
            help="The published list of test items (JAMA_test_urls.json), by which missing items are named. By "
            "default the one that `ddxgraph data fetch jama` brought."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Import JAMA from your own file: the 646 test items, and separately the items that may be trained on.

    Exit code: 0 all test items are here, 1 some are missing, 2 bad input.
    """
    from ddxgraph.eval.benchmarks.rawfile import data_folder

    benchmark = find(name)
    if benchmark.importer is None:
        raise BadInput(f"{name} is not imported: {benchmark.obtain}")
    report = benchmark.importer.bring(file, data_folder(), urls)
    if as_json:
        show_json(report.to_json())
    else:
        for line in report.lines():
            STDOUT.print(line, markup=False)
    if report.missing:
        fail(
            f"{report.missing} of the {report.present + report.missing} test items are missing: scores over them "
            "will say so; the import is kept",
            Exit.NOT_DONE,
        )


@app.command()
@spoken
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this benchmark. By default all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every raw file against the published one, row by row.

    Exit code: 0 whole, 1 a file differs, is incomplete, or (where a benchmark is named) is not here, 2 bad input.
    """
    from ddxgraph.eval.benchmarks.store import standings

    chosen = [find(name)] if name else list(BENCHMARKS.values())
    files = [standing for benchmark in chosen for standing in standings(benchmark)]
    if as_json:
        show_json(json.dumps([_standing(standing) for standing in files], ensure_ascii=False))
    else:
        for standing in files:
            _print_checked(standing)
    bad = [standing for standing in files if _is_bad(standing, named=name is not None)]
    if bad:
        mend = "; ".join(dict.fromkeys(_mend(standing) for standing in bad))
        fail(f"{len(bad)} of {len(files)} files are missing or not as published: {mend}", Exit.NOT_DONE)


def _is_bad(standing: "Standing", *, named: bool) -> bool:
    if standing.state == "absent":
        return named and not standing.optional
    return standing.state != "ok"


def _mend(standing: "Standing") -> str:
    if standing.state == "differs":
        return f"delete {standing.path} and get it again: {find(standing.benchmark).obtain}"
    return f"{standing.benchmark}: {find(standing.benchmark).obtain}"


def _print_checked(standing: "Standing") -> None:
    STDOUT.print(f"{standing.benchmark} {_line(standing)}", markup=False)
    for problem in standing.problems[:_MOST_SHOWN]:
        STDOUT.print(f"  {problem}", markup=False)
    if len(standing.problems) > _MOST_SHOWN:
        STDOUT.print(f"  and {len(standing.problems) - _MOST_SHOWN} more (--json has them all)", markup=False)


def _line(standing: "Standing") -> str:
    if not standing.split:
        return f"{standing.path.name}: {_state(standing)}"
    kind = " with five options" if standing.five_options else ""
    cases = f"{standing.size} cases" if standing.size else "any number of cases"
    note = f" ({standing.note})" if standing.note else ""
    return f"{standing.split}{kind}, {cases}: {_state(standing)}{note}"


def _state(standing: "Standing") -> str:
    match standing.state:
        case "ok":
            return "ok"
        case "absent":
            return "not here"
        case "incomplete":
            return f"incomplete, {standing.size - standing.present} of {standing.size} are missing"
        case "differs":
            return f"{standing.path} is not as published"


def _described(benchmark: "Benchmark") -> dict[str, Any]:
    from ddxgraph.eval.benchmarks.store import standings

    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "licence": benchmark.licence,
        "home": benchmark.home,
        "obtain": benchmark.obtain,
        "files": [_standing(standing) for standing in standings(benchmark)],
    }


def _standing(standing: "Standing") -> dict[str, Any]:
    return {
        **standing._asdict(),
        "path": str(standing.path),
        "problems": [problem._asdict() for problem in standing.problems],
    }


def _report(file: "Fetched", source: Path | None) -> None:
    match file.state:
        case "fetched":
            STDOUT.print(f"{file.path}: {file.raw.rows} rows, as published", markup=False)
        case "there":
            STDOUT.print(f"{file.path}: here already, as published", markup=False)
        case "not found":
            say(f"{file.raw.path} is not in {source or 'what came'}")
        case "no home":
            pass  # said once for all of them, with what to do


def _how(benchmark: "Benchmark", lacking: "Sequence[Fetched]", source: Path | None) -> str:
    """How to get the files that are lacking."""
    names = ", ".join(file.raw.path for file in lacking)
    if source and source.is_file():
        return f"{names} could not be told in {source}; say which split it is with --split"
    if lacking[0].state == "no home":
        return (
            f"no public address is known to hold {names} byte for byte; where you have them, run "
            f"`ddxgraph data fetch {benchmark.name} --from FOLDER`"
        )
    return f"{names} could not be had; {benchmark.obtain}"


@contextmanager
def _progress(quiet: bool) -> "Iterator[Progress | None]":
    """A bar on stderr while something is downloaded."""
    if quiet or not STDERR.is_interactive:
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    bars, tasks = Progress(*columns, console=STDERR, transient=True), dict[str, TaskID]()

    def update(name: str, had: int, total: int | None) -> None:
        if name not in tasks:
            bars.start()
            tasks[name] = bars.add_task(name, total=total)
        bars.update(tasks[name], completed=had, total=total)

    try:
        yield update
    finally:
        bars.stop()
