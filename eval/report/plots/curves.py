"""Plots of accuracy against output tokens and length."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from ddxgraph.common.words import interval, number, percent
from ddxgraph.eval.report.curves import Curve, CurvePoint, CurveSet, DifficultyLine, LengthProfile
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import (
    handle,
    inside,
    listed,
    log_tokens,
    note,
    percent_axis,
    tag,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import (
    MUTED,
    NumberTable,
    Picture,
    Sign,
    entitle,
    legend,
    picture,
    sheet,
    short,
    sign_of,
)

_NAMED: Final = 3
"""Configurations whose marks have their benchmarks' names beside them; of more, they would cover each other."""
_NEAR: Final = 0.05
"""Of an axis: names at so little distance would cover each other."""


def scaling_plot(name: str, found: CurveSet, runs: Sequence[RunResult]) -> Picture:
    """Accuracy against output tokens: runs, votes and growing budgets on the same axes."""
    figure, axes = sheet()
    entries = []
    for curve in found.scaling:
        sign = sign_of(curve.runs[0])
        _draw_curve(axes, curve, sign)
        torn = any(point.incomplete for point in curve.points)
        entries.append((handle(axes, sign, curve.kind != "single", torn), _entry(curve)))
    points = [point for curve in found.scaling for point in curve.points]
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
    title = f"Accuracy against output tokens: {found.items}"
    entitle(axes, title)
    legend(figure, entries)
    rows = [
        (
            _entry(curve),
            point.label,
            number(point.tokens),
            percent(point.accuracy),
            interval(point),
            "incomplete" if point.incomplete else "",
        )
        for curve in found.scaling
        for point in curve.points
    ]
    alt = f"{title}. " + listed(
        f"{curve.label}{note(any(point.incomplete for point in curve.points))}: "
        + ", ".join(f"{percent(point.accuracy)} at {number(point.tokens)} tokens" for point in _ends(curve))
        for curve in found.scaling
    )
    return picture(
        name,
        title,
        alt,
        NumberTable(("Run", "Point", "Output tokens", "Accuracy", "95% interval", "Note"), tuple(rows)),
        figure,
    )


def _entry(curve: Curve) -> str:
    numbers = ", ".join(map(str, curve.runs))
    extra = ", votes" if curve.kind == "vote" else ""
    return f"{numbers}  {short(curve.label)}{extra}{note(any(point.incomplete for point in curve.points))}"


def _ends(curve: Curve) -> Sequence[CurvePoint]:
    return curve.points if len(curve.points) == 1 else (curve.points[0], curve.points[-1])


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
    """Lines across, named beside the axes, where no mark can be; the names of two that are near stand apart."""
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


def length_plot(name: str, found: CurveSet, torn: Sequence[int]) -> Picture:
    """Accuracy by the length of a case's traces.

    Args:
        name: of its files.
        found: the runs on one set of cases.
        torn: numbers of the incomplete runs.
    """
    figure, axes = sheet()
    drawn = [profile for profile in found.lengths if profile.by_length]
    bands = [band for profile in drawn for band in profile.by_length]
    draw_lengths(axes, drawn, torn)
    entries = [
        (
            handle(axes, sign_of(profile.run), joined=True, incomplete=profile.run in torn),
            f"{profile.run}  {short(profile.name)}{note(profile.run in torn)}",
        )
        for profile in drawn
    ]
    log_tokens(axes, [band.tokens for band in bands])
    percent_axis(axes, [band.low for band in bands], [band.high for band in bands])
    axes.set_xlabel("Output tokens of a trace, means of bands of cases by length (log scale)")
    axes.set_ylabel("Accuracy (%), 95% interval")
    title = f"Accuracy by length: {found.items}"
    entitle(axes, title)
    legend(figure, entries)
    rows = [
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
    ]
    alt = f"{title}. " + listed(
        f"{profile.name}{note(profile.run in torn)}: {percent(profile.by_length[0].accuracy)} on its shortest "
        f"cases, {percent(profile.by_length[-1].accuracy)} on its longest"
        for profile in drawn
    )
    head = ("Run", "Band", "Cases", "Mean output tokens", "Accuracy", "95% interval")
    return picture(name, title, alt, NumberTable(head, tuple(rows)), figure)


def draw_lengths(axes: Axes, drawn: Sequence[LengthProfile], torn: Sequence[int]) -> None:
    """A line a run, a mark a band; the marks of the incomplete runs, whose numbers `torn` holds, are hollow."""
    for profile in drawn:
        sign = sign_of(profile.run)
        own = profile.by_length
        xs, ys = [band.tokens for band in own], [100 * band.accuracy for band in own]
        reach = whiskers((band.accuracy, band.low, band.high) for band in own)
        axes.errorbar(
            xs, ys, yerr=reach, color=sign.colour, marker=sign.marker, linestyle=sign.line,
            markerfacecolor=inside(sign, profile.run in torn), linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
        tag(axes, str(profile.run), xs[-1], ys[-1], sign)


def difficulty_plot(name: str, found: Sequence[DifficultyLine]) -> Picture:
    """Accuracy and length of a configuration on several benchmarks."""
    figure, axes = sheet()
    draw_difficulty(axes, found)
    entries = [(handle(axes, _line_sign(one), joined=True), short(one.label)) for one in found]
    rows = [
        (
            one.label,
            point.items,
            number(point.tokens),
            percent(point.accuracy.value),
            "incomplete" if point.accuracy.bounds else "",
        )
        for one in found
        for point in one.points
    ]
    points = [point for one in found for point in one.points]
    log_tokens(axes, [point.tokens for point in points])
    shares = [point.accuracy.value for point in points]
    percent_axis(axes, shares, shares)
    axes.set_xlabel("Mean output tokens of a trace (log scale)")
    axes.set_ylabel("Accuracy (%)")
    title = "Difficulty against length: one line a configuration, one mark a benchmark"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + listed(
        f"{one.label}: "
        + ", ".join(
            f"{point.items} {percent(point.accuracy.value)}{note(point.accuracy.bounds is not None)} at "
            f"{number(point.tokens)} tokens"
            for point in one.points
        )
        for one in found
    )
    table = NumberTable(("Configuration", "Cases", "Output tokens", "Accuracy", "Note"), tuple(rows))
    return picture(name, title, alt, table, figure)


def draw_difficulty(axes: Axes, found: Sequence[DifficultyLine]) -> None:
    """A line a configuration, a mark a benchmark; the marks of incomplete runs are hollow.

    A mark has its run's number beside it, and the benchmark's name where there are few.
    """
    for one in found:
        sign = _line_sign(one)
        tokens = [point.tokens for point in one.points]
        shares = [100 * point.accuracy.value for point in one.points]
        axes.plot(tokens, shares, color=sign.colour, linestyle=sign.line, linewidth=1.6)
        for point, x, y in zip(one.points, tokens, shares, strict=True):
            torn = point.accuracy.bounds is not None
            axes.plot(
                x, y, color=sign.colour, marker=sign.marker, markerfacecolor=inside(sign, torn), linestyle="none",
            )  # fmt: skip
            words = f" {point.items.split(',')[0]}" if len(found) <= _NAMED else ""
            axes.annotate(
                f"{point.run}{words}{note(torn)}", (x, y), xytext=(7, 4),
                textcoords="offset points", fontsize=8, color=sign.colour,
            )  # fmt: skip


def _line_sign(one: DifficultyLine) -> Sign:
    """The sign of its first run, as that has it in the other plots."""
    return sign_of(min(point.run for point in one.points))
