"""Line chart of the credence of each hypothesis over the steps, in pixels. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ddxgraph.common.words import cut, whole_percent
from ddxgraph.graph.trace import Trace
from ddxgraph.view.data.evidence import Evidence

STYLES: Final = 6
"""Number of line styles (colour, dash and mark) before they repeat."""
_WIDTH, _HEIGHT = 784, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 224, 22, 40
_APART: Final = 15
"""Smallest distance between two labels."""
_LABEL_CHARS: Final = 22
_TICKS: Final = 12
"""Maximal number of step numbers on the axis."""
_NAMED: Final = 8
"""Maximal number of lines with a label; the table lists all hypotheses."""


class Point(NamedTuple):
    """A hypothesis after a step."""

    x: float
    y: float
    share: float
    words: str


class Curve(NamedTuple):
    """A hypothesis over the steps."""

    hypothesis: str
    style: int
    """Which line style, from 0 to `STYLES` - 1."""
    points: Sequence[Point]
    label: str
    label_y: float | None
    """None if the line has no label."""
    refuted: bool

    @property
    def line(self) -> str:
        """The points, as SVG's `polyline` takes them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


class Mark(NamedTuple):
    """A step on the axis, or a backtrack."""

    x: float
    step: int


@dataclass(frozen=True)
class CredenceChart:
    """The chart."""

    curves: Sequence[Curve]
    backs: Sequence[Mark]
    ticks: Sequence[Mark]
    levels: Sequence[tuple[float, str]]
    """Position and name of each grid line."""
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM

    @property
    def words(self) -> str:
        """Text alternative, for screen readers."""
        ends = [
            f"{curve.label} {whole_percent(curve.points[-1].share)}" for curve in self.curves if curve.points
        ]
        return "Credence over the steps. At the end: " + "; ".join(ends)


def credence_chart(
    trace: Trace, trajectory: Sequence[Mapping[str, float]], evidence: Evidence
) -> CredenceChart | None:
    """Lay out the chart of a trace.

    Args:
        trace: the trace.
        trajectory: its `Trace.trajectory()`, which is slow to compute.
        evidence: its evidence.

    Returns:
        The chart, or None if the trace has no differential.
    """
    course = [(place, shares) for place, shares in enumerate(trajectory) if shares]
    if not course:
        return None
    first, last = course[0][0], course[-1][0]
    width = _WIDTH - _LEFT - _RIGHT

    def x(step: int) -> float:
        return round(_LEFT + (width * (step - first) / (last - first) if last > first else width / 2), 1)

    keys = list(dict.fromkeys(key for _, shares in course for key in shares))
    labels = {key: cut(f"{key} {evidence.label(key)}", _LABEL_CHARS) for key in keys}
    lines = {
        key: [
            Point(x(step), _y(share), share, f"{labels[key]}, step {step + 1}: {whole_percent(share)}")
            for step, share in ((step, shares[key]) for step, shares in course if key in shares)
        ]
        for key in keys
    }
    places = _label_places({key: points[-1].y for key, points in lines.items()})
    return CredenceChart(
        curves=[
            Curve(key, number % STYLES, points, labels[key], places.get(key), key in evidence.refuted)
            for number, (key, points) in enumerate(lines.items())
        ],
        backs=[Mark(x(step.index), step.index) for step in trace.steps[first:] if step.move.backtrack],
        ticks=[Mark(x(step), step) for step in _ticks(first, last)],
        levels=[(_y(level), f"{level:.0%}") for level in (0.0, 0.25, 0.5, 0.75, 1.0)],
    )


def _y(share: float) -> float:
    return round(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (1 - share), 1)


def _ticks(first: int, last: int) -> Sequence[int]:
    every = max(1, -(-(last - first + 1) // _TICKS))
    return range(first, last + 1, every)


def _label_places(ends: Mapping[str, float]) -> dict[str, float]:
    """Positions of labels beside the ends of their lines, so that none covers another."""
    highest = sorted(ends, key=ends.__getitem__)[:_NAMED]
    places: dict[str, float] = {}
    free = float(_TOP - 6)
    for key in highest:
        places[key] = max(ends[key], free)
        free = places[key] + _APART
    over = free - _APART - (_HEIGHT - _BOTTOM + 4)
    ceiling = float("inf")
    for key in reversed(highest) if over > 0 else ():
        places[key] = min(places[key], _HEIGHT - _BOTTOM + 4, ceiling)
        ceiling = places[key] - _APART
    return places
