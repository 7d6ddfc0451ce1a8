"""A run as a page: a table of its traces that opens each, with distributions."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from markupsafe import Markup

from ddxgraph.nodes.registry import title
from ddxgraph.view.data.judged import Judged
from ddxgraph.view.data.tracebook import Entry, TraceBook
from ddxgraph.view.data.tracerow import COLUMNS
from ddxgraph.view.data.transitions import START, Flow
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.document import Inert, as_json
from ddxgraph.view.page.journey import journey_fragment
from ddxgraph.view.page.table import Fact, Heading, TablePage, table_page

_VERDICTS: Final = ("correct", "incorrect", "unparsed", "abstained", "error")
Progress = Callable[[int, int], None]
"""Is told how many traces are done, and how many there are."""


def write_run_page(
    book: TraceBook, out: Path, *, blind: bool = False, progress: Progress | None = None
) -> Path:
    """Write the page of a run.

    Args:
        book: its traces, read.
        out: an `.html` file, or a folder (see `TablePage`).
        blind: gold answers are hidden until they are asked for.
        progress: told now and then.

    Returns:
        The page.

    Raises:
        PageError: it cannot be written there.
        TraceFileError: a trace cannot be read.
        OSError: a file cannot be written.
    """
    page, entries, flow = TablePage(out), book.entries, Flow()
    for number, entry in enumerate(entries, 1):
        trace = book.trace(entry)
        flow.add(trace, _correct(entry.judged))
        page.add(entry.id, entry.row, journey_fragment(trace, entry.judged))
        if progress:
            progress(number, len(entries))
    judged = any(entry.judged for entry in entries)
    more = rendered("flow.html.jinja", flow=flow, title=_title, judged=judged) if entries else None
    return page.write(heading_of(book, more), COLUMNS, blind=blind)


def _correct(judged: Judged | None) -> bool | None:
    return None if judged is None or judged.verdict == "error" else judged.verdict == "correct"


def live_page(book: TraceBook, seen: int, *, blind: bool = False) -> str:
    """The page of a run that asks its server for what is new, and for each trace that is opened.

    Args:
        book: the traces so far.
        seen: the server's count of them, from which the page goes on.
        blind: see `write_run_page`.
    """
    entries = book.entries
    heading = heading_of(book)._replace(facts=())  # they would stand still while the table grows
    table = {
        "columns": [column._asdict() for column in COLUMNS],
        "ids": [entry.id for entry in entries],
        "rows": [entry.row for entry in entries],
        "noun": heading.noun,
        "live": True,
        "seen": seen,
    }
    data = [Inert("table", as_json(table))]
    return table_page(heading, data, blind=blind, connects=True)


def heading_of(book: TraceBook, more: Markup | None = None) -> Heading:
    """What stands above a run's table."""
    entries = book.entries
    verdicts = Counter(entry.row.verdict for entry in entries)
    judged = any(entry.judged for entry in entries)
    facts = [Fact(f"{len(entries):,}", "trace" if len(entries) == 1 else "traces")]
    if judged:
        facts += [
            Fact(f"{verdicts[name]:,}", _named(name), gold=True) for name in _VERDICTS if verdicts[name]
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


def _named(verdict: str) -> str:
    return "error, unscored" if verdict == "error" else verdict


def _title(stop: str) -> str:
    return "Start" if stop == START else title(stop)
