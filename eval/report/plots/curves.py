"""Plots of accuracy against output tokens and length."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from ddxgraph.common.words import interval, number, percent
from ddxgraph.eval.report.curves import Curve, CurveSet, DifficultyLine, LengthProfile
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import (
    entry,
    finished,
    handle,
    inside,
    log_tokens,
    marks,
    note,
    percent_axis,
    tag,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import MUTED, NumberTable, Picture, Sign, sheet, short, sign_of

_NAMED: Final = 3
"""Configurations up to which marks are labelled with their benchmarks; more labels would overlap."""
_NEAR: Final = 0.05
"""Share of an axis within which two labels would overlap."""


def scaling_plot(name: str, curves: CurveSet, runs: Sequence[RunResult]) -> Picture:
    """Accuracy against output tokens: runs, votes and growing budgets on the same axes.

    Args:
        name: of its files.
        curves: of the runs on one set of cases.
        runs: these runs.

    Returns:
        The picture.
    """
    _, axes = sheet()
    entries = []
    for curve in curves.scaling:
        sign = sign_of(curve.runs[0])
        _draw_curve(axes, curve, sign)
        entries.append((handle(axes, sign, curve.kind != "single", _is_torn(curve)), _entry(curve)))
    points = [point for curve in curves.scaling for point in curve.points]
    floors = _floors(runs)
    log_tokens(axes, [point.tokens for point in points])
    percent_axis(
        axes,
        [point.low for point in points] + [level for level, *_ in floors],
        [point.high for point in points],
    )
    _draw_floors(axes, floors)
    axes.set_xlabel("Mean output tokens a case (all samples, nodes, retries, repairs; log scale)")
    axes.set_ylabel("Accuracy (%), 95% interval")
    rows = tuple(
        (
            _entry(curve),
            point.label,
            number(point.tokens),
            percent(point.accuracy),
            interval(point),
            "incomplete" if point.incomplete else "",
        )
        for curve in curves.scaling
        for point in curve.points
    )
    series = (
        f"{curve.label}{note(_is_torn(curve))}: "
        + ", ".join(
            f"{percent(point.accuracy)} at {number(point.tokens)} tokens"
            for point in dict.fromkeys((curve.points[0], curve.points[-1]))
        )
        for curve in curves.scaling
    )
    table = NumberTable(("Run", "Point", "Output tokens", "Accuracy", "95% interval", "Note"), rows)
    title = f"Accuracy against output tokens: {curves.items}"
    return finished(name, title, axes, series=series, table=table, entries=entries)


def _is_torn(curve: Curve) -> bool:
    return any(point.incomplete for point in curve.points)


def _entry(curve: Curve) -> str:
    numbers = ", ".join(map(str, curve.runs))
    extra = ", votes" if curve.kind == "vote" else ""
    return f"{numbers}  {short(curve.label)}{extra}{note(_is_torn(curve))}"


def _draw_curve(axes: Axes, curve: Curve, sign: Sign) -> None:
    tokens = [point.tokens for point in curve.points]
    shares = [100 * point.accuracy for point in curve.points]
    reach = whiskers((point.accuracy, point.low, point.high) for point in curve.points)
    axes.errorbar(
        tokens, shares, yerr=reach, color=sign.colour, linestyle=sign.line, linewidth=1.6,
        capsize=3, elinewidth=1,
    )  # fmt: skip
    for point, x, y in zip(curve.points, tokens, shares, strict=True):
        axes.plot(
            x, y, marker=sign.marker, markersize=7, color=sign.colour,
            markerfacecolor=inside(sign, point.incomplete), zorder=3,
        )  # fmt: skip
    if curve.kind == "budget":
        for run, x, y in zip(curve.runs, tokens, shares, strict=True):
            tag(axes, str(run), x, y, sign)
    else:
        tag(axes, str(curve.runs[0]), tokens[-1], shares[-1], sign)


def _floors(runs: Sequence[RunResult]) -> list[tuple[float, str, str]]:
    """What a run must beat: accuracy, words, line."""
    first = runs[0]
    floors = []
    if first.majority is not None:
        floors.append((first.majority, f"always {first.majority_letter}", "--"))
    if first.chance is not None:
        floors.append((first.chance, "guessing", ":"))
    return floors


def _draw_floors(axes: Axes, floors: Sequence[tuple[float, str, str]]) -> None:
    """Lines across, labelled beside the axes, where no mark can be; labels of two close lines are moved apart."""
    low, high = axes.get_ylim()
    levels = [100 * level for level, *_ in floors]
    near = len(levels) > 1 and max(levels) - min(levels) < _NEAR * (high - low)
    for level, (_, words, line) in zip(levels, floors, strict=True):
        axes.axhline(level, color=MUTED, linestyle=line, linewidth=1.2)
        above = "bottom" if level == max(levels) else "top"
        axes.annotate(
            words, (1.01, level), xycoords=("axes fraction", "data"), ha="left", va=above if near else "center",
            fontsize=8, color=MUTED,
        )  # fmt: skip


def length_plot(name: str, curves: CurveSet, torn: Sequence[int]) -> Picture:
    """Accuracy by the length of a case's traces.

    Args:
        name: of its files.
        curves: of the runs on one set of cases.
        torn: numbers of the incomplete runs.

    Returns:
        The picture.
    """
    _, axes = sheet()
    drawn = [profile for profile in curves.lengths if profile.by_length]
    bands = [band for profile in drawn for band in profile.by_length]
    draw_lengths(axes, drawn, torn)
    entries = [entry(axes, profile.run, profile.name, profile.run in torn) for profile in drawn]
    log_tokens(axes, [band.tokens for band in bands])
    percent_axis(axes, [band.low for band in bands], [band.high for band in bands])
    axes.set_xlabel("Output tokens of a trace, means of bands of cases by length (log scale)")
    axes.set_ylabel("Accuracy (%), 95% interval")
    rows = tuple(
        (
            profile.name + note(profile.run in torn),
            band.label,
            str(band.cases),
            number(band.tokens),
            percent(band.accuracy),
            interval(band),
        )
        for profile in drawn
        for band in profile.by_length
    )
    series = (
        f"{profile.name}{note(profile.run in torn)}: {percent(profile.by_length[0].accuracy)} on its shortest "
        f"cases, {percent(profile.by_length[-1].accuracy)} on its longest"
        for profile in drawn
    )
    head = ("Run", "Band", "Cases", "Mean output tokens", "Accuracy", "95% interval")
    title = f"Accuracy by length: {curves.items}"
    return finished(name, title, axes, series=series, table=NumberTable(head, rows), entries=entries)


def draw_lengths(axes: Axes, drawn: Sequence[LengthProfile], torn: Sequence[int]) -> None:
    """A line a run, a mark a band; the marks of the incomplete runs are hollow.

    Args:
        axes: to draw on.
        drawn: profiles with bands.
        torn: numbers of the incomplete runs.
    """
    for profile in drawn:
        sign, own = sign_of(profile.run), profile.by_length
        xs, ys = [band.tokens for band in own], [100 * band.accuracy for band in own]
        reach = whiskers((band.accuracy, band.low, band.high) for band in own)
        marks(
            axes, xs, ys, sign, incomplete=profile.run in torn, yerr=reach, linestyle=sign.line, linewidth=1.6,
            elinewidth=0.8, capsize=2,
        )  # fmt: skip
        tag(axes, str(profile.run), xs[-1], ys[-1], sign)


def difficulty_plot(name: str, lines: Sequence[DifficultyLine]) -> Picture:
    """Accuracy and length of a configuration on several benchmarks."""
    _, axes = sheet()
    draw_difficulty(axes, lines)
    entries = [(handle(axes, _line_sign(line), joined=True), short(line.label)) for line in lines]
    points = [(line, point) for line in lines for point in line.points]
    rows = tuple(
        (
            line.label,
            point.items,
            number(point.tokens),
            percent(point.accuracy.value),
            "incomplete" if point.accuracy.bounds else "",
        )
        for line, point in points
    )
    shares = [point.accuracy.value for _, point in points]
    log_tokens(axes, [point.tokens for _, point in points])
    percent_axis(axes, shares, shares)
    axes.set_xlabel("Mean output tokens of a trace (log scale)")
    axes.set_ylabel("Accuracy (%)")
    title = "Difficulty against length: one line a configuration, one mark a benchmark"
    series = (
        f"{line.label}: "
        + ", ".join(
            f"{point.items} {percent(point.accuracy.value)}{note(point.accuracy.bounds is not None)} at "
            f"{number(point.tokens)} tokens"
            for point in line.points
        )
        for line in lines
    )
    table = NumberTable(("Configuration", "Cases", "Output tokens", "Accuracy", "Note"), rows)
    return finished(name, title, axes, series=series, table=table, entries=entries)


def draw_difficulty(axes: Axes, lines: Sequence[DifficultyLine]) -> None:
    """A line a configuration, a mark a benchmark; the marks of incomplete runs are hollow.

    Marks are labelled with their run's number and, if there are few, with the benchmark's name.
    """
    for line in lines:
        sign = _line_sign(line)
        tokens = [point.tokens for point in line.points]
        shares = [100 * point.accuracy.value for point in line.points]
        axes.plot(tokens, shares, color=sign.colour, linestyle=sign.line, linewidth=1.6)
        for point, x, y in zip(line.points, tokens, shares, strict=True):
            torn = point.accuracy.bounds is not None
            axes.plot(
                x, y, color=sign.colour, marker=sign.marker, markerfacecolor=inside(sign, torn), linestyle="none",
            )  # fmt: skip
            words = f" {point.items.split(',')[0]}" if len(lines) <= _NAMED else ""
            axes.annotate(
                f"{point.run}{words}{note(torn)}", (x, y), xytext=(7, 4),
                textcoords="offset points", fontsize=8, color=sign.colour,
            )  # fmt: skip


def _line_sign(line: DifficultyLine) -> Sign:
    """The sign of its first run, the same as in the other plots."""
    return sign_of(min(point.run for point in line.points))
