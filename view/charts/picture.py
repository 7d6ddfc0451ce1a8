"""Draws a trace into a picture file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

from ddxgraph.common.words import NOTICE, count, cut, whole_percent
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.generate import GENERATE
from ddxgraph.nodes.registry import STOPS, node
from ddxgraph.view.charts.canvas import (
    ALARM,
    BACK,
    END,
    INK,
    LINE,
    MUTED,
    PAGE,
    RULE,
    SOFT,
    Canvas,
    Dash,
    Point,
    check_format,
)
from ddxgraph.view.charts.path import BOX_H, BOX_W, Box, Line, PathChart, back_in_words, path_chart
from ddxgraph.view.data.ending import answer_in_words, ending
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.path import Path as Course
from ddxgraph.view.data.path import WayKind, numbered, path_of

_LEFT, _HEAD, _FOOT, _RIGHT = 34, 74, 74, 26
"""Pixels around the drawing of the path."""
_RIGHTWARDS: Final = _LEFT - 10
"""By how much the drawing, which has a margin of its own, is shifted."""
_CARD_GAP, _CARD_W = 46, 176
_LEAST_WIDTH: Final = 860
_PAD: Final = 8
"""Between the boxes of a pass and the edge of its band."""
_ANSWER_LINE, _ANSWER_LINES = 19, 4
"""Characters per line of the answer, and number of lines."""
_DASHES: Final[Mapping[WayKind, Dash]] = {"on": "solid", "back": "dashed", "budget": "dotted"}
_FOR, _STRONGLY_FOR, _AGAINST, _STRONGLY_AGAINST = "#eaf6f0", "#cfe9dd", "#fdeee5", "#f9d9c7"
"""Background of a check by the evidence it found; its text gives the number."""
_STRONG: Final = 3


def draw_journey(trace: Trace, path: Path) -> Path:
    """Draw a trace; see `Trace.draw`.

    Raises:
        PageError: the file name does not end in `.png` or `.svg`.
        OSError: the file cannot be written.
    """
    check_format(path)
    return _drawn(numbered(trace)).save(path, f"Journey {trace.id} of case {trace.case.id}")


def _drawn(trace: Trace) -> Canvas:
    course = path_of(trace)
    chart = path_chart(trace, course, evidence_of(trace))
    boxes = [box._replace(x=box.x + _RIGHTWARDS, y=box.y + _HEAD) for box in chart.boxes]
    right = max((box.x + BOX_W for box in boxes), default=_LEFT)
    width = max(right + _CARD_GAP + _CARD_W + _RIGHT, _LEAST_WIDTH)
    middle = boxes[-1].y + BOX_H / 2 if boxes else _HEAD + 60
    lines = _answer(trace)
    card_top = middle - _card_height(lines) / 2
    height = max(_HEAD + chart.height, card_top + _card_height(lines) + 14) + _FOOT
    canvas = Canvas(width, height)
    _write_title(canvas, trace, width)
    _write_heads(canvas, chart, right)
    _draw_bands(canvas, course, boxes, right)
    _draw_ways(canvas, course, chart.lines)
    for box, step in zip(boxes, trace.steps, strict=True):
        _draw_box(canvas, box, step)
    _draw_answer(canvas, trace, lines, (right + _CARD_GAP, card_top))
    if boxes:
        level = [(boxes[-1].x + BOX_W, middle), (right + _CARD_GAP, middle)]
        canvas.arrow(level, colour=END, dash="solid" if trace.answer is not None else "dotted", wide=1.6)
    _draw_legend(canvas, height - 44)
    canvas.write(_LEFT - 14, height - 18, NOTICE, size=7.5, colour=MUTED)
    return canvas


def _write_title(canvas: Canvas, trace: Trace, width: float) -> None:
    room = width - 2 * (_LEFT - 14)
    title = f"{trace.case.id}: {trace.outcome}"
    if trace.answer is not None:
        title += f", {answer_in_words(trace)}"
    facts = f"{count(len(trace.steps), 'step')}, {count(trace.backtracks, 'backtrack')}. {ending(trace)}"
    canvas.write(_LEFT - 14, 28, cut(title, 300), size=14, bold=True, room=room)
    canvas.write(_LEFT - 14, 54, cut(facts, 600), size=9.5, colour=MUTED, room=room)


def _write_heads(canvas: Canvas, chart: PathChart, right: float) -> None:
    y = _HEAD + 16
    for head in chart.heads:
        canvas.write(head.x + _RIGHTWARDS, y, head.name, size=9.5, bold=True, colour=MUTED, across="center")
    canvas.write(
        right + _CARD_GAP + _CARD_W / 2, y, "Answer", size=9.5, bold=True, colour=MUTED, across="center"
    )
    canvas.rule((_LEFT - 14, y + 12), (right + _CARD_GAP + _CARD_W, y + 12))


def _draw_bands(canvas: Canvas, course: Course, boxes: Sequence[Box], right: float) -> None:
    """A background for each pass, with its number if there are several."""
    for number in range(course.passes):
        mine = [box for box, place in zip(boxes, course.places, strict=True) if place.number == number]
        top, low = min(box.y for box in mine) - _PAD, max(box.y for box in mine) + BOX_H + _PAD
        size = (right + 12 - _LEFT + 22, low - top)
        canvas.box((_LEFT - 22, top), size, edge=RULE, fill=SOFT, wide=0.6, zorder=0.5)
        if course.passes > 1:
            canvas.write(
                _LEFT - 15, (top + low) / 2, f"Pass {number + 1}" if low - top > 2 * BOX_H else f"{number + 1}",
                size=7.5, colour=MUTED, across="center", upright=True,
            )  # fmt: skip


def _draw_ways(canvas: Canvas, course: Course, lines: Sequence[Line]) -> None:
    """The arrows; then, over them, a label for each backtrack: where to, who decided, and why."""
    lines = [line._replace(points=[(x + _RIGHTWARDS, y + _HEAD) for x, y in line.points]) for line in lines]
    for line in lines:
        wide = 1.7 if line.kind != "on" else 0.8 if line.muted else 1.1
        colour = BACK if line.kind == "back" else LINE
        canvas.arrow(line.points, colour=colour, dash=_DASHES[line.kind], wide=wide, curved=line.curved)
    backs = {way.start: line for way, line in zip(course.ways, lines, strict=True) if way.kind == "back"}
    for start, line in sorted(backs.items()):
        (x, _), (_, gap), (bus, _) = line.points[:3]
        words = canvas.fit("↩ " + cut(back_in_words(course.places[start].step), 140), 2000, size=8)
        left, right, wanted = bus + 8, x - 26, canvas.width(words, size=8)
        room = max(right - left, 150) - 12
        middle = (left + right) / 2
        if wanted > room:  # there is free space to the left
            room = right - _LEFT - 12
            middle = right - 6 - min(wanted, room) / 2
        canvas.write(middle, gap, words, size=8, colour=BACK, across="center", paper=PAGE, room=room)


def _draw_box(canvas: Canvas, box: Box, step: Step) -> None:
    edge = ALARM if box.failed else END if step.node == STOPS.last.name else LINE
    canvas.box(
        (box.x, box.y),
        (BOX_W, BOX_H),
        edge=edge,
        fill=PAGE if box.abandoned else _ground(step),
        dash="dashed" if box.abandoned else "solid",
        wide=1.7 if box.failed or step.node in {STOPS.last.name, GENERATE.name} else 0.9,
        strip=None if box.abandoned else node(step.node).colour,
    )
    number = str(box.step + 1)
    detail = ("✗ " * box.failed) + box.detail + ", refuted" * box.abandoned
    title = MUTED if box.abandoned else INK
    room = BOX_W - 17
    canvas.write(box.x + 12, box.y + 13, box.title, size=8, bold=True, colour=title, room=room)
    beside = room - canvas.width(number, size=7) - 6
    canvas.write(box.x + 12, box.y + 28, detail, size=7.5, colour=ALARM if box.failed else MUTED, room=beside)
    canvas.write(box.x + BOX_W - 8, box.y + 28, number, size=7, colour=MUTED, across="right")


def _ground(step: Step) -> str:
    if not isinstance(step.output, EvidenceCheck):
        return PAGE
    total = sum(weight.strength for weight in step.output.weights)
    if total == 0:
        return PAGE
    if total > 0:
        return _STRONGLY_FOR if total >= _STRONG else _FOR
    return _STRONGLY_AGAINST if total <= -_STRONG else _AGAINST


def _answer(trace: Trace) -> Sequence[str]:
    """The answer on some lines, and outcome and credence below."""
    lines = wrap(cut(answer_in_words(trace), 300), _ANSWER_LINE, max_lines=_ANSWER_LINES, placeholder=" …")
    share = trace.distribution.get(trace.answer or "")
    below = trace.outcome + (f", {whole_percent(share)}" if share is not None else "")
    return [*lines, below]


def _card_height(lines: Sequence[str]) -> float:
    return 17 * len(lines) + 18


def _draw_answer(canvas: Canvas, trace: Trace, lines: Sequence[str], corner: Point) -> None:
    (x, y), known = corner, trace.answer is not None
    middle, room = x + _CARD_W / 2, _CARD_W - 14
    canvas.box(
        corner, (_CARD_W, _card_height(lines)), edge=END if known else MUTED,
        fill="#eaf3fb" if known else PAGE,
        dash="solid" if known else "dashed", wide=1.7, radius=10,
    )  # fmt: skip
    for place, line in enumerate(lines[:-1]):
        canvas.write(middle, y + 18 + 17 * place, line, size=9.5, bold=True, across="center", room=room)
    low = y + 18 + 17 * (len(lines) - 1)
    canvas.write(middle, low, lines[-1], size=8, colour=MUTED, across="center", room=room)


def _draw_legend(canvas: Canvas, y: float) -> None:
    x: float = _LEFT - 14
    signs: Sequence[tuple[str, str, Dash, float]] = (
        ("on", LINE, "solid", 1.1),
        ("back, with who decided and why", BACK, "dashed", 1.7),
        ("on to the conclusion: a budget is spent", LINE, "dotted", 1.7),
    )
    for words, colour, dash, wide in signs:
        canvas.arrow([(x, y), (x + 30, y)], colour=colour, dash=dash, wide=wide)
        canvas.write(x + 37, y, words, size=7.5, colour=MUTED)
        x += 37 + canvas.width(words, size=7.5) + 24
    canvas.box((x, y - 7), (26, 14), dash="dashed", wide=0.9, radius=4)
    canvas.write(x + 33, y, "check of a hypothesis refuted later", size=7.5, colour=MUTED)
