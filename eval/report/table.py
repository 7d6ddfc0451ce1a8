"""The summary table, in the shape of Table 1 of Huang et al. 2025 (arXiv 2501.06458), its own rows below."""

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import BaseModel

from ddxgraph.eval.report.comparison import Entrant
from ddxgraph.eval.report.configuration import Configuration, configurations
from ddxgraph.eval.report.published import (
    CASES,
    SOURCE,
    CountDiscrepancy,
    MeanDiscrepancy,
    discrepancies,
    published,
)
from ddxgraph.eval.report.runresult import FROZEN, Accuracy, RunResult, shares
from ddxgraph.eval.statistics.interval import Group, weighted_accuracy

COLUMNS: Final = tuple(CASES)
"""Benchmarks in the order of the published table."""


class Cell(BaseModel):
    """A run in the table."""

    model_config = FROZEN

    run: int
    name: str
    accuracy: Accuracy
    tokens: float | None
    """Mean output tokens of a trace."""
    marks: tuple[str, ...]
    """What sets it apart from a complete run on the whole test split, such as `MedQA dev, 40 of 1,272`."""


class WeightedMean(BaseModel):
    """Accuracy over the three benchmarks, weighted by their sizes."""

    model_config = FROZEN

    value: float
    low: float
    high: float
    """95% interval."""


class Row(BaseModel):
    """A configuration on up to three benchmarks."""

    model_config = FROZEN

    model: str
    strategy: str
    adapter: str | None
    settings: str
    """Samples, temperature, budget, in words."""
    mean: WeightedMean | None
    """None unless all three whole test splits are there and complete."""
    cells: Mapping[str, Cell]
    """By benchmark."""


class PublishedCell(BaseModel):
    """A published figure, as printed."""

    model_config = FROZEN

    accuracy: str
    """Per cent."""
    tokens: int | None


class PublishedRow(BaseModel):
    """A row of the published table."""

    model_config = FROZEN

    group: str
    label: str
    mean: str
    """Per cent."""
    cells: Mapping[str, PublishedCell]
    notes: tuple[int, ...]
    """Footnotes that concern it, from 1."""


class SummaryTable(BaseModel):
    """Rows of this report, and those of the publication."""

    model_config = FROZEN

    rows: tuple[Row, ...]
    source: str
    """Of the published rows."""
    published: tuple[PublishedRow, ...]
    footnotes: tuple[str, ...]
    """What in the published figures does not add up."""


def published_beside(rows: Sequence[Row]) -> SummaryTable:
    """Rows of this report with the published ones."""
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
                    name: PublishedCell(accuracy=str(found.accuracy), tokens=found.tokens)
                    for name, found in row.figures.items()
                },
                notes=tuple(place for place, note in enumerate(notes, 1) if note.label == row.label),
            )
            for row in published()
        ),
        footnotes=tuple(map(str, notes)),
    )


def summary_rows(
    entrants: Sequence[Entrant], results: Mapping[str, RunResult], *, seed: int = 0
) -> tuple[Row, ...]:
    """The rows of these runs: one a configuration, so that its runs on the three benchmarks stand side by side.

    Args:
        entrants: the runs; those that took no benchmark have no row.
        results: their figures, by name.
        seed: of the bootstrap.
    """
    known = [one for one in entrants if results[one.name].benchmark in COLUMNS]
    rows = [_row(line, results, seed) for line in configurations(known)]
    return tuple(sorted(rows, key=lambda row: (row.model, row.adapter or "", row.strategy)))


def _row(line: Configuration, results: Mapping[str, RunResult], seed: int) -> Row:
    found = {benchmark: results[one.name] for benchmark, one in line.items()}
    one = next(iter(found.values()))
    return Row(
        model=one.model,
        strategy=one.strategy,
        adapter=one.adapter,
        settings=settings_in_words(one),
        mean=_mean(line, found, seed),
        cells={name: _cell(found[name]) for name in COLUMNS if name in found},
    )


def _cell(found: RunResult) -> Cell:
    return Cell(
        run=found.number,
        name=found.name,
        accuracy=found.accuracy,
        tokens=found.cost.output_tokens.mean if found.cost else None,
        marks=tuple(_marks(found)),
    )


def _mean(line: Configuration, found: Mapping[str, RunResult], seed: int) -> WeightedMean | None:
    whole = all(one.whole_test and not one.incomplete for one in found.values())
    if set(found) != set(COLUMNS) or not whole:
        return None
    groups = [Group(shares(one.run, one.by_case), found[name].size) for name, one in line.items()]
    mean = weighted_accuracy(groups, seed)
    return WeightedMean(value=mean.value, low=mean.interval.low, high=mean.interval.high) if mean else None


def settings_in_words(found: RunResult) -> str:
    """Samples, temperature and budget of a run."""
    said = [f"{found.samples} sample" + ("s" if found.samples > 1 else "")]
    if "temperature" in found.sampling:
        said.append(f"temperature {found.sampling['temperature']}")
    if found.strategy == "graph":
        budget = found.budget
        said.append(
            f"budget {budget['max_tokens']:,} tokens, {budget['max_calls']} calls, "
            f"{budget['max_backtracks']} backtracks"
        )
    return ", ".join(said)


def _marks(found: RunResult) -> list[str]:
    marks = [] if found.whole_test else [found.items]
    if "shuffled" in found.drawn:
        marks.append(found.drawn.split(", ")[-1])
    if found.incomplete:
        marks.append(f"incomplete: {found.unscored_traces} of {found.traces} unscored")
    return marks
