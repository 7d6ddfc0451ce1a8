"""`ddxgraph view`: a journey, a run, or two of either, as a page."""

import re
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from ddxgraph.cli import options
from ddxgraph.cli.bar import bar
from ddxgraph.cli.extras import need
from ddxgraph.cli.goldanswers import gold_answers
from ddxgraph.cli.speech import Exit, fail, say, spoken
from ddxgraph.common.files import write_whole
from ddxgraph.view.data.tracebook import Entry, TraceBook
from ddxgraph.view.page.journey import journey_page
from ddxgraph.view.page.pair import pair_page, write_pair_page
from ddxgraph.view.page.run import write_run_page
from ddxgraph.view.page.table import INDEX, is_single

_ONE_FILE: Final = 1_000
"""Traces up to which a run is one file by default; more go into a folder, loaded as they are opened."""
_TWO: Final = 2
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS: Final = 60
_CASE_CHARS: Final = 40
"""Of a case's id in a name: what is left is room for the ids of its traces, which tell the names apart."""


@spoken
def view(  # noqa: PLR0917 - one parameter an option
    source: Annotated[Path, typer.Argument(help="A run's folder, or a trace file (JSONL).")],
    other: Annotated[
        Path | None, typer.Argument(help="Another, to be shown beside it with the differences marked.")
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            help="One trace: the beginning of its id, or its case's id. Given twice, two of them side by side."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write: PAGE.html, or a folder for the pages of a large run."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Hide the gold answers until the page is asked for them.")
    ] = False,
    cases: options.GoldCases = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine and follow the run while it grows."),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of --serve; 0 takes a free one.")
    ] = 8_765,
    quiet: options.Quiet = False,
) -> None:
    """Look at a journey or a run in a browser: the path, the credence, the evidence, where it turned back, why.

    The page is one file that needs no network. A run of more than 1,000 traces becomes a folder; open its
    index.html. Gold answers come from the benchmark that the run took, or from --cases.

    Exit code: 0 done, 2 bad input.
    """
    wanted = trace or []
    first = _book(source, cases, quiet)
    if serve:
        if other or wanted or out:
            fail("--serve follows one run: leave the second, --trace and --out out", Exit.BAD_INPUT)
        _serve(first, port, blind=blind, browse=open_)
        return
    second = _book(other, cases, quiet) if other else first
    pair = _entries(first, second, wanted, two=other is not None)
    try:
        page = _written(first, second, pair, out, two=other is not None, blind=blind, quiet=quiet)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        fail(f"cannot write the page: {error.strerror or error}{where}", Exit.BAD_INPUT)
    typer.echo(str(page))
    if open_:
        webbrowser.open(page.resolve().as_uri())


def _book(source: Path, cases: Path | None, quiet: bool) -> TraceBook:
    judge, unknown = gold_answers(source, cases)
    book = TraceBook(source, judge)
    book.refresh()
    if unknown and not quiet:
        say(f"without gold answers: {unknown}")
    return book


def _entries(first: TraceBook, second: TraceBook, wanted: list[str], *, two: bool) -> list[Entry]:
    """The traces that are asked for one by one: none, one, or two to be put side by side."""
    if len(wanted) > _TWO:
        fail(f"{len(wanted)} traces: at most two stand side by side", Exit.BAD_INPUT)
    if two and wanted:  # the same case in both, or one of each
        return [first.named(wanted[0]), second.named(wanted[-1])]
    if wanted:
        return [first.named(one) for one in wanted]
    books = [first, second] if two else [first]
    if all(len(book) == 1 and not book.source.is_dir() for book in books):
        return [book.entries[0] for book in books]
    return []


def _written(
    first: TraceBook,
    second: TraceBook,
    chosen: list[Entry],
    out: Path | None,
    *,
    two: bool,
    blind: bool,
    quiet: bool,
) -> Path:
    if len(chosen) == 1:
        entry = chosen[0]
        page = journey_page(first.trace(entry), entry.judged, blind=blind)
        return _one_file(page, out, f"{entry.case[:_CASE_CHARS]}-{entry.id[:8]}")
    if chosen:
        a, b = chosen
        page = pair_page(first.trace(a), second.trace(b), (a.judged, b.judged), blind=blind)
        return _one_file(page, out, f"{a.case[:_CASE_CHARS]}-{a.id[:8]}-{b.id[:8]}")
    many = len(first) > _ONE_FILE or len(second) > _ONE_FILE
    name = _safe(f"{first.name}-and-{second.name}" if two else first.name)
    place = out or Path(f"{name}-pages" if many else f"{name}.html")
    with bar("writing", quiet) as told:
        if two:
            return write_pair_page(first, second, place, blind=blind, progress=told)
        return write_run_page(first, place, blind=blind, progress=told)


def _one_file(page: str, out: Path | None, name: str) -> Path:
    place = out or Path(f"{_safe(name)}.html")
    if not is_single(place):
        place /= INDEX
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, page)
    return place


def _safe(name: str) -> str:
    """A name that may be a file's: a case's id is anybody's text."""
    return _UNSAFE.sub("-", name).strip("-.")[:_NAME_CHARS] or "trace"


def _serve(book: TraceBook, port: int, *, blind: bool, browse: bool) -> None:
    need("--serve", ("starlette", "uvicorn"), "view")
    from ddxgraph.common.errors import PortTaken  # noqa: PLC0415 - needs the extra
    from ddxgraph.view.page.server import LOOPBACK, listen, serve_view  # noqa: PLC0415 - needs the extra

    try:
        opened = listen(port)
    except PortTaken as error:
        fail(str(error.strerror), Exit.BAD_INPUT)
    address = f"http://{LOOPBACK}:{opened.getsockname()[1]}/"

    def ready() -> None:
        typer.echo(address)
        say("following the run; Ctrl-C ends it")
        if browse:
            webbrowser.open(address)

    serve_view(book, opened, blind=blind, ready=ready)
