"""The pictures of an experiment: accuracy by arm, by level, and against all that is spent; and length by level.

They have the shape of figures 2, 3 and 5 of arXiv 2501.06458.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddxgraph.common.words import interval, number, percent
from ddxgraph.eval.report.plots.axes import handle, listed, log_tokens, percent_axis, whiskers
from ddxgraph.eval.report.plots.picture import (
    MUTED,
    SERIES,
    NumberTable,
    Picture,
    entitle,
    legend,
    picture,
    sheet,
    sign_of,
)
from ddxgraph.experiment.results import ArmResult
from ddxgraph.experiment.share import Share
from ddxgraph.experiment.spending import SpentCurve

_ASIDE: Final = 0.03
"""How far apart the marks of two arms stand at the same level, in levels, so that intervals can be told apart."""
_SEED_ASIDE: Final = 0.24
"""How far apart the marks of two seeds stand in an arm's row, in rows."""


class _Facts(Protocol):
    """A level's test cases."""

    @property
    def level(self) -> int: ...

    @property
    def majority(self) -> Share: ...


def arms_plot(name: str, results: Sequence[ArmResult], facts: Sequence[_Facts]) -> Picture:
    """Accuracy of each arm over all levels, a mark a seed.

    Args:
        name: of the picture.
        results: of the arms.
        facts: of the levels.

    Returns:
        The picture.
    """
    names = list(dict.fromkeys(one.name for one in results))
    seeds = sorted({one.seed for one in results if one.seed is not None})
    figure, axes = sheet(height=1.6 + 0.42 * len(names))
    for one in results:
        aside = 0.0 if one.seed is None else _off_centre(seeds.index(one.seed), len(seeds)) * _SEED_ASIDE
        _arm_mark(axes, one, names.index(one.name) + aside)
    commonest = sum(one.majority.count for one in facts) / sum(one.majority.of for one in facts)
    axes.axvline(100 * commonest, color=MUTED, linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 100)
    axes.set_xlabel("Accuracy over all levels (%), 95% interval; dashed: commonest letter")
    title = "Accuracy by what the student was trained on, a mark a seed"
    entitle(axes, title)
    rows = tuple(
        (
            one.name,
            "–" if one.seed is None else str(one.seed),
            percent(one.accuracy.value),
            interval(one.accuracy),
        )
        for one in results
    )
    told = (
        f"{arm}: {' and '.join(percent(one.accuracy.value) for one in results if one.name == arm)}"
        for arm in names
    )
    head = ("Arm", "Seed", "Accuracy", "95% interval")
    return picture(name, title, f"{title}. {listed(told)}", NumberTable(head, rows), figure)


def _arm_mark(axes: Axes, one: ArmResult, y: float) -> None:
    share, sign = one.accuracy, sign_of(1 if one.seed is not None else len(SERIES))
    reach = whiskers([(share.value, share.low, share.high)])
    axes.errorbar(
        [100 * share.value], [y], xerr=reach, color=sign.colour, marker=sign.marker, linestyle="none",
        elinewidth=1.2, capsize=2,
    )  # fmt: skip


def _off_centre(place: int, of: int) -> float:
    """Places from the middle of so many; the first is 0."""
    return place - (of - 1) / 2


def level_plot(name: str, seed: int, results: Sequence[ArmResult], facts: Sequence[_Facts]) -> Picture:
    """Accuracy by level on the left, mean output tokens by level on the right; a line an arm.

    Args:
        name: of the picture.
        seed: of the arms.
        results: of the arms.
        facts: of the levels.

    Returns:
        The picture.
    """
    figure = Figure(figsize=(10.0, 4.8), layout="constrained")
    right, long = figure.subplots(1, 2)
    entries = []
    for place, one in enumerate(results, 1):
        sign = sign_of(place)
        aside = _off_centre(place - 1, len(results)) * _ASIDE
        xs = [level.level + aside for level in one.levels]
        shares = [100 * level.accuracy.value for level in one.levels]
        reach = whiskers(
            (level.accuracy.value, level.accuracy.low, level.accuracy.high) for level in one.levels
        )
        look = {"color": sign.colour, "marker": sign.marker, "linestyle": sign.line, "linewidth": 1.6}
        right.errorbar(xs, shares, yerr=reach, elinewidth=0.8, capsize=2, **look)
        long.plot(xs, [level.output_tokens for level in one.levels], **look)
        entries.append((handle(right, sign, joined=True), one.name))
    (commonest,) = right.plot(
        [one.level for one in facts], [100 * one.majority.value for one in facts],
        color=MUTED, linestyle="--", linewidth=1.2,
    )  # fmt: skip
    entries.append((commonest, "commonest letter"))
    levels = [level for one in results for level in one.levels]
    for axes in (right, long):
        axes.set_xticks(sorted({level.level for level in levels}))
        axes.set_xlabel("Level of difficulty")
    percent_axis(
        right,
        [level.accuracy.low for level in levels] + [one.majority.value for one in facts],
        [level.accuracy.high for level in levels],
    )
    right.set_ylabel("Accuracy (%), 95% interval")
    long.set_ylabel("Mean output tokens a case")
    long.set_ylim(bottom=0)
    title = f"Accuracy and length by level, seed {seed}"
    entitle(right, title)
    legend(figure, entries)
    rows = [
        (
            one.name,
            str(level.level),
            percent(level.accuracy.value),
            interval(level.accuracy),
            number(level.output_tokens),
        )
        for one in results
        for level in one.levels
    ]
    alt = f"{title}. " + listed(
        f"{one.name}: {', '.join(percent(level.accuracy.value) for level in one.levels)}" for one in results
    )
    head = ("Arm", "Level", "Accuracy", "95% interval", "Output tokens")
    return picture(name, title, alt, NumberTable(head, tuple(rows)), figure)


def spending_plot(name: str, seed: int, curves: Sequence[SpentCurve]) -> Picture:
    """Accuracy against tokens in all, prompts included: votes, and the graph under budgets.

    Args:
        name: of the picture.
        seed: of the curves.
        curves: votes and budgets.

    Returns:
        The picture.
    """
    figure, axes = sheet()
    entries = []
    points = [point for curve in curves for point in curve.points]
    for place, curve in enumerate(curves, 1):
        sign = sign_of(place)
        reach = whiskers((point.accuracy, point.low, point.high) for point in curve.points)
        axes.errorbar(
            [point.tokens for point in curve.points], [100 * point.accuracy for point in curve.points],
            yerr=reach, color=sign.colour, marker=sign.marker, linestyle=sign.line, linewidth=1.6,
            elinewidth=0.8, capsize=2,
        )  # fmt: skip
        entries.append((handle(axes, sign, joined=True), curve.label))
    log_tokens(axes, [point.tokens for point in points])
    percent_axis(axes, [point.low for point in points], [point.high for point in points])
    axes.set_xlabel("Mean tokens a case, prompts of all calls and samples included (log scale)")
    axes.set_ylabel("Accuracy (%), 95% interval")
    title = f"Accuracy against tokens in all, seed {seed}"
    entitle(axes, title)
    legend(figure, entries)
    rows = tuple(
        (curve.label, point.label, number(point.tokens), percent(point.accuracy), interval(point))
        for curve in curves
        for point in curve.points
    )
    alt = f"{title}. " + listed(
        f"{curve.label}: {percent(curve.points[-1].accuracy)} at {number(curve.points[-1].tokens)} tokens"
        for curve in curves
    )
    head = ("Series", "Point", "Tokens in all", "Accuracy", "95% interval")
    return picture(name, title, alt, NumberTable(head, rows), figure)
