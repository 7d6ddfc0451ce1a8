"""Plots of accuracies and of their differences."""

from collections.abc import Sequence
from typing import Final

from ddxgraph.common.words import figure as accuracy_in_words
from ddxgraph.common.words import interval, p_value, percent, points, points_interval
from ddxgraph.eval.report.comparison import Comparison
from ddxgraph.eval.report.evaluation import Evaluation
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import called, finished, marks, name_rows, note, whiskers
from ddxgraph.eval.report.plots.picture import INK, MUTED, NumberTable, Picture, Sign, sheet, short, sign_of

MOST_COMPARISONS: Final = 40
"""Comparisons that the forest plot shows; the table has all."""
_NAME: Final = 22
"""Characters of a name where two share a line."""
_ITEMS: Final = 30


def accuracy_plot(name: str, runs: Sequence[RunResult]) -> Picture:
    """The accuracy of each run, one row a run, beside the accuracy of answering without reading the case."""
    _, axes = sheet(height=1.4 + 0.36 * len(runs))
    rows = []
    for place, run in enumerate(runs):
        accuracy, y = run.accuracy, len(runs) - place
        reach = whiskers([(accuracy.value, accuracy.low, accuracy.high)])
        sign, x = sign_of(run.number), 100 * accuracy.value
        marks(axes, x, y, sign, incomplete=run.incomplete, xerr=reach, markersize=7, capsize=3, linewidth=1.4)
        for level in filter(None, (run.majority, run.chance)):
            axes.plot(100 * level, y, marker="|", markersize=12, color=MUTED)
        floors = (percent(run.majority), percent(run.chance))
        rows.append((called(run), run.items, accuracy_in_words(accuracy), interval(accuracy), *floors))
    name_rows(
        axes,
        [
            f"{run.number} {short(run.name, _NAME)}: {short(run.items, _ITEMS)}{note(run.incomplete)}"
            for run in runs
        ],
    )
    axes.set_xlim(-2, 102)
    axes.set_xlabel("Accuracy (%), 95% interval;\nstrokes: guessing, commonest letter")
    series = (
        f"{run.name}, {run.items}: {accuracy_in_words(run.accuracy)} ({interval(run.accuracy)})"
        for run in runs
    )
    head = ("Run", "Cases", "Accuracy", "95% interval", "Commonest letter", "Guessing")
    return finished(name, "Accuracy of each run", axes, series=series, table=NumberTable(head, tuple(rows)))


def forest_plot(name: str, evaluation: Evaluation) -> Picture:
    """The paired differences, one row a comparison."""
    made = evaluation.comparisons.made
    numbers = {run.name: run.number for run in evaluation.runs}
    drawn = made[:MOST_COMPARISONS]
    _, axes = sheet(height=1.4 + 0.36 * len(drawn))
    axes.axvline(0, color=MUTED, linewidth=1.2)
    for place, row in enumerate(drawn):
        x, y = 100 * row.difference, len(drawn) - place
        sign = Sign(INK, "D" if row.significant else "o", "-")
        reach = whiskers([(row.difference, row.low, row.high)])
        marks(
            axes,
            x,
            y,
            sign,
            incomplete=not row.significant,
            xerr=reach,
            markersize=6,
            capsize=3,
            linewidth=1.4,
        )
        axes.annotate(
            f"p {_compared(p_value(row.p_holm))}" + _marked(row), (1.01, y),
            xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK,
        )  # fmt: skip
    name_rows(
        axes,
        [
            f"{numbers[row.b]} {short(row.b, _NAME)} less {numbers[row.a]} {short(row.a, _NAME)}"
            for row in drawn
        ],
    )
    axes.set_xlabel("Difference in accuracy (points), 95% interval;\nfilled, *: adjusted p < 0.05")
    rows = tuple(
        (_less(row), str(row.n), points(row.difference), points_interval(row), p_value(row.p_holm))
        for row in made
    )
    series = (
        f"{_less(row)}: {points(row.difference)} points ({points_interval(row)}), adjusted p "
        f"{_compared(p_value(row.p_holm))}"
        for row in made
    )
    head = ("Difference", "Cases", "Points", "95% interval", "p, Holm-adjusted")
    title = "Paired differences on the same cases"
    return finished(name, title, axes, series=series, table=NumberTable(head, rows))


def _marked(row: Comparison) -> str:
    if row.left_out:
        return ", incomplete"
    return " *" if row.significant else ""


def _compared(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _less(row: Comparison) -> str:
    return f"{row.b} less {row.a}{note(bool(row.left_out))}"
