"""The plot of models under strategies, with the published rows."""

from typing import Final

from matplotlib.axes import Axes

from ddxgraph.common.words import figure as accuracy_in_words
from ddxgraph.common.words import interval, model_in_words, percent
from ddxgraph.eval.report.models import ModelSet
from ddxgraph.eval.report.plots.axes import PUBLISHED, inside, listed, note, published_handle, whiskers
from ddxgraph.eval.report.plots.picture import (
    INK,
    MUTED,
    PAGE,
    NumberTable,
    Picture,
    entitle,
    legend,
    picture,
    sheet,
    short,
    sign_of,
)

_NAME: Final = 30
"""Characters of a model's name where others stand on its line."""


def model_plot(name: str, found: ModelSet) -> Picture:
    """Every model under every strategy, a row each; the published rows below."""
    rows = len(found.own) + len(found.published)
    figure, axes = sheet(height=1.5 + 0.25 * rows)
    draw_models(axes, found)
    if found.published:
        legend(figure, [(published_handle(axes), "published, on whole test splits; without intervals")])
    kind = "Mean accuracy" if len(found.benchmarks) > 1 else "Accuracy"
    title = f"{kind} by model and strategy: {found.items}"
    entitle(axes, title)
    alt = f"{title}. " + listed(
        f"{model_in_words(one.model, one.adapter)}, {one.strategy}: "
        f"{accuracy_in_words(one.accuracy)} ({interval(one.accuracy)})"
        for one in found.own
    )
    head = ("Model", "Strategy", "Run", "Accuracy", "95% interval", "Note")
    return picture(name, title, alt + _published_range(found), NumberTable(head, _model_rows(found)), figure)


def draw_models(axes: Axes, found: ModelSet) -> None:
    """The runs' marks with their intervals above, the published ones below; accuracies in per cent."""
    rows = len(found.own) + len(found.published)
    labels = []
    for place, one in enumerate(found.own):
        told, sign, y = one.accuracy, sign_of(min(one.runs)), rows - place
        reach = whiskers([(told.value, told.low, told.high)])
        torn = told.bounds is not None
        axes.errorbar(
            100 * told.value, y, xerr=reach, color=sign.colour, marker=sign.marker, markersize=7, capsize=3,
            markerfacecolor=inside(sign, torn), linewidth=1.4,
        )  # fmt: skip
        numbers = ", ".join(map(str, one.runs))
        labels.append(
            f"{numbers} {short(model_in_words(one.model, one.adapter), _NAME)}, {one.strategy}{note(torn)}"
        )
    for place, row in enumerate(found.published, len(found.own)):
        axes.plot(
            100 * row.accuracy, rows - place, color=MUTED, marker=PUBLISHED.marker, markersize=6,
            markerfacecolor=PAGE, linestyle="none",
        )  # fmt: skip
        labels.append(f"published: {row.model}, {row.strategy}")
    if found.published:
        axes.axhline(len(found.published) + 0.5, color=MUTED, linewidth=0.8)
    axes.set_ylim(0.4, rows + 0.6)
    axes.set_yticks(range(rows, 0, -1), labels, fontsize=9)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(-2, 102)
    mean = ";\nmean weighted by the benchmarks' sizes" if len(found.benchmarks) > 1 else ""
    axes.set_xlabel(f"Accuracy (%), 95% interval{mean}")


def _model_rows(found: ModelSet) -> tuple[tuple[str, ...], ...]:
    own = [
        (
            model_in_words(one.model, one.adapter),
            one.strategy,
            "; ".join(f"{number} {name}" for number, name in zip(one.runs, one.names, strict=True)),
            accuracy_in_words(one.accuracy),
            interval(one.accuracy),
            one.settings,
        )
        for one in found.own
    ]
    told = [
        (
            row.model,
            row.strategy,
            "published",
            percent(row.accuracy, 2),
            "–",
            f"by its own figures; its mean is printed as {row.printed}%" if row.printed else "",
        )
        for row in found.published
    ]
    return (*own, *told)


def _published_range(found: ModelSet) -> str:
    if not found.published:
        return ""
    ranked = sorted(found.published, key=lambda row: row.accuracy)
    low, high = (f"{percent(row.accuracy)} ({row.model}, {row.strategy})" for row in (ranked[0], ranked[-1]))
    return f" Published, below them: {len(ranked)} rows from {low} to {high}, in the table below."
