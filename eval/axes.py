"""What plots share: how a run is named and marked, and the axes of tokens and per cents."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ddxgraph.eval.picture import (
    Sign,
    short,
)
from ddxgraph.eval.runresult import RunResult

_NAMED: Final = 6
"""Series that a text alternative names."""
_STEPS: Final = (1, 2, 5)
_FEWEST_TICKS: Final = 3


def called(run: RunResult) -> str:
    """A run's name, and whether it is incomplete."""
    return short(run.name) + note(run.incomplete)


def note(incomplete: bool) -> str:
    """What follows a name."""
    return " (incomplete)" if incomplete else ""


def above_zero(reach: Sequence[Sequence[float]]) -> list[list[float]]:
    """A percentile interval may miss its own mean by a rounding error."""
    return [[max(0.0, length) for length in side] for side in reach]


def tag(axes: Axes, text: str, x: float, y: float, sign: Sign) -> None:
    """A run's number beside its mark."""
    axes.annotate(
        text, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, fontweight="bold", color=sign.colour,
        zorder=4,
    )  # fmt: skip


def handle(axes: Axes, sign: Sign, joined: bool) -> object:
    """What stands for a series in the legend."""
    return axes.plot(
        [], [], color=sign.colour, marker=sign.marker, linestyle=sign.line if joined else "none", markersize=6
    )[0]


def log_tokens(axes: Axes, tokens: Sequence[float]) -> None:
    """A logarithmic axis of tokens with plain figures."""
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


def percent_axis(axes: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    """An axis of per cents that holds all intervals."""
    axes.set_ylim(max(-3.0, 100 * min(lows) - 4), min(103.0, 100 * max(highs) + 4))


def listed(series: Iterator[str]) -> str:
    """Series in words, as many as a reader can follow."""
    said = list(series)
    rest = f"; and {len(said) - _NAMED} more, in the table below" if len(said) > _NAMED else ""
    return "; ".join(said[:_NAMED]) + rest + "."
