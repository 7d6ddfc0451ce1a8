"""The plots of a report. Marks, lines and numbers tell the runs apart as well as colour does."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ddxgraph.eval.comparison import Comparison
from ddxgraph.eval.curves import Curve, CurvePoint, CurveSet, DifficultyLine
from ddxgraph.eval.evaluation import Evaluation
from ddxgraph.eval.picture import (
    INK,
    MUTED,
    PAGE,
    NumberTable,
    Picture,
    Sign,
    drawing,
    entitle,
    legend,
    picture,
    sheet,
    short,
    sign_of,
)
from ddxgraph.eval.runresult import RunResult
from ddxgraph.eval.wording import interval, number, p_value, percent, signed, signed_interval

MOST_COMPARISONS: Final = 40
"""Comparisons that the forest plot shows; the table has all."""
_SLUG: Final = re.compile(r"[^a-z0-9]+")
_NAMED: Final = 6
"""Series that a text alternative names."""
_NAME: Final = 22
"""Characters of a name where two stand on a line."""
_STEPS: Final = (1, 2, 5)
_FEWEST_TICKS: Final = 3


def plots(evaluation: Evaluation) -> list[Picture]:
    """All plots that the runs give something for."""
    with drawing():
        return list(_plots(evaluation))


def _plots(evaluation: Evaluation) -> Iterator[Picture]:
    for place, found in enumerate(evaluation.curves, 1):
        runs = [run for run in evaluation.runs if run.items == found.items]
        slug = f"{place}-{_SLUG.sub('-', found.items.lower()).strip('-')[:40]}"
        if found.scaling:
            yield _scaling(f"scaling-{slug}", found, runs)
        if any(profile.by_length for profile in found.lengths):
            yield _lengths(f"length-{slug}", found, [run.number for run in runs if run.incomplete])
        told = [run for run in runs if run.calibration]
        if told:
            yield _reliability(f"reliability-{slug}", found.items, told)
            yield _coverage(f"coverage-{slug}", found.items, told)
    if evaluation.difficulty:
        yield _difficulty("difficulty", evaluation.difficulty)
    if evaluation.comparisons.made:
        yield _forest("differences", evaluation)


def _scaling(name: str, found: CurveSet, runs: Sequence[RunResult]) -> Picture:
    figure, axes = sheet()
    entries = []
    for curve in found.scaling:
        sign = sign_of(curve.runs[0])
        _draw_curve(axes, curve, sign)
        entries.append((_handle(axes, sign, curve.kind != "single"), _entry(curve)))
    points = [point for curve in found.scaling for point in curve.points]
    for level, words, line in _floors(runs):
        axes.axhline(100 * level, color=MUTED, linestyle=line, linewidth=1.2)
        axes.annotate(
            words, (1, 100 * level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8,
            color=MUTED, xytext=(0, 1), textcoords="offset points",
        )  # fmt: skip
    _log_tokens(axes, [point.tokens for point in points])
    _percent_axis(
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
    alt = f"{title}. " + _listed(
        f"{curve.label}{_note(any(point.incomplete for point in curve.points))}: "
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
    return f"{numbers}  {short(curve.label)}{extra}{_note(any(point.incomplete for point in curve.points))}"


def _called(run: RunResult) -> str:
    return short(run.name) + _note(run.incomplete)


def _note(incomplete: bool) -> str:
    return " (incomplete)" if incomplete else ""


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
        tokens, shares, yerr=_above_zero(reach), color=sign.colour, linestyle=sign.line, linewidth=1.6,
        capsize=3, elinewidth=1,
    )  # fmt: skip
    for point, x, y in zip(curve.points, tokens, shares, strict=True):
        face = PAGE if point.incomplete else sign.colour
        axes.plot(x, y, marker=sign.marker, markersize=7, color=sign.colour, markerfacecolor=face, zorder=3)
    if curve.kind == "budget":
        for run, x, y in zip(curve.runs, tokens, shares, strict=True):
            _tag(axes, str(run), x, y, sign)
    else:
        _tag(axes, str(curve.runs[0]), tokens[-1], shares[-1], sign)


def _above_zero(reach: Sequence[Sequence[float]]) -> list[list[float]]:
    """A percentile interval may miss its own mean by a rounding error."""
    return [[max(0.0, length) for length in side] for side in reach]


def _tag(axes: Axes, text: str, x: float, y: float, sign: Sign) -> None:
    """A run's number beside its mark."""
    axes.annotate(
        text, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, fontweight="bold", color=sign.colour,
        zorder=4,
    )  # fmt: skip


