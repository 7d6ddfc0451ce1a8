"""A journey drawn into a picture file."""

from pathlib import Path
from typing import Any, Final

from ddxgraph.graph.trace import Trace
from ddxgraph.view.canvas import BACK, END, INK, LINE, MUTED, Canvas, Dash, check_format
from ddxgraph.view.ending import answer_in_words, ending
from ddxgraph.view.evidence import evidence_of
from ddxgraph.view.notice import NOTICE
from ddxgraph.view.path import numbered, path_of
from ddxgraph.view.pathchart import BOX_H, BOX_W, Box, Line, path_chart
from ddxgraph.view.words import count, cut

_HEAD, _FOOT, _LEAST_WIDTH = 78, 34, 620
"""Pixels above and below the chart; and those that the headings need."""
_TITLE_CHARS, _FACTS_CHARS, _BAND_CHARS = 64, 96, 80


def draw_journey(trace: Trace, path: Path) -> Path:
    """Draw a journey; see `Trace.draw`.

    Raises:
        ValueError: the file's name ends in something other than `.png` or `.svg`.
        OSError: it cannot be written.
    """
    check_format(path)
    trace = numbered(trace)
    chart = path_chart(trace, path_of(trace), evidence_of(trace))
    height = chart.height + _HEAD + _FOOT
    canvas = Canvas(max(chart.width, _LEAST_WIDTH), height)
    facts = f"{count(len(trace.steps), 'step')}, {count(trace.backtracks, 'backtrack')}"
    canvas.write(
        22, 28, cut(f"{trace.case.id}: {answer_in_words(trace)}", _TITLE_CHARS), weight="bold", size=13
    )
    canvas.write(22, 52, cut(f"{facts}. {ending(trace)}", _FACTS_CHARS), color=MUTED)
    for head in chart.heads:
        canvas.write(head.x, _HEAD + 22, head.name, weight="bold", color=MUTED, ha="center")
    for line in chart.lines:
        _draw_line(canvas, line)
    for band in chart.bands:
        words = canvas.write(24, _HEAD + band.y, "↩ " + cut(band.words, _BAND_CHARS), color=BACK, size=8.5)
        words.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1})
    for box in chart.boxes:
        _draw_box(canvas, box)
    canvas.write(22, height - 12, NOTICE, size=8, color=MUTED)
    return canvas.save(path, f"Journey {trace.id}")


_KINDS: Final[dict[str, Dash]] = {"back": "dashed", "budget": "dotted", "on": "solid"}


def _draw_line(canvas: Canvas, line: Line) -> None:
    back = line.kind == "back"
    canvas.way(
        [(x, y + _HEAD) for x, y in line.points],
        curved=line.curved,
        colour=BACK if back else LINE,
        dash="dotted" if line.muted and not back else _KINDS[line.kind],
        wide=line.kind != "on",
    )


def _draw_box(canvas: Canvas, box: Box) -> None:
    ends = box.node in {"conclude", "generate"}
    edge = BACK if box.failed or box.node == "reflect" else END if ends else LINE
    y = box.y + _HEAD
    canvas.box(box.x, y, (BOX_W, BOX_H), edge=edge, dashed=box.abandoned or box.failed, strong=ends)
    how: dict[str, Any] = {
        "color": MUTED if box.abandoned else INK,
        "weight": "bold",
        "size": 8.5,
        "zorder": 4,
    }
    canvas.write(box.x + 10, y + 16, box.title, **how)
    detail = box.detail + ", given up" * box.abandoned
    canvas.write(box.x + 10, y + 31, detail, color=MUTED, size=7.5, zorder=4)
    canvas.write(box.x + BOX_W - 8, y + 31, str(box.step + 1), color=MUTED, size=7.5, ha="right", zorder=4)
