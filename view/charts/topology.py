"""Draws the topology of the graph into a picture file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ddxgraph.common.words import NOTICE
from ddxgraph.nodes.registry import END as _END
from ddxgraph.nodes.registry import node, title
from ddxgraph.view.charts.canvas import BACK, END, LINE, MUTED, PAGE, Canvas, Dash, Point, check_format
from ddxgraph.view.charts.path import BOX_H, BOX_W
from ddxgraph.view.data.topology import Lead, column_of

_GAP, _END_W, _LEFT = 214, 62, 24
_HEAD, _LANE, _FOOT = 84, 26, 66
"""Pixels above the arrows, between parallel ones, and below."""
_PORT: Final = 17
"""Between two arrows at the edge of a box."""


class _Arc(NamedTuple):
    """An arrow over the boxes, or back under them."""

    lead: Lead
    lane: int
    """From 1, nearest to the boxes."""


def draw_topology(leads: Sequence[Lead], path: Path) -> Path:
    """Draw the topology: stops from left to right, moves that skip stops above them, backtracks below.

    Raises:
        PageError: the file name does not end in `.png` or `.svg`.
        OSError: the file cannot be written.
    """
    check_format(path)
    stops = sorted({stop for lead in leads for stop in lead}, key=column_of)
    place = {stop: _LEFT + _GAP * number for number, stop in enumerate(stops)}
    beside = [lead for lead in leads if stops.index(lead.end) == stops.index(lead.start) + 1]
    over = _lanes([lead for lead in leads if not lead.back and lead not in beside], place)
    under = _lanes([lead for lead in leads if lead.back], place)
    middle = _HEAD + _LANE * (len(over) + 1) + BOX_H / 2
    height = middle + BOX_H / 2 + _LANE * (len(under) + 1) + _FOOT
    canvas = Canvas(place[stops[-1]] + _width(stops[-1]) + _LEFT, height)
    canvas.write(_LEFT, 28, "The reasoning graph", size=14, bold=True)
    checks = "Hypotheses are checked in parallel; reflection moves on or goes back."
    canvas.write(_LEFT, 54, checks, size=9.5, colour=MUTED)
    for lead in beside:
        level = [(place[lead.start] + _width(lead.start), middle), (place[lead.end], middle)]
        canvas.arrow(level, colour=LINE, dash="solid", wide=1.4)
    for arc in over:
        _draw_arc(canvas, arc, place, middle - BOX_H / 2, over)
    for arc in under:
        _draw_arc(canvas, arc, place, middle + BOX_H / 2, under)
    for stop, x in place.items():
        _draw_stop(canvas, stop, (x, middle - BOX_H / 2))
    canvas.write(_LEFT, height - 18, NOTICE, size=7.5, colour=MUTED)
    return canvas.save(path, "The reasoning graph of ddxgraph")


def _width(stop: str) -> float:
    return _END_W if stop == _END else BOX_W


def _lanes(leads: Sequence[Lead], place: Mapping[str, float]) -> list[_Arc]:
    """Short arrows nearest to the boxes, so that few cross."""
    spans = sorted(leads, key=lambda lead: (abs(place[lead.end] - place[lead.start]), place[lead.end]))
    return [_Arc(lead, number + 1) for number, lead in enumerate(spans)]


def _draw_arc(
    canvas: Canvas, arc: _Arc, place: Mapping[str, float], edge: float, beside: Sequence[_Arc]
) -> None:
    lead = arc.lead
    level = edge + _LANE * arc.lane * (1 if lead.back else -1)
    start, end = (
        _port(stop, arc, place, [other for other in beside if stop in other.lead])
        for stop in (lead.start, lead.end)
    )
    points: Sequence[Point] = [(start, edge), (start, level), (end, level), (end, edge)]
    colour, dash, words = _meaning(lead)
    canvas.arrow(points, colour=colour, dash=dash, wide=1.6)
    middle = start + (end - start) * (0.5 if lead.back else 0.25)
    canvas.write(middle, level, words, size=8, colour=colour, across="center", paper=PAGE)


def _port(stop: str, arc: _Arc, place: Mapping[str, float], sharing: Sequence[_Arc]) -> float:
    """Where an arrow meets a box: arrows from the left on the left side, the outermost lane innermost."""

    def order(other: _Arc) -> tuple[bool, int]:
        right = place[other.lead.end if other.lead.start == stop else other.lead.start] > place[stop]
        return right, -other.lane if right else other.lane

    number = sorted(sharing, key=order).index(arc)
    return place[stop] + _width(stop) / 2 + _PORT * (number - (len(sharing) - 1) / 2)


def _meaning(lead: Lead) -> tuple[str, Dash, str]:
    """Colour, line style and text of an arrow over or under the boxes."""
    if lead.back:
        return BACK, "dashed", f"↩ back to {title(lead.end).lower()}"
    if lead.end == _END:
        return MUTED, "dotted", "the engine failed"
    return END, "dotted", "a budget is spent"


def _draw_stop(canvas: Canvas, stop: str, corner: Point) -> None:
    x, y = corner
    name = title(stop)
    if stop == _END:
        canvas.box(corner, (_END_W, BOX_H), edge=MUTED, radius=BOX_H / 2, wide=1.1)
        canvas.write(x + _END_W / 2, y + BOX_H / 2, name, bold=True, across="center", colour=MUTED)
        return
    canvas.box(corner, (BOX_W, BOX_H), strip=node(stop).colour, wide=1.1)
    canvas.write(x + BOX_W / 2, y + BOX_H / 2, name, bold=True, across="center")
