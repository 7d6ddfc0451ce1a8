"""The plot of models under strategies, with the published rows."""

from typing import Final

from matplotlib.axes import Axes

from ddxgraph.common.words import figure as accuracy_in_words
from ddxgraph.common.words import interval, model_in_words, percent
from ddxgraph.eval.report.models import ModelSet
from ddxgraph.eval.report.plots.axes import (
    PUBLISHED,
    finished,
    marks,
    name_rows,
    note,
    published_handle,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import MUTED, PAGE, NumberTable, Picture, sheet, short, sign_of

_NAME: Final = 30
"""Characters of a model's name where others share its line."""


def model_plot(name: str, models: ModelSet) -> Picture:
    """Every model under every strategy, one row each; the published rows below."""
    _, axes = sheet(height=1.5 + 0.25 * (len(models.own) + len(models.published)))
    draw_models(axes, models)
    entries, beside = [], ""
    if models.published:
        entries = [(published_handle(axes), "published, on whole test splits; without intervals")]
        ranked = sorted(models.published, key=lambda row: row.accuracy)
        low, high = (
            f"{percent(row.accuracy)} ({row.model}, {row.strategy})" for row in (ranked[0], ranked[-1])
        )
        beside = f" Published, below them: {len(ranked)} rows from {low} to {high}, in the table below."
    series = (
        f"{model_in_words(row.model, row.adapter)}, {row.strategy}: "
        f"{accuracy_in_words(row.accuracy)} ({interval(row.accuracy)})"
        for row in models.own
    )
    kind = "Mean accuracy" if len(models.benchmarks) > 1 else "Accuracy"
    head = ("Model", "Strategy", "Run", "Accuracy", "95% interval", "Note")
    return finished(
        name,
        f"{kind} by model and strategy: {models.items}",
        axes,
        series=series,
        table=NumberTable(head, _model_rows(models)),
        entries=entries,
        beside=beside,
    )


def draw_models(axes: Axes, models: ModelSet) -> None:
    """The runs' marks with their intervals on top, the published marks below; accuracies in per cent."""
    rows = len(models.own) + len(models.published)
    labels = []
    for place, row in enumerate(models.own):
        accuracy, sign, y = row.accuracy, sign_of(min(row.runs)), rows - place
        reach = whiskers([(accuracy.value, accuracy.low, accuracy.high)])
        torn, x = accuracy.bounds is not None, 100 * accuracy.value
        marks(axes, x, y, sign, incomplete=torn, xerr=reach, markersize=7, capsize=3, linewidth=1.4)
        numbers = ", ".join(map(str, row.runs))
        labels.append(
            f"{numbers} {short(model_in_words(row.model, row.adapter), _NAME)}, {row.strategy}{note(torn)}"
        )
    for place, known in enumerate(models.published, len(models.own)):
        axes.plot(
            100 * known.accuracy, rows - place, color=MUTED, marker=PUBLISHED.marker, markersize=6,
            markerfacecolor=PAGE, linestyle="none",
        )  # fmt: skip
        labels.append(f"published: {known.model}, {known.strategy}")
    if models.published:
        axes.axhline(len(models.published) + 0.5, color=MUTED, linewidth=0.8)
    name_rows(axes, labels, fontsize=9)
    axes.set_xlim(-2, 102)
    mean = ";\nmean weighted by the benchmarks' sizes" if len(models.benchmarks) > 1 else ""
    axes.set_xlabel(f"Accuracy (%), 95% interval{mean}")


def _model_rows(models: ModelSet) -> tuple[tuple[str, ...], ...]:
    own = [
        (
            model_in_words(row.model, row.adapter),
            row.strategy,
            "; ".join(f"{number} {name}" for number, name in zip(row.runs, row.names, strict=True)),
            accuracy_in_words(row.accuracy),
            interval(row.accuracy),
            row.settings,
        )
        for row in models.own
    ]
    published = [
        (
            row.model,
            row.strategy,
            "published",
            percent(row.accuracy, 2),
            "–",
            f"by its own figures; its mean is printed as {row.printed}%" if row.printed else "",
        )
        for row in models.published
    ]
    return (*own, *published)
