"""A journey drawn into a picture file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Final

from ddxgraph.common.words import NOTICE, count, cut, whole_percent
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE, EvidenceCheck
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
from ddxgraph.view.charts.path import BOX_H, BOX_W, Box, PathChart, back_in_words, path_chart
from ddxgraph.view.data.ending import answer_in_words, ending
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.path import Path as Course
from ddxgraph.view.data.path import Way, WayKind, numbered, path_of

_LEFT, _HEAD, _FOOT, _RIGHT = 34, 74, 74, 26
"""Pixels around the path's chart."""
_CARD_GAP, _CARD_W = 46, 176
_LEAST_WIDTH: Final = 860
_PAD: Final = 8
"""Between a pass's boxes and the edge of its band."""
_BUS: Final = 18
"""How far before a check the way back turns into it."""
_ANSWER_LINE, _ANSWER_LINES = 19, 4
"""Characters of a line of the answer, and lines."""

_DASHES: Final[Mapping[WayKind, Dash]] = {"on": "solid", "back": "dashed", "budget": "dotted"}
_FOR, _STRONGLY_FOR, _AGAINST, _STRONGLY_AGAINST = "#eaf6f0", "#cfe9dd", "#fdeee5", "#f9d9c7"
"""Ground of a check by the evidence that it found; its words give the number."""
_STRONG: Final = 3


def draw_journey(trace: Trace, path: Path) -> Path:
    """Draw a journey; see `Trace.draw`.

    Raises:
        PageError: the file's name ends in something other than `.png` or `.svg`.
        OSError: it cannot be written.
    """
    check_format(path)
    return _drawn(numbered(trace)).save(path, f"Journey {trace.id} of case {trace.case.id}")


def _drawn(trace: Trace) -> Canvas:
    course = path_of(trace)
    chart = path_chart(trace, course, evidence_of(trace))
    boxes = [box._replace(x=box.x + _LEFT - 10, y=box.y + _HEAD) for box in chart.boxes]
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
    for way in course.ways:
        _draw_way(canvas, course, boxes, way)
    for start, _ in _ways_back(course):
        _write_reason(canvas, boxes, course, start)
    for box, step in zip(boxes, trace.steps, strict=True):
        _draw_box(canvas, box, step)
    _draw_answer(canvas, trace, lines, (right + _CARD_GAP, card_top))
    if boxes:
        level = [(boxes[-1].x + BOX_W, middle), (right + _CARD_GAP, middle)]
        canvas.way(level, colour=END, dash="solid" if trace.answer is not None else "dotted", wide=1.6)
    _draw_legend(canvas, height - 44)
    canvas.write(_LEFT - 14, height - 18, NOTICE, size=7.5, colour=MUTED)
    return canvas


def _write_title(canvas: Canvas, trace: Trace, width: float) -> None:
    room = width - 2 * (_LEFT - 14)
    title = f"{trace.case.id}: {trace.outcome}"
    if trace.answer is not None:
        title += f", {answer_in_words(trace)}"
    facts = f"{count(len(trace.steps), 'step')}, {count(trace.backtracks, 'move')} back. {ending(trace)}"
    canvas.write(_LEFT - 14, 28, cut(title, 300), size=14, bold=True, room=room)
    canvas.write(_LEFT - 14, 54, cut(facts, 600), size=9.5, colour=MUTED, room=room)


def _write_heads(canvas: Canvas, chart: PathChart, right: float) -> None:
    y = _HEAD + 16
    for head in chart.heads:
        canvas.write(head.x + _LEFT - 10, y, head.name, size=9.5, bold=True, colour=MUTED, across="center")
    canvas.write(
        right + _CARD_GAP + _CARD_W / 2, y, "Answer", size=9.5, bold=True, colour=MUTED, across="center"
    )
    canvas.rule((_LEFT - 14, y + 12), (right + _CARD_GAP + _CARD_W, y + 12))


def _draw_bands(canvas: Canvas, course: Course, boxes: Sequence[Box], right: float) -> None:
    """A ground for each pass, with its number where there is more than one."""
    for number in range(course.passes):
        mine = [box for box, place in zip(boxes, course.places, strict=True) if place.number == number]
        top, low = min(box.y for box in mine) - _PAD, max(box.y for box in mine) + BOX_H + _PAD
        canvas.box(
            (_LEFT - 22, top),
            (right + 12 - _LEFT + 22, low - top),
            edge=RULE,
            fill=SOFT,
            wide=0.6,
            zorder=0.5,
        )
        if course.passes > 1:
            canvas.write(
                _LEFT - 10, (top + low) / 2, f"Pass {number + 1}" if low - top > 2 * BOX_H else f"{number + 1}",
                size=7.5, colour=MUTED, across="center", upright=True,
            )  # fmt: skip


def _ways_back(course: Course) -> Iterator[tuple[int, int]]:
    """Each move back that was followed: from which step, and to the first of those that it led to."""
    led = {way.start: way.end for way in reversed(course.ways) if way.kind == "back"}
    yield from sorted(led.items())


