"""The summary table in the form of Table 1 of Huang et al. 2025 (arXiv 2501.06458), its rows below."""

from collections.abc import Mapping, Sequence
from typing import Final

from ddxgraph.eval.report.comparison import Configuration, ReportedRun, configurations
from ddxgraph.eval.report.figures import Accuracy, Figures, RunResult
from ddxgraph.eval.report.published import (
    CASES,
    SOURCE,
    CountDiscrepancy,
    MeanDiscrepancy,
    discrepancies,
    published,
)
from ddxgraph.eval.report.runresult import shares
from ddxgraph.eval.statistics.interval import Group, weighted_accuracy

COLUMNS: Final = tuple(CASES)
"""Benchmarks in the order of the published table."""


class Cell(Figures):
    """A run in the table."""

    run: int
    name: str
    accuracy: Accuracy
    tokens: float | None
    """Mean output tokens of a trace."""
    marks: tuple[str, ...]
    """How it differs from a complete run on the whole test split, such as `MedQA dev, 40 of 1,272`."""


class WeightedMean(Figures):
    """Accuracy over the three benchmarks, weighted by their sizes."""

    value: float
    low: float
    high: float
    """95% interval."""


class Row(Figures):
    """A configuration on up to three benchmarks."""

    model: str
    strategy: str
    adapter: str | None
    settings: str
    """Samples, temperature, budget, in words."""
    mean: WeightedMean | None
    """None unless all three whole test splits are present and complete."""
    cells: Mapping[str, Cell]
    """By benchmark."""


class PublishedCell(Figures):
    """A published figure, as printed."""

    accuracy: str
    """Per cent."""
    tokens: int | None


class PublishedRow(Figures):
    """A row of the published table."""

    group: str
    label: str
    mean: str
    """Per cent."""
    cells: Mapping[str, PublishedCell]
    notes: tuple[int, ...]
    """Numbers of its footnotes, from 1."""


class SummaryTable(Figures):
    """The rows of this report and the published ones."""

    rows: tuple[Row, ...]
    source: str
    """Of the published rows."""
    published: tuple[PublishedRow, ...]
    footnotes: tuple[str, ...]
    """Published figures that do not add up."""


def published_beside(rows: Sequence[Row]) -> SummaryTable:
    """The table of these rows and the published ones."""
    odd = discrepancies()
    notes: list[MeanDiscrepancy | CountDiscrepancy] = [*odd.means, *odd.counts]
    return SummaryTable(
        rows=tuple(rows),
        source=SOURCE,
        published=tuple(
            PublishedRow(
                group=row.group,
                label=row.label,
                mean=str(row.mean),
                cells={
                    name: PublishedCell(accuracy=str(figure.accuracy), tokens=figure.tokens)
                    for name, figure in row.figures.items()
                },
                notes=tuple(place for place, note in enumerate(notes, 1) if note.label == row.label),
            )
            for row in published()
        ),
        footnotes=tuple(map(str, notes)),
    )


def summary_rows(runs: Sequence[ReportedRun], seed: int = 0) -> tuple[Row, ...]:
    """One row for each configuration, by model, with its runs on the three benchmarks side by side.

    Runs on other cases have no row.
    """
    rows = [_row(line, seed) for line in configurations([run for run in runs if run.benchmark in COLUMNS])]
    return tuple(sorted(rows, key=lambda row: (row.model, row.adapter or "", row.strategy)))


def _row(line: Configuration, seed: int) -> Row:
    first = next(iter(line.values())).result
    return Row(
        model=first.model,
        strategy=first.strategy,
        adapter=first.adapter,
        settings=settings_in_words(first),
        mean=_mean(line, seed),
        cells={name: _cell(line[name].result) for name in COLUMNS if name in line},
    )


def _cell(run: RunResult) -> Cell:
    return Cell(
        run=run.number,
        name=run.name,
        accuracy=run.accuracy,
        tokens=run.cost.output_tokens.mean if run.cost else None,
        marks=tuple(_marks(run)),
    )


def _mean(line: Configuration, seed: int) -> WeightedMean | None:
    whole = all(run.result.whole_test and not run.result.incomplete for run in line.values())
    if set(line) != set(COLUMNS) or not whole:
        return None
    groups = [Group(shares(run.run), run.result.size) for run in line.values()]
    mean = weighted_accuracy(groups, seed)
    return WeightedMean(value=mean.value, low=mean.interval.low, high=mean.interval.high) if mean else None


def settings_in_words(run: RunResult) -> str:
    """Samples, temperature and budget of a run."""
    parts = [f"{run.samples} sample" + ("s" if run.samples > 1 else "")]
    if "temperature" in run.sampling:
        parts.append(f"temperature {run.sampling['temperature']}")
    if run.strategy == "graph":
        parts.append(f"budget {budget_in_words(run.budget)}")
    return ", ".join(parts)


def budget_in_words(budget: Mapping[str, int]) -> str:
    """A budget, such as `8,000 tokens, 64 calls, 3 backtracks`."""
    return (
        f"{budget['max_tokens']:,} tokens, {budget['max_calls']} calls, {budget['max_backtracks']} backtracks"
    )


def _marks(run: RunResult) -> list[str]:
    marks = [] if run.whole_test else [run.items]
    if "shuffled" in run.drawn:
        marks.append(run.drawn.split(", ")[-1])
    if run.incomplete:
        marks.append(f"incomplete: {run.unscored_traces} of {run.traces} unscored")
    return marks
