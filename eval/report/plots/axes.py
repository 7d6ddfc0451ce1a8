"""Shared parts of plots: marks and names of runs, axes of tokens and per cent, and how a plot is finished."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.picture import (
    INK,
    MUTED,
    PAGE,
    NumberTable,
    Picture,
    Sign,
    entitle,
    legend,
    picture,
    short,
    sign_of,
)

PUBLISHED: Final = Sign(MUTED, "d", "none")
"""Published figures are drawn in grey and hollow, with a marker that no run has."""
_NAMED: Final = 6
"""Series that a text alternative names."""
_STEPS: Final = (1, 2, 5)
_FEWEST_TICKS: Final = 3
_POWERS: Final = range(-6, 9)
"""Powers of ten that an axis may show."""

Entry = tuple[object, str]
"""What stands for a series in the legend, and its name."""


def called(run: RunResult) -> str:
    """A run's name, and whether it is incomplete."""
    return short(run.name) + note(run.incomplete)


def note(incomplete: bool) -> str:
    """The suffix of an incomplete run's name."""
    return " (incomplete)" if incomplete else ""


def whiskers(estimates: Iterable[tuple[float, float, float]]) -> list[list[float]]:
    """How far error bars reach below and above their marks, in per cent, shape (2, estimates).

    Args:
        estimates: value, low and high end of each, in 0..1.
    """
    known = list(estimates)
    # A percentile interval may miss its own mean by a rounding error.
    return [
        [max(0.0, 100 * (value - low)) for value, low, _ in known],
        [max(0.0, 100 * (high - value)) for value, _, high in known],
    ]


def marks(axes: Axes, xs: Any, ys: Any, sign: Sign, *, incomplete: bool = False, **look: Any) -> None:
    """Marks with error bars in a run's sign, hollow if it is incomplete.

    Args:
        axes: to draw on.
        xs: one place or several.
        ys: as many.
        sign: of the run.
        incomplete: whether the run is.
        look: further arguments of `Axes.errorbar`, such as `yerr`.
    """
    axes.errorbar(
        xs, ys, color=sign.colour, marker=sign.marker, markerfacecolor=inside(sign, incomplete), **look
    )


def tag(axes: Axes, text: str, x: float, y: float, sign: Sign) -> None:
    """Write a run's number beside its mark.

    Args:
        axes: to draw on.
        text: the number.
        x: place of the mark.
        y: place of the mark.
        sign: of the run.
    """
    axes.annotate(
        text, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, fontweight="bold", color=sign.colour,
        zorder=4,
    )  # fmt: skip


def inside(sign: Sign, incomplete: bool) -> str:
    """The colour inside a mark: hollow means incomplete, which is visible in grey too."""
    return PAGE if incomplete else sign.colour


def handle(axes: Axes, sign: Sign, joined: bool, incomplete: bool = False) -> object:
    """The legend's mark of a series.

    Args:
        axes: of the plot.
        sign: of the series.
        joined: whether a line joins its marks.
        incomplete: whether its marks are hollow.

    Returns:
        The mark.
    """
    return axes.plot(
        [], [], color=sign.colour, marker=sign.marker, markerfacecolor=inside(sign, incomplete),
        linestyle=sign.line if joined else "none", markersize=6,
    )[0]  # fmt: skip


def entry(axes: Axes, number: int, name: str, incomplete: bool) -> Entry:
    """A run's entry in the legend.

    Args:
        axes: of the plot.
        number: of the run.
        name: of the run.
        incomplete: whether the run is.

    Returns:
        Its mark and its name.
    """
    mark = handle(axes, sign_of(number), joined=True, incomplete=incomplete)
    return mark, f"{number}  {short(name)}{note(incomplete)}"


def published_handle(axes: Axes) -> object:
    """The legend's mark of published figures."""
    return handle(axes, PUBLISHED, joined=False, incomplete=True)


def name_rows(axes: Axes, labels: Sequence[str], **text: Any) -> None:
    """Make the y axis one of rows, the first on top.

    Args:
        axes: of the plot.
        labels: one a row.
        text: further arguments of `Axes.set_yticks`.
    """
    axes.set_ylim(0.4, len(labels) + 0.6)
    axes.set_yticks(range(len(labels), 0, -1), labels, **text)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.grid(visible=False, axis="y")


def log_tokens(axes: Axes, tokens: Sequence[float]) -> None:
    """A logarithmic axis of tokens with plain figures."""
    _log(axes, max(1.0, min(tokens) / 1.5), max(2.0, max(tokens) * 1.5))


def log_billions(axes: Axes, sizes: Sequence[float]) -> None:
    """A logarithmic axis of model sizes, in billions of parameters, with plain figures."""
    _log(axes, min(sizes) / 2, max(sizes) * 2)


def _log(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = _ticks(low, high, _STEPS)
    if len(ticks) < _FEWEST_TICKS:
        ticks = _ticks(low, high, range(1, 10))
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
    )


def _ticks(low: float, high: float, steps: Iterable[int]) -> list[float]:
    places = (step * 10.0**power for power in _POWERS for step in steps)
    return [place for place in places if low <= place <= high]


def percent_axis(axes: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    """Fit a y axis of per cent to all intervals.

    Args:
        axes: of the plot.
        lows: their lower ends, in 0..1.
        highs: their upper ends.
    """
    axes.set_ylim(max(-3.0, 100 * min(lows) - 4), min(103.0, 100 * max(highs) + 4))


def listed(series: Iterable[str]) -> str:
    """Series in words, as many as a reader can follow."""
    words = list(series)
    rest = f"; and {len(words) - _NAMED} more, in the table below" if len(words) > _NAMED else ""
    return "; ".join(words[:_NAMED]) + rest + "."


def finished(
    name: str,
    title: str,
    axes: Axes,
    *,
    series: Iterable[str],
    table: NumberTable,
    entries: Sequence[Entry] = (),
    beside: str = "",
) -> Picture:
    """Title a plot, name its series below it, and save it.

    Args:
        name: of its files.
        title: of the plot.
        axes: of the plot.
        series: each in words, for the text alternative.
        table: its numbers.
        entries: of the legend.
        beside: a last sentence of the text alternative.

    Returns:
        The picture.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)  # noqa: S101 - see `sheet`
    entitle(axes, title)
    legend(figure, entries)
    return picture(name, title, f"{title}. {listed(series)}{beside}", table, figure)