def _draw_way(canvas: Canvas, course: Course, boxes: Sequence[Box], way: Way) -> None:
    start, end = boxes[way.start], boxes[way.end]
    muted = course.places[way.start].abandoned or course.places[way.end].abandoned
    colour = BACK if way.kind == "back" else LINE
    wide = 1.7 if way.kind != "on" else 0.8 if muted else 1.1
    y, v = start.y + BOX_H / 2, end.y + BOX_H / 2
    if course.places[way.start].number == course.places[way.end].number and end.x > start.x:
        x, u = start.x + BOX_W, end.x
        if y == v:
            canvas.way([(x, y), (u, v)], colour=colour, dash=_DASHES[way.kind], wide=wide)
        else:
            bend = (u - x) / 2
            points = [(x, y), (x + bend, y), (u - bend, v), (u, v)]
            canvas.curve(points, colour=colour, dash=_DASHES[way.kind], wide=wide)
    else:
        canvas.way(_round_about(course, boxes, way), colour=colour, dash=_DASHES[way.kind], wide=wide)


def _round_about(course: Course, boxes: Sequence[Box], way: Way) -> Sequence[Point]:
    """From below a box, between the passes, down onto a stop of the trunk or into a check from its left."""
    start, end = boxes[way.start], boxes[way.end]
    gap = _gap(course, boxes, way.end)
    out = start.x + BOX_W / 2
    if end.node == CHECK_EVIDENCE.name:
        bus, v = end.x - _BUS, end.y + BOX_H / 2
        return [(out, start.y + BOX_H), (out, gap), (bus, gap), (bus, v), (end.x, v)]
    into = end.x + BOX_W / 2 - (24 if end.x == start.x else 0)
    return [(out, start.y + BOX_H), (out, gap), (into, gap), (into, end.y)]


def _gap(course: Course, boxes: Sequence[Box], step: int) -> float:
    """The level of the ways into a step's pass."""
    number = course.places[step].number
    tops = [box.y for box, place in zip(boxes, course.places, strict=True) if place.number == number]
    return min(tops) - 23


def _write_reason(canvas: Canvas, boxes: Sequence[Box], course: Course, start: int) -> None:
    """Where a move goes back to, who decided, and why, on its way."""
    end = next(way.end for way in course.ways if way.start == start and way.kind == "back")
    step = course.places[start].step
    right = boxes[start].x + BOX_W / 2 - 26
    left = boxes[end].x + (BOX_W / 2 + 26 if boxes[end].node != CHECK_EVIDENCE.name else 8)
    words = "↩ " + cut(back_in_words(step), 140)
    middle, room = (left + right) / 2, max(right - left, 150) - 12
    if canvas.width(canvas.fit(words, 2000, size=8), size=8) > room:  # it may lie on free ground to the left
        room = right - _LEFT - 12
        wanted = min(canvas.width(canvas.fit(words, room, size=8), size=8), room)
        middle = right - 6 - wanted / 2
    canvas.write(
        middle, _gap(course, boxes, end), words, size=8, colour=BACK, across="center", paper=PAGE, room=room
    )


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
    detail = ("✗ " * box.failed) + box.detail + ", given up" * box.abandoned
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
    """The answer on some lines, and how it came about below."""
    lines = wrap(cut(answer_in_words(trace), 300), _ANSWER_LINE, max_lines=_ANSWER_LINES, placeholder=" …")
    share = trace.distribution.get(trace.answer or "")
    below = trace.outcome + (f", {whole_percent(share)}" if share is not None else "")
    return [*lines, below]


def _card_height(lines: Sequence[str]) -> float:
    return 17 * len(lines) + 18


def _draw_answer(canvas: Canvas, trace: Trace, lines: Sequence[str], corner: Point) -> None:
    x, y = corner
    known = trace.answer is not None
    canvas.box(
        corner,
        (_CARD_W, _card_height(lines)),
        edge=END if known else MUTED,
        fill="#eaf3fb" if known else PAGE,
        dash="solid" if known else "dashed",
        wide=1.7,
        radius=10,
    )
    for place, line in enumerate(lines[:-1]):
        canvas.write(
            x + _CARD_W / 2,
            y + 18 + 17 * place,
            line,
            size=9.5,
            bold=True,
            across="center",
            room=_CARD_W - 14,
        )
    canvas.write(
        x + _CARD_W / 2, y + 18 + 17 * (len(lines) - 1), lines[-1], size=8, colour=MUTED, across="center",
        room=_CARD_W - 14,
    )  # fmt: skip


def _draw_legend(canvas: Canvas, y: float) -> None:
    x: float = _LEFT - 14
    signs: Sequence[tuple[str, str, Dash, float]] = (
        ("on", LINE, "solid", 1.1),
        ("back, with who decided and why", BACK, "dashed", 1.7),
        ("on to the conclusion: a budget is spent", LINE, "dotted", 1.7),
    )
    for words, colour, dash, wide in signs:
        canvas.way([(x, y), (x + 30, y)], colour=colour, dash=dash, wide=wide)
        canvas.write(x + 37, y, words, size=7.5, colour=MUTED)
        x += 37 + canvas.width(words, size=7.5) + 24
    canvas.box((x, y - 7), (26, 14), dash="dashed", wide=0.9, radius=4)
    canvas.write(x + 33, y, "check of a hypothesis given up later", size=7.5, colour=MUTED)
