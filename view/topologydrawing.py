"""The graph's own topology drawn into a picture file."""

from pathlib import Path
from typing import Any, Final

from ddxgraph.view.canvas import BACK, LINE, MUTED, Canvas, check_format
from ddxgraph.view.path import COLUMNS
from ddxgraph.view.pathchart import BOX_H, BOX_W
from ddxgraph.view.stopname import STOP_NAMES
from ddxgraph.view.topology import Lead, column_of

_GAP: Final = 214
_LEFT, _MIDDLE, _HEIGHT = 22, 150, 320


def draw_topology(leads: list[Lead], path: Path) -> Path:
    """Draw it: stops from left to right, further ways above them, moves back below.

    Raises:
        ValueError: the file's name ends in something other than `.png` or `.svg`.
        OSError: it cannot be written.
    """
    check_format(path)
    stops = sorted({stop for lead in leads for stop in lead if stop in COLUMNS}, key=column_of)
    place = {stop: _LEFT + _GAP * number for number, stop in enumerate(stops)}
    canvas = Canvas(2 * _LEFT + _GAP * (len(stops) - 1) + BOX_W, _HEIGHT)
    canvas.write(_LEFT, 28, "The reasoning graph", weight="bold", size=13)
    for lead in leads:
        if lead.start in place and lead.end in place:
            _draw_lead(canvas, place[lead.start], place[lead.end], lead)
    for stop, x in place.items():
        canvas.box(
            x, _MIDDLE, (BOX_W, BOX_H), edge=BACK if stop == "reflect" else LINE, dashed=False, strong=False
        )
        how: dict[str, Any] = {"weight": "bold", "ha": "center", "zorder": 4}
        canvas.write(x + BOX_W / 2, _MIDDLE + BOX_H / 2 + 5, STOP_NAMES[stop], **how)
    notes = "Solid: on. Dashed: back. Checks of the evidence run side by side, one a hypothesis."
    canvas.write(_LEFT, _HEIGHT - 16, notes, size=8.5, color=MUTED)
    return canvas.save(path, "The reasoning graph of ddxgraph")


def _draw_lead(canvas: Canvas, x: float, u: float, lead: Lead) -> None:
    colour = BACK if lead.back else LINE
    middle = _MIDDLE + BOX_H / 2
    if u - x == _GAP:
        canvas.way([(x + BOX_W, middle), (u, middle)], curved=False, colour=colour, dash="solid")
        return
    edge, sign = (_MIDDLE + BOX_H, 1) if lead.back else (_MIDDLE, -1)
    far = edge + sign * (40 + abs(u - x) / 8)
    start, end = x + BOX_W / 2 + 16 * sign, u + BOX_W / 2 - 16 * sign
    canvas.way(
        [(start, edge), (start, far), (end, far), (end, edge)],
        curved=True,
        colour=colour,
        dash="dashed" if lead.back else "solid",
        towards="up" if lead.back else "down",
    )
