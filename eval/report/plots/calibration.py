"""Plots of what the distributions over the options are worth."""

from collections.abc import Sequence

from ddxgraph.common.words import percent
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.axes import (
    called,
    entry,
    finished,
    inside,
    marks,
    percent_axis,
    tag,
    whiskers,
)
from ddxgraph.eval.report.plots.picture import MUTED, NumberTable, Picture, sheet, sign_of
from ddxgraph.eval.statistics.calibration import Calibration


def reliability_plot(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    """How often the most probable option is right, by its probability.

    Args:
        name: of its files.
        items: the cases, in words.
        runs: on these cases; those without distributions are left out.

    Returns:
        The picture.
    """
    _, axes = sheet(height=5.0)
    (ideal,) = axes.plot([0, 100], [0, 100], color=MUTED, linestyle=":", linewidth=1.2)
    entries, rows, series = [], [], []
    for run, calibration in _calibrated(runs):
        sign, bins = sign_of(run.number), calibration.bins
        sure, right = [100 * part.confidence for part in bins], [100 * part.accuracy for part in bins]
        reach = whiskers((part.accuracy, part.accuracy_low, part.accuracy_high) for part in bins)
        marks(
            axes, sure, right, sign, incomplete=run.incomplete, yerr=reach, linestyle=sign.line, linewidth=1.6,
            elinewidth=0.8, capsize=2,
        )  # fmt: skip
        tag(axes, str(run.number), sure[-1], right[-1], sign)
        entries.append(entry(axes, run.number, run.name, run.incomplete))
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
        series.append(
            f"{called(run)}: mean confidence {percent(calibration.confidence)}, right "
            f"{percent(calibration.accuracy)}, expected calibration error {calibration.ece:.3f}"
        )
    axes.set_xlim(0, 102)
    axes.set_ylim(-2, 102)
    axes.set_xlabel("Probability of the most probable option (%), means of bins")
    axes.set_ylabel("How often it is right (%), 95% interval")
    entries.append((ideal, "as confident as right"))
    table = NumberTable(("Run", "Bin", "Traces", "Mean confidence", "Accuracy"), tuple(rows))
    return finished(name, f"Reliability: {items}", axes, series=series, table=table, entries=entries)


def coverage_plot(name: str, items: str, runs: Sequence[RunResult]) -> Picture:
    """Accuracy of the most confident answers.

    Args:
        name: of its files.
        items: the cases, in words.
        runs: on these cases; those without distributions are left out.

    Returns:
        The picture.
    """
    _, axes = sheet()
    entries, rows, series, shown = [], [], [], []
    for run, calibration in _calibrated(runs):
        sign, points = sign_of(run.number), calibration.coverage
        xs, ys = [100 * point.coverage for point in points], [100 * point.accuracy for point in points]
        shown += [point.accuracy for point in points]
        axes.plot(
            xs, ys, color=sign.colour, marker=sign.marker, markersize=5, linestyle=sign.line, linewidth=1.6,
            markerfacecolor=inside(sign, run.incomplete),
        )  # fmt: skip
        tag(axes, str(run.number), xs[-1], ys[-1], sign)
        entries.append(entry(axes, run.number, run.name, run.incomplete))
        rows += [
            (called(run), percent(point.coverage), percent(point.accuracy), percent(point.threshold))
            for point in points
        ]
        first, last = points[0], points[-1]
        series.append(
            f"{called(run)}: {percent(first.accuracy)} of the most confident {percent(first.coverage)} are "
            f"right, {percent(last.accuracy)} of all"
        )
    axes.set_xlim(0, 105)
    percent_axis(axes, shown, shown)
    axes.set_xlabel("Answers used, the most confident first (%)")
    axes.set_ylabel("Accuracy among them (%)")
    table = NumberTable(("Run", "Answers used", "Accuracy", "Least confidence"), tuple(rows))
    return finished(name, f"Accuracy at coverage: {items}", axes, series=series, table=table, entries=entries)


def _calibrated(runs: Sequence[RunResult]) -> list[tuple[RunResult, Calibration]]:
    return [(run, run.calibration) for run in runs if run.calibration]
