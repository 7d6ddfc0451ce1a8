"""Plots of accuracies and of their differences."""

from collections.abc import Sequence
from typing import Final

from ddxgraph.common.words import figure as accuracy_in_words
from ddxgraph.common.words import interval, p_value, percent, points, points_interval
from ddxgraph.eval.report.comparison import Comparison
from ddxgraph.eval.report.evaluation import Evaluation
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import called, inside, listed, note, whiskers
from ddxgraph.eval.report.plots.picture import (
    INK,
    MUTED,
    PAGE,
    NumberTable,
    Picture,
    entitle,
    picture,
    sheet,
    short,
    sign_of,
)

MOST_COMPARISONS: Final = 40
"""Comparisons that the forest plot shows; the table has all."""
_NAME: Final = 22
"""Characters of a name where two stand on a line."""
_ITEMS: Final = 30


def accuracy_plot(name: str, runs: Sequence[RunResult]) -> Picture:
    """Every run's accuracy, a row a run, beside what answering without reading the case would score."""
    figure, axes = sheet(height=1.4 + 0.36 * len(runs))
    rows = []
    for place, run in enumerate(runs):
        found, sign, y = run.accuracy, sign_of(run.number), len(runs) - place
        reach = whiskers([(found.value, found.low, found.high)])
        axes.errorbar(
            100 * found.value, y, xerr=reach, color=sign.colour, marker=sign.marker, markersize=7, capsize=3,
            markerfacecolor=inside(sign, run.incomplete), linewidth=1.4,
        )  # fmt: skip
        for level in filter(None, (run.majority, run.chance)):
            axes.plot(100 * level, y, marker="|", markersize=12, color=MUTED)
        floors = tuple("–" if level is None else percent(level) for level in (run.majority, run.chance))
        rows.append((called(run), run.items, accuracy_in_words(found), interval(found), *floors))
    axes.set_ylim(0.4, len(runs) + 0.6)
    axes.set_yticks(
        range(len(runs), 0, -1),
        [
            f"{run.number} {short(run.name, _NAME)}: {short(run.items, _ITEMS)}{note(run.incomplete)}"
            for run in runs
        ],
    )
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlim(-2, 102)
    axes.set_xlabel("Accuracy (%), 95% interval;\nstrokes: guessing, commonest letter")
    title = "Accuracy of each run"
    entitle(axes, title)
    alt = f"{title}. " + listed(
        f"{run.name}, {run.items}: {accuracy_in_words(run.accuracy)} ({interval(run.accuracy)})"
        for run in runs
    )
    head = ("Run", "Cases", "Accuracy", "95% interval", "Commonest letter", "Guessing")
    return picture(name, title, alt, NumberTable(head, tuple(rows)), figure)


def forest_plot(name: str, evaluation: Evaluation) -> Picture:
    """Every paired difference, a row a comparison."""
    made = evaluation.comparisons.made
    numbers = {run.name: run.number for run in evaluation.runs}
    drawn = made[:MOST_COMPARISONS]
    figure, axes = sheet(height=1.4 + 0.36 * len(drawn))
    axes.axvline(0, color=MUTED, linewidth=1.2)
    for place, one in enumerate(drawn):
        x, y = 100 * one.difference, len(drawn) - place
        held = one.significant
        reach = whiskers([(one.difference, one.low, one.high)])
        axes.errorbar(
            x, y, xerr=reach, color=INK, marker="D" if held else "o", markersize=6,
            markerfacecolor=INK if held else PAGE, capsize=3, linewidth=1.4,
        )  # fmt: skip
        axes.annotate(
            f"p {_compared(p_value(one.p_holm))}" + _marked(one), (1.01, y),
            xycoords=("axes fraction", "data"), va="center", fontsize=9, color=INK,
        )  # fmt: skip
    axes.set_ylim(0.4, len(drawn) + 0.6)
    axes.set_yticks(
        range(len(drawn), 0, -1),
        [
            f"{numbers[one.b]} {short(one.b, _NAME)} less {numbers[one.a]} {short(one.a, _NAME)}"
            for one in drawn
        ],
    )
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("Difference in accuracy (points), 95% interval;\nfilled, *: adjusted p < 0.05")
    title = "Paired differences on the same cases"
    entitle(axes, title)
    alt = f"{title}. " + listed(_difference_in_words(one) for one in made)
    rows = [
        (
            _less(one),
            str(one.n),
            points(one.difference),
            points_interval(one),
            p_value(one.p_holm),
        )
        for one in made
    ]
    head = ("Difference", "Cases", "Points", "95% interval", "p, Holm-adjusted")
    return picture(name, title, alt, NumberTable(head, tuple(rows)), figure)


def _marked(one: Comparison) -> str:
    if one.left_out:
        return ", incomplete"
    return " *" if one.significant else ""


def _compared(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _less(one: Comparison) -> str:
    return f"{one.b} less {one.a}{note(bool(one.left_out))}"


def _difference_in_words(one: Comparison) -> str:
    return (
        f"{_less(one)}: {points(one.difference)} points ({points_interval(one)}), adjusted p "
        f"{_compared(p_value(one.p_holm))}"
    )
