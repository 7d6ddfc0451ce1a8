"""Plots of accuracy against output tokens and length."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from ddxgraph.eval.axes import above_zero, handle, listed, log_tokens, note, percent_axis, tag
from ddxgraph.eval.curves import Curve, CurvePoint, CurveSet, DifficultyLine
from ddxgraph.eval.picture import (
    MUTED,
    PAGE,
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
from ddxgraph.eval.runresult import RunResult
from ddxgraph.eval.wording import interval, number, percent


def scaling_plot(name: str, found: CurveSet, runs: Sequence[RunResult]) -> Picture:
    """Accuracy against output tokens: runs, votes and growing budgets on the same axes."""
    figure, axes = sheet()
    entries = []
    for curve in found.scaling:
        sign = sign_of(curve.runs[0])
        _draw_curve(axes, curve, sign)
        entries.append((handle(axes, sign, curve.kind != "single"), _entry(curve)))
    points = [point for curve in found.scaling for point in curve.points]
    for level, words, line in _floors(runs):
        axes.axhline(100 * level, color=MUTED, linestyle=line, linewidth=1.2)
        axes.annotate(
            words, (1, 100 * level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8,
            color=MUTED, xytext=(0, 1), textcoords="offset points",
        )  # fmt: skip
    log_tokens(axes, [point.tokens for point in points])
    percent_axis(
        axes,
        [point.low for point in points] + [level for level, *_ in _floors(runs)],
        [point.high for point in points],
    )
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
    reach = [
        [100 * (point.accuracy - point.low) for point in curve.points],
        [100 * (point.high - point.accuracy) for point in curve.points],
    ]
    axes.errorbar(
        tokens, shares, yerr=above_zero(reach), color=sign.colour, linestyle=sign.line, linewidth=1.6,
        capsize=3, elinewidth=1,
    )  # fmt: skip
    for point, x, y in zip(curve.points, tokens, shares, strict=True):
        face = PAGE if point.incomplete else sign.colour
        axes.plot(x, y, marker=sign.marker, markersize=7, color=sign.colour, markerfacecolor=face, zorder=3)
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


def length_plot(name: str, found: CurveSet, torn: Sequence[int]) -> Picture:
    """Accuracy by the length of a case's traces."""
    figure, axes = sheet()
    entries = []
    drawn = [profile for profile in found.lengths if profile.by_length]
    bands = [band for profile in drawn for band in profile.by_length]
    for profile in drawn:
        sign = sign_of(profile.run)
        own = profile.by_length
        xs, ys = [band.tokens for band in own], [100 * band.accuracy for band in own]
        reach = [
            [100 * (band.accuracy - band.low) for band in own],
            [100 * (band.high - band.accuracy) for band in own],
        ]
        axes.errorbar(
            xs, ys, yerr=above_zero(reach), color=sign.colour, marker=sign.marker, linestyle=sign.line,
            linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
        tag(axes, str(profile.run), xs[-1], ys[-1], sign)
        entries.append(
            (
                handle(axes, sign, joined=True),
                f"{profile.run}  {short(profile.name)}{note(profile.run in torn)}",
            )
        )
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


def difficulty_plot(name: str, found: Sequence[DifficultyLine]) -> Picture:
    """Accuracy and length of a configuration on several benchmarks."""
    figure, axes = sheet()
    entries, rows = [], []
    for place, one in enumerate(found, 1):
        sign = sign_of(place)
        tokens = [point.tokens for point in one.points]
        shares = [100 * point.accuracy.value for point in one.points]
        axes.plot(tokens, shares, color=sign.colour, marker=sign.marker, linestyle=sign.line, linewidth=1.6)
        for point, x, y in zip(one.points, tokens, shares, strict=True):
            axes.annotate(
                f"{point.run} {point.items.split(',')[0]}", (x, y), xytext=(7, 4), textcoords="offset points",
                fontsize=8, color=sign.colour,
            )  # fmt: skip
            remark = "incomplete" if point.accuracy.bounds else ""
            rows.append((one.label, point.items, number(point.tokens), percent(point.accuracy.value), remark))
        entries.append((handle(axes, sign, joined=True), short(one.label)))
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
