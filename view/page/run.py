"""A run as a page: a table of its traces, with distributions, that opens each of them."""

from collections import Counter
from pathlib import Path
from typing import get_args

from markupsafe import Markup

from ddxgraph.view.data.row import COLUMNS, Judged, Verdict
from ddxgraph.view.data.tracebook import Entry, TraceBook, read_trace
from ddxgraph.view.data.transitions import Flow, flow_of
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.drawing import drawn
from ddxgraph.view.page.journey import journey_fragment
from ddxgraph.view.page.table import Fact, Heading, Progress, TablePage, table_data, table_page


def write_run_page(
    book: TraceBook, out: Path, *, blind: bool = False, progress: Progress | None = None, processes: int = 1
) -> Path:
    """Write the page of a run.

    Args:
        book: its traces.
        out: an `.html` file, or a folder (see `TablePage`).
        blind: whether gold answers are hidden until the reader asks for them.
        progress: called after each trace.
        processes: how many may draw a large run side by side (see `drawn`).

    Returns:
        The path of the page.

    Raises:
        PageError: `out` is not suitable.
        TraceFileError: a trace cannot be read.
        OSError: a file cannot be written.
    """
    page, entries, flow = TablePage(out), book.entries, Flow()
    drawings = drawn(_drawing, entries, processes)
    for number, (entry, (markup, counts)) in enumerate(zip(entries, drawings, strict=True), 1):
        flow.merge(counts)
        page.add(entry.id, entry.row, markup)
        if progress:
            progress(number, len(entries))
    judged = any(entry.judged for entry in entries)
    more = rendered("flow.html.jinja", flow=flow, judged=judged) if entries else None
    return page.write(heading_of(book, more), COLUMNS, blind=blind)


def _drawing(entry: Entry) -> tuple[Markup, Flow]:
    """The journey, and what the diagram of all moves counts of it."""
    trace = read_trace(entry)
    return journey_fragment(trace, entry.judged), flow_of([trace], lambda _: _correct(entry.judged))


def _correct(judged: Judged | None) -> bool | None:
    return None if judged is None or judged.verdict == "error" else judged.verdict == "correct"


def live_page(book: TraceBook, seen: int, *, blind: bool = False) -> str:
    """The page of a run that requests new rows, and each trace that is opened, from its server.

    Args:
        book: the traces so far.
        seen: the server's count of them, from which the page continues.
        blind: see `write_run_page`.

    Returns:
        The page.
    """
    entries = book.entries
    heading = heading_of(book)._replace(facts=())  # they would not grow with the table
    ids, rows = [entry.id for entry in entries], [entry.row for entry in entries]
    data = [table_data(heading, COLUMNS, ids, rows, live=True, seen=seen)]
    return table_page(heading, data, blind=blind, connects=True)


def heading_of(book: TraceBook, more: Markup | None = None) -> Heading:
    """What is shown above the table of a run."""
    entries = book.entries
    verdicts = Counter(entry.row.verdict for entry in entries)
    judged = any(entry.judged for entry in entries)
    facts = [Fact(f"{len(entries):,}", "trace" if len(entries) == 1 else "traces")]
    if judged:
        names = [name for name in get_args(Verdict) if verdicts[name]]
        facts += [
            Fact(f"{verdicts[name]:,}", name + ", unscored" * (name == "error"), gold=True) for name in names
        ]
    if entries:
        backs = sum(entry.row.backtracks for entry in entries) / len(entries)
        tokens = sum(entry.row.tokens for entry in entries) / len(entries)
        facts += [Fact(f"{backs:.1f}", "backtracks a trace"), Fact(f"{tokens:,.0f}", "output tokens a trace")]
    return Heading(book.name, in_common(entries), facts, more or Markup(""), gold=judged)


def in_common(entries: list[Entry]) -> str:
    """Benchmarks and strategies of a table."""
    benchmarks = dict.fromkeys(entry.row.benchmark for entry in entries if entry.row.benchmark != "–")
    return " · ".join([*benchmarks, *dict.fromkeys(entry.row.strategy for entry in entries)])
