"""`ddxgraph view`: a journey, a run, or two of either, as a page."""

import re
import secrets
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ddxgraph.cli import options
from ddxgraph.cli.cases import gold_answers
from ddxgraph.cli.terminal import bar, need, say, spoken
from ddxgraph.common.errors import BadInput, PortTaken

if TYPE_CHECKING:
    from ddxgraph.view.data.tracebook import Entry, TraceBook

_ONE_FILE: Final = 1_000
"""Most traces that become a single page by default. More go into a folder, and are loaded as they are opened."""
_TWO: Final = 2
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS: Final = 60
_CASE_CHARS: Final = 40
"""Characters of a case's id in a file name; the rest is for trace ids, which tell the names apart."""


@spoken
def view(  # noqa: PLR0917 - one parameter an option
    source: Annotated[Path, typer.Argument(help="A run folder or a trace file (JSONL).")],
    other: Annotated[
        Path | None, typer.Argument(help="Another one, to show side by side with the differences marked.")
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            help="Show only the trace whose id begins so, or whose case has this id. Given twice, two traces are "
            "shown side by side. By default all are shown."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write to this file (PAGE.html) or, for a large run, folder. By default a name made from "
            "SOURCE, in the working folder."
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Hide the gold answers until the reader asks for them.")
    ] = False,
    cases: options.GoldCases = None,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Serve the page on this machine, and follow the run while it grows."),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of --serve; 0 picks a free one.")
    ] = 8_765,
    quiet: options.Quiet = False,
) -> None:
    """Show a journey or a run in a browser: path, credence, evidence, where it turned back and why.

    The page is one file that needs no network. A run of more than 1,000 traces becomes a folder; open its
    index.html. Gold answers come from the run's benchmark, or from --cases.

    Exit code: 0 done, 2 bad input.
    """
    wanted = trace or []
    first = _book(source, cases, quiet)
    if serve:
        if other or wanted or out:
            raise BadInput("--serve follows one run: leave the second, --trace and --out out")
        _serve(first, port, blind=blind, browse=open_)
        return
    second = _book(other, cases, quiet) if other else first
    pair = _entries(first, second, wanted, two=other is not None)
    try:
        page = _written(first, second, pair, out, two=other is not None, blind=blind, quiet=quiet)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise BadInput(f"cannot write the page: {error.strerror or error}{where}") from error
    typer.echo(str(page))
    if open_:
        webbrowser.open(page.absolute().as_uri())


def _book(source: Path, cases: Path | None, quiet: bool) -> "TraceBook":
    from ddxgraph.view.data.tracebook import TraceBook

    judge, unknown = gold_answers(source, cases)
    book = TraceBook(source, judge)
    book.refresh()
    if unknown and not quiet:
        say(f"without gold answers: {unknown}")
    return book


def _entries(first: "TraceBook", second: "TraceBook", wanted: list[str], *, two: bool) -> "list[Entry]":
    """The traces to show by themselves: none, one, or two side by side."""
    if len(wanted) > _TWO:
        raise BadInput(f"{len(wanted)} traces: at most two stand side by side")
    if two and wanted:  # the same case in both, or one of each
        return [first.named(wanted[0]), second.named(wanted[-1])]
    if wanted:
        return [first.named(trace) for trace in wanted]
    books = [first, second] if two else [first]
    if all(len(book) == 1 and not book.source.is_dir() for book in books):
        return [book.entries[0] for book in books]
    return []


def _written(
    first: "TraceBook",
    second: "TraceBook",
    chosen: "list[Entry]",
    out: Path | None,
    *,
    two: bool,
    blind: bool,
    quiet: bool,
) -> Path:
    from ddxgraph.serving.engine import usable_cores
    from ddxgraph.view.data.tracebook import read_trace
    from ddxgraph.view.page.journey import journey_page
    from ddxgraph.view.page.pair import pair_page, write_pair_page
    from ddxgraph.view.page.run import write_run_page

    if len(chosen) == 1:
        entry = chosen[0]
        page = journey_page(read_trace(entry), entry.judged, blind=blind)
        return _one_file(page, out, f"{entry.case[:_CASE_CHARS]}-{entry.id[:8]}")
    if chosen:
        a, b = chosen
        page = pair_page(read_trace(a), read_trace(b), (a.judged, b.judged), blind=blind)
        return _one_file(page, out, f"{a.case[:_CASE_CHARS]}-{a.id[:8]}-{b.id[:8]}")
    many = len(first) > _ONE_FILE or len(second) > _ONE_FILE
    name = _safe(f"{first.name}-and-{second.name}" if two else first.name)
    place = out or Path(f"{name}-pages" if many else f"{name}.html")
    processes = usable_cores()
    with bar("writing", quiet) as update:
        if two:
            return write_pair_page(first, second, place, blind=blind, progress=update, processes=processes)
        return write_run_page(first, place, blind=blind, progress=update, processes=processes)


def _one_file(page: str, out: Path | None, name: str) -> Path:
    from ddxgraph.common.files import write_whole
    from ddxgraph.view.page.table import INDEX, is_single

    place = out or Path(f"{_safe(name)}.html")
    if not is_single(place):
        place /= INDEX
    place.parent.mkdir(parents=True, exist_ok=True)
    write_whole(place, page)
    return place


def _safe(name: str) -> str:
    """A safe file name; the id of a case may be any text."""
    return _UNSAFE.sub("-", name).strip("-.")[:_NAME_CHARS] or "trace"


def _serve(book: "TraceBook", port: int, *, blind: bool, browse: bool) -> None:
    need("--serve", ("starlette", "uvicorn"), "view")
    from ddxgraph.view.page.server import LOOPBACK, listen, serve_view

    try:
        opened = listen(port)
    except PortTaken as error:
        raise BadInput(str(error.strerror)) from error  # without the number of the error
    token = secrets.token_urlsafe(24)
    address = f"http://{LOOPBACK}:{opened.getsockname()[1]}/?token={token}"

    def ready() -> None:
        typer.echo(address)
        say("following the run; Ctrl-C ends it")
        if browse:
            webbrowser.open(address)

    serve_view(book, opened, token=token, blind=blind, ready=ready)
