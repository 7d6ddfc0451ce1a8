"""Two traces, or two runs, side by side, with their differences marked."""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from markupsafe import Markup

from ddxgraph.graph.trace import Trace
from ddxgraph.view.charts.credence import CredenceChart, credence_chart
from ddxgraph.view.charts.path import PathChart, path_chart
from ddxgraph.view.data.ending import answer_in_words, choice_in_words, ending
from ddxgraph.view.data.evidence import Evidence, evidence_of
from ddxgraph.view.data.pairing import (
    COLUMNS,
    OTHER_CASE,
    Pair,
    PairRow,
    divergence,
    flip,
    pair_row,
    paired,
    same_answer,
    twins,
)
from ddxgraph.view.data.path import numbered, path_of
from ddxgraph.view.data.row import Judged
from ddxgraph.view.data.tracebook import TraceBook, read_trace
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.document import document
from ddxgraph.view.page.drawing import drawn
from ddxgraph.view.page.journey import SCRIPT, journey_fragment
from ddxgraph.view.page.run import in_common
from ddxgraph.view.page.table import Fact, Heading, Progress, TablePage

_CHANGES: Final = ("became correct", "became incorrect")
_ANSWERS: Final = {
    "different": "Different answers",
    "one missing": "One answer missing",
    "none": "No answer",
    OTHER_CASE: "These are two different cases, whose answers cannot be compared",
}


class Side(NamedTuple):
    """One of the two traces."""

    key: str
    """`a` or `b`."""
    name: str
    trace: Trace
    judged: Judged | None
    answer: str
    ending: str
    evidence: Evidence
    path: PathChart | None
    chart: CredenceChart | None


def pair_page(a: Trace, b: Trace, judged: tuple[Judged | None, Judged | None], *, blind: bool = False) -> str:
    """Render two traces side by side as a self-contained HTML page.

    Args:
        a: the first.
        b: the second.
        judged: gold answer and verdict of each, if known.
        blind: whether gold answers are hidden until the reader asks for them.

    Returns:
        The page.
    """
    names = (f"trace {a.id}", f"trace {b.id}")
    body = Markup("<main>{}</main>").format(pair_fragment((a, b), judged, names, blind=blind))
    return document(f"{a.case.id}: two journeys"[:200], body, scripts=[SCRIPT])


def write_pair_page(
    a: TraceBook,
    b: TraceBook,
    out: Path,
    *,
    blind: bool = False,
    progress: Progress | None = None,
    processes: int = 1,
) -> Path:
    """Write the page of two runs over the same cases.

    Args:
        a: the traces of the first run.
        b: the traces of the second run.
        out: an `.html` file, or a folder (see `TablePage`).
        blind: whether gold answers are hidden until the reader asks for them.
        progress: called after each pair.
        processes: how many may draw many pairs side by side (see `drawn`).

    Returns:
        The path of the page.

    Raises:
        PageError: `out` is not suitable.
        TraceFileError: a trace cannot be read.
        OSError: a file cannot be written.
    """
    page, pairs = TablePage(out), list(paired(a.entries, b.entries))
    rows = []
    drawings = drawn(partial(_drawing, names=(a.name, b.name), blind=blind), pairs, processes)
    for number, (pair, (markup, row)) in enumerate(zip(pairs, drawings, strict=True), 1):
        rows.append(row)
        page.add(pair.key, row, markup)
        if progress:
            progress(number, len(pairs))
    return page.write(_heading(a, b, rows), COLUMNS, blind=blind)


def pair_fragment(
    traces: tuple[Trace, Trace],
    judged: tuple[Judged | None, Judged | None],
    names: tuple[str, str],
    *,
    blind: bool = False,
) -> Markup:
    """The inner part of a pair's page.

    Args:
        traces: the two traces.
        judged: gold answer and verdict of each, if known.
        names: of their runs.
        blind: whether gold answers are hidden until the reader asks for them.

    Returns:
        The markup.
    """
    a, b = (
        _side(key, *given) for key, given in zip("ab", zip(names, traces, judged, strict=True), strict=True)
    )
    diverging = divergence(a.trace.steps, b.trace.steps)
    where = "They take the same path."
    if not diverging.same:
        after = f"after step {diverging.common}, {diverging.after[0].lower()}{diverging.after[1:]}"
        where = f"Their paths diverge {after if diverging.common else 'at the start'}."
    answers = same_answer(a.trace, b.trace)
    return rendered(
        "pair.html.jinja",
        title=" and ".join(dict.fromkeys(side.trace.case.id for side in (a, b))),
        sides=(a, b),
        flip=flip(a.judged, b.judged) if answers != OTHER_CASE else "not judged",
        other_case=answers == OTHER_CASE,
        answers=_ANSWERS.get(answers, "The same answer"),
        divergence=where,
        gold=_gold((a, b), two=answers == OTHER_CASE),
        blind=blind,
        twins=twins(a.trace.steps, b.trace.steps),
    )


def _gold(sides: Iterable[Side], *, two: bool) -> str:
    """The gold answer in words, or those of two cases; empty if none is known."""
    known = {
        side.key.upper(): choice_in_words(side.judged.gold, side.trace.case.options)
        for side in sides
        if side.judged
    }
    if two:
        return "; ".join(f"{key}: {gold}" for key, gold in known.items())
    return next(iter(known.values()), "")


def _side(key: str, name: str, trace: Trace, judged: Judged | None) -> Side:
    trace = numbered(trace)
    evidence, path = evidence_of(trace), path_of(trace)
    return Side(
        key,
        name,
        trace,
        judged,
        answer_in_words(trace),
        ending(trace),
        evidence,
        path_chart(trace, path, evidence) if path.places else None,
        credence_chart(trace, trace.trajectory(), evidence),
    )


def _drawing(pair: Pair, names: tuple[str, str], *, blind: bool) -> tuple[Markup, PairRow]:
    """The pair and its row; if a run lacks one trace, the other trace alone."""
    a, b = (read_trace(entry) if entry else None for entry in (pair.a, pair.b))
    row = pair_row(pair, a, b)
    if a and b and pair.a and pair.b:
        return pair_fragment((a, b), (pair.a.judged, pair.b.judged), names, blind=blind), row
    trace, entry = a or b, pair.a or pair.b
    if trace is None or entry is None:
        raise AssertionError  # a pair has one of the two
    return journey_fragment(trace, entry.judged, blind=blind), row


def _heading(a: TraceBook, b: TraceBook, rows: list[PairRow]) -> Heading:
    flips = Counter(row.flip for row in rows)
    judged = flips["not judged"] < len(rows)
    facts = [Fact(f"{len(rows):,}", "pair" if len(rows) == 1 else "pairs")]
    if judged:
        facts += [Fact(f"{flips[name]:,}", name, gold=True) for name in _CHANGES]
    facts += [
        Fact(f"{sum(row.answers == 'different' for row in rows):,}", "with different answers"),
        Fact(f"{sum(row.paths.startswith('diverge') for row in rows):,}", "with paths that diverge"),
    ]
    where = " · ".join(filter(None, (in_common(a.entries), "A is the first, B the second")))
    return Heading(f"{a.name} and {b.name}", where, facts, gold=judged, noun="pair")
