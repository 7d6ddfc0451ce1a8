"""What plots share: how a run is named and marked, and the axes of tokens and per cents."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.picture import (
    MUTED,
    PAGE,
    Sign,
    short,
)

PUBLISHED: Final = Sign(MUTED, "d", "none")
"""How published figures are drawn, and hollow: in grey, with a mark that no run has."""
_NAMED: Final = 6
"""Series that a text alternative names."""
_STEPS: Final = (1, 2, 5)
_FEWEST_TICKS: Final = 3
_POWERS: Final = range(-6, 9)
"""Powers of ten that an axis may show."""


def called(run: RunResult) -> str:
    """A run's name, and whether it is incomplete."""
    return short(run.name) + note(run.incomplete)


def note(incomplete: bool) -> str:
    """What follows a name."""
    return " (incomplete)" if incomplete else ""


def whiskers(estimates: Iterable[tuple[float, float, float]]) -> list[list[float]]:
    """How far error bars reach below and above their marks, in per cent.

    Args:
        estimates: value, low and high end of each, in 0..1.
    """
    told = list(estimates)
    # A percentile interval may miss its own mean by a rounding error.
    return [
        [max(0.0, 100 * (value - low)) for value, low, _ in told],
        [max(0.0, 100 * (high - value)) for value, _, high in told],
    ]


def tag(axes: Axes, text: str, x: float, y: float, sign: Sign) -> None:
    """A run's number beside its mark."""
    axes.annotate(
        text, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, fontweight="bold", color=sign.colour,
        zorder=4,
    )  # fmt: skip


def inside(sign: Sign, incomplete: bool) -> str:
    """The colour inside a mark: hollow stands for incomplete, so that it is seen in grey too."""
    return PAGE if incomplete else sign.colour


def handle(axes: Axes, sign: Sign, joined: bool, incomplete: bool = False) -> object:
    """What stands for a series in the legend."""
    return axes.plot(
        [], [], color=sign.colour, marker=sign.marker, markerfacecolor=inside(sign, incomplete),
        linestyle=sign.line if joined else "none", markersize=6,
    )[0]  # fmt: skip


def published_handle(axes: Axes) -> object:
    """What stands for published figures in the legend."""
    return handle(axes, PUBLISHED, joined=False, incomplete=True)


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
    marks = (step * 10.0**power for power in _POWERS for step in steps)
    return [mark for mark in marks if low <= mark <= high]


def percent_axis(axes: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    """An axis of per cents that holds all intervals."""
    axes.set_ylim(max(-3.0, 100 * min(lows) - 4), min(103.0, 100 * max(highs) + 4))


def listed(series: Iterator[str]) -> str:
    """Series in words, as many as a reader can follow."""
    said = list(series)
    rest = f"; and {len(said) - _NAMED} more, in the table below" if len(said) > _NAMED else ""
    return "; ".join(said[:_NAMED]) + rest + "."