def _handle(axes: Axes, sign: Sign, joined: bool) -> object:
    """What stands for a series in the legend."""
    return axes.plot(
        [], [], color=sign.colour, marker=sign.marker, linestyle=sign.line if joined else "none", markersize=6
    )[0]


def _floors(runs: Sequence[RunResult]) -> list[tuple[float, str, str]]:
    """What a run must beat: accuracy, words, line."""
    first = runs[0]
    floors = []
    if first.majority is not None:
        floors.append((first.majority, f"always {first.majority_letter}", "--"))
    if first.chance is not None:
        floors.append((first.chance, "guessing", ":"))
    return floors


def _log_tokens(axes: Axes, tokens: Sequence[float]) -> None:
    low, high = max(1.0, min(tokens) / 1.5), max(2.0, max(tokens) * 1.5)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = _ticks(low, high, _STEPS)
    if len(ticks) < _FEWEST_TICKS:
        ticks = _ticks(low, high, range(1, 10))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _ticks(low: float, high: float, steps: Iterable[int]) -> list[float]:
    return [float(tick) for power in range(9) for step in steps if low <= (tick := step * 10**power) <= high]


def _percent_axis(axes: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    axes.set_ylim(max(-3.0, 100 * min(lows) - 4), min(103.0, 100 * max(highs) + 4))


def _lengths(name: str, found: CurveSet, torn: Sequence[int]) -> Picture:
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
            xs, ys, yerr=_above_zero(reach), color=sign.colour, marker=sign.marker, linestyle=sign.line,
            linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
        _tag(axes, str(profile.run), xs[-1], ys[-1], sign)
        entries.append(
            (
                _handle(axes, sign, joined=True),
                f"{profile.run}  {short(profile.name)}{_note(profile.run in torn)}",
            )
        )
    _log_tokens(axes, [band.tokens for band in bands])
    _percent_axis(axes, [band.low for band in bands], [band.high for band in bands])
    axes.set_xlabel("Output tokens of a trace, means of bands of cases by length (log scale)")
    axes.set_ylabel("Accuracy (%), 95% interval")
    title = f"Accuracy by length: {found.items}"
    entitle(axes, title)
    legend(figure, entries)
    rows = [
        (
            profile.name + _note(profile.run in torn),
            band.label,
            str(band.cases),
            number(band.tokens),
            percent(band.accuracy),
            interval(band),
        )
        for profile in drawn
        for band in profile.by_length
    ]
    alt = f"{title}. " + _listed(
        f"{profile.name}{_note(profile.run in torn)}: {percent(profile.by_length[0].accuracy)} on its shortest "
        f"cases, {percent(profile.by_length[-1].accuracy)} on its longest"
        for profile in drawn
    )
    head = ("Run", "Band", "Cases", "Mean output tokens", "Accuracy", "95% interval")
    return picture(name, title, alt, NumberTable(head, tuple(rows)), figure)


def _reliability(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    figure, axes = sheet(height=5.0)
    axes.plot([0, 100], [0, 100], color=MUTED, linestyle=":", linewidth=1.2)
    axes.annotate(
        "as confident as right", (62, 62), rotation=34, fontsize=8, color=MUTED, xytext=(0, 4),
        textcoords="offset points", ha="center", va="bottom",
    )  # fmt: skip
    entries, rows = [], []
    for run in runs:
        if run.calibration is None:
            continue
        sign = sign_of(run.number)
        bins = run.calibration.bins
        sure, right = [100 * part.confidence for part in bins], [100 * part.accuracy for part in bins]
        reach = [
            [100 * (part.accuracy - part.accuracy_low) for part in bins],
            [100 * (part.accuracy_high - part.accuracy) for part in bins],
        ]
        axes.errorbar(
            sure, right, yerr=_above_zero(reach), color=sign.colour, marker=sign.marker, linestyle=sign.line,
            linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
        _tag(axes, str(run.number), sure[-1], right[-1], sign)
        entries.append((_handle(axes, sign, joined=True), f"{run.number}  {_called(run)}"))
        rows += [
            (
                _called(run),
                f"{100 * part.low:.0f} to {100 * part.high:.0f}%",
                str(part.count),
                percent(part.confidence),
                percent(part.accuracy),
            )
            for part in bins
        ]
    axes.set_xlim(0, 102)
    axes.set_ylim(-2, 102)
    axes.set_xlabel("Probability of the most probable option (%), means of bins")
    axes.set_ylabel("How often it is right (%), 95% interval")
    title = f"Reliability: {items}"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + _listed(
        f"{_called(run)}: mean confidence {percent(run.calibration.confidence)}, right "
        f"{percent(run.calibration.accuracy)}, expected calibration error {run.calibration.ece:.3f}"
        for run in runs
        if run.calibration
    )
    table = NumberTable(("Run", "Bin", "Traces", "Mean confidence", "Accuracy"), tuple(rows))
    return picture(name, title, alt, table, figure)


def _coverage(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    figure, axes = sheet()
    entries, rows, shown = [], [], []
    for run in runs:
        if run.calibration is None:
            continue
        sign = sign_of(run.number)
        points = run.calibration.coverage
        xs, ys = [100 * point.coverage for point in points], [100 * point.accuracy for point in points]
        shown += [point.accuracy for point in points]
        axes.plot(
            xs, ys, color=sign.colour, marker=sign.marker, markersize=5, linestyle=sign.line, linewidth=1.6,
            drawstyle="default",
        )  # fmt: skip
        _tag(axes, str(run.number), xs[-1], ys[-1], sign)
        entries.append((_handle(axes, sign, joined=True), f"{run.number}  {_called(run)}"))
        rows += [
            (
                _called(run),
                percent(point.coverage),
                percent(point.accuracy),
                percent(point.threshold),
            )
            for point in points
        ]
    axes.set_xlim(0, 105)
    _percent_axis(axes, shown, shown)
    axes.set_xlabel("Answers used, the most confident first (%)")
    axes.set_ylabel("Accuracy among them (%)")
    title = f"Accuracy at coverage: {items}"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + _listed(
        f"{_called(run)}: {percent(run.calibration.coverage[0].accuracy)} of the most "
        f"confident {percent(run.calibration.coverage[0].coverage)} are right, "
        f"{percent(run.calibration.coverage[-1].accuracy)} of all"
        for run in runs
        if run.calibration
    )
    table = NumberTable(("Run", "Answers used", "Accuracy", "Least confidence"), tuple(rows))
    return picture(name, title, alt, table, figure)


def _difficulty(name: str, found: Sequence[DifficultyLine]) -> Picture:
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
            note = "incomplete" if point.accuracy.bounds else ""
            rows.append((one.label, point.items, number(point.tokens), percent(point.accuracy.value), note))
        entries.append((_handle(axes, sign, joined=True), short(one.label)))
    points = [point for one in found for point in one.points]
    _log_tokens(axes, [point.tokens for point in points])
    shares = [point.accuracy.value for point in points]
    _percent_axis(axes, shares, shares)
    axes.set_xlabel("Mean output tokens of a trace (log scale)")
    axes.set_ylabel("Accuracy (%)")
    title = "Difficulty against length: one line a configuration, one mark a benchmark"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + _listed(
        f"{one.label}: "
        + ", ".join(
            f"{point.items} {percent(point.accuracy.value)}{_note(point.accuracy.bounds is not None)} at "
            f"{number(point.tokens)} tokens"
            for point in one.points
        )
        for one in found
    )
    table = NumberTable(("Configuration", "Cases", "Output tokens", "Accuracy", "Note"), tuple(rows))
    return picture(name, title, alt, table, figure)


def _forest(name: str, evaluation: Evaluation) -> Picture:
    made = evaluation.comparisons.made
    numbers = {run.name: run.number for run in evaluation.runs}
    drawn = made[:MOST_COMPARISONS]
    figure, axes = sheet(height=1.4 + 0.36 * len(drawn))
    axes.axvline(0, color=MUTED, linewidth=1.2)
    for place, one in enumerate(drawn):
        x, y = 100 * one.difference, len(drawn) - place
        held = one.significant
        reach = _above_zero([[x - 100 * one.low], [100 * one.high - x]])
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
    axes.set_xlabel("Difference in accuracy (points), 95% interval. Filled, *: adjusted p < 0.05")
    title = "Paired differences on the same cases"
    entitle(axes, title)
    alt = f"{title}. " + _listed(_difference_in_words(one) for one in made)
    rows = [
        (
            _less(one),
            str(one.n),
            signed(one.difference),
            signed_interval(one),
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
    return f"{one.b} less {one.a}{_note(bool(one.left_out))}"


def _difference_in_words(one: Comparison) -> str:
    return (
        f"{_less(one)}: {signed(one.difference)} points ({signed_interval(one)}), adjusted p "
        f"{_compared(p_value(one.p_holm))}"
    )


def _listed(series: Iterator[str]) -> str:
    said = list(series)
    rest = f"; and {len(said) - _NAMED} more, in the table below" if len(said) > _NAMED else ""
    return "; ".join(said[:_NAMED]) + rest + "."
