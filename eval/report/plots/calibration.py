"""Plots of what the distributions over the options are worth."""

from collections.abc import Sequence

from ddxgraph.common.words import percent
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import called, handle, inside, listed, percent_axis, tag, whiskers
from ddxgraph.eval.report.plots.picture import (
    MUTED,
    NumberTable,
    Picture,
    entitle,
    legend,
    picture,
    sheet,
    sign_of,
)


def reliability_plot(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    """How often the most probable option is right, by its probability."""
    figure, axes = sheet(height=5.0)
    (ideal,) = axes.plot([0, 100], [0, 100], color=MUTED, linestyle=":", linewidth=1.2)
    entries: list[tuple[object, str]] = []
    rows = []
    for run in runs:
        if run.calibration is None:
            continue
        sign = sign_of(run.number)
        bins = run.calibration.bins
        sure, right = [100 * part.confidence for part in bins], [100 * part.accuracy for part in bins]
        reach = whiskers((part.accuracy, part.accuracy_low, part.accuracy_high) for part in bins)
        axes.errorbar(
            sure, right, yerr=reach, color=sign.colour, marker=sign.marker, linestyle=sign.line,
            markerfacecolor=inside(sign, run.incomplete), linewidth=1.6, elinewidth=0.8, capsize=2,
        )  # fmt: skip
        tag(axes, str(run.number), sure[-1], right[-1], sign)
        entries.append(
            (handle(axes, sign, joined=True, incomplete=run.incomplete), f"{run.number}  {called(run)}")
        )
        rows += [
            (
                called(run),
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
    legend(figure, [*entries, (ideal, "as confident as right")])
    alt = f"{title}. " + listed(
        f"{called(run)}: mean confidence {percent(run.calibration.confidence)}, right "
        f"{percent(run.calibration.accuracy)}, expected calibration error {run.calibration.ece:.3f}"
        for run in runs
        if run.calibration
    )
    table = NumberTable(("Run", "Bin", "Traces", "Mean confidence", "Accuracy"), tuple(rows))
    return picture(name, title, alt, table, figure)


def coverage_plot(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    """Accuracy of the most confident answers."""
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
            markerfacecolor=inside(sign, run.incomplete), drawstyle="default",
        )  # fmt: skip
        tag(axes, str(run.number), xs[-1], ys[-1], sign)
        entries.append(
            (handle(axes, sign, joined=True, incomplete=run.incomplete), f"{run.number}  {called(run)}")
        )
        rows += [
            (
                called(run),
                percent(point.coverage),
                percent(point.accuracy),
                percent(point.threshold),
            )
            for point in points
        ]
    axes.set_xlim(0, 105)
    percent_axis(axes, shown, shown)
    axes.set_xlabel("Answers used, the most confident first (%)")
    axes.set_ylabel("Accuracy among them (%)")
    title = f"Accuracy at coverage: {items}"
    entitle(axes, title)
    legend(figure, entries)
    alt = f"{title}. " + listed(
        f"{called(run)}: {percent(run.calibration.coverage[0].accuracy)} of the most "
        f"confident {percent(run.calibration.coverage[0].coverage)} are right, "
        f"{percent(run.calibration.coverage[-1].accuracy)} of all"
        for run in runs
        if run.calibration
    )
    table = NumberTable(("Run", "Answers used", "Accuracy", "Least confidence"), tuple(rows))
    return picture(name, title, alt, table, figure)
