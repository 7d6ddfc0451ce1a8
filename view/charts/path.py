"""Drawing of a path: boxes, arrows and bands with their coordinates, in pixels. Pure.

Pages draw it as SVG, and pictures use its boxes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ddxgraph.common.words import count, cut, signed, whole_percent
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.generate import Generation
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.registry import STOPS, title
from ddxgraph.nodes.review_history import History
from ddxgraph.view.data.evidence import Evidence
from ddxgraph.view.data.path import Path, Place, Way, WayKind, step_title

BOX_W: Final = 168
BOX_H: Final = 38
_COLUMN_W: Final = 214
_ROW_H: Final = 46
_GAP_H: Final = 38
"""Between two passes; backtracks run through it."""
_LEFT, _TOP, _RIGHT, _BOTTOM = 22, 44, 22, 14
_BUS: Final = 16
"""Distance before a box at which the arrow of a backtrack turns into it."""
_LABEL_CHARS: Final = 19


class Box(NamedTuple):
    """A step."""

    x: float
    y: float
    step: int
    node: str
    title: str
    detail: str
    words: str
    """Text alternative, for screen readers."""
    abandoned: bool
    failed: bool


class Line(NamedTuple):
    """An arrow."""

    points: Sequence[tuple[float, float]]
    """From the edge of the first box to that of the second; the middle ones of a curve are its control points."""
    curved: bool
    """A cubic Bézier curve rather than straight segments."""
    kind: WayKind
    muted: bool

    @property
    def d(self) -> str:
        """The arrow, as SVG's `path` takes it."""
        first, *rest = (f"{x:g} {y:g}" for x, y in self.points)
        return f"M{first}{'C' if self.curved else 'L'}{' '.join(rest)}"


class Band(NamedTuple):
    """Caption of a pass that began with a backtrack."""

    y: float
    words: str
    """Where the backtrack leads, who decided, and why."""


class Head(NamedTuple):
    """Heading of a column."""

    x: float
    name: str


@dataclass(frozen=True)
class PathChart:
    """The drawing."""

    width: int
    height: int
    heads: Sequence[Head]
    boxes: Sequence[Box]
    lines: Sequence[Line]
    bands: Sequence[Band]


def path_chart(trace: Trace, path: Path, evidence: Evidence) -> PathChart:
    """Lay out the drawing of a path.

    Args:
        trace: the trace.
        path: its path.
        evidence: its evidence, for the names of hypotheses.

    Returns:
        The drawing.
    """
    boxes = [_box(place, trace, evidence) for place in path.places]
    muted = [place.abandoned for place in path.places]
    stops = sorted(
        path.places, key=lambda place: place.step.node in STOPS
    )  # an edit is in the column of a stop
    columns = {place.column: place.step.node for place in stops}
    height = _TOP + path.rows * _ROW_H + max(path.passes - 1, 0) * _GAP_H + _BOTTOM
    return PathChart(
        width=_LEFT + max(path.columns - 1, 0) * _COLUMN_W + BOX_W + _RIGHT,
        height=round(height),
        heads=[Head(_x(column) + BOX_W / 2, title(node)) for column, node in sorted(columns.items())],
        boxes=boxes,
        lines=[_line(way, boxes, path, muted[way.start] or muted[way.end]) for way in path.ways],
        bands=list(_bands(path)),
    )


def _x(column: int) -> float:
    return _LEFT + column * _COLUMN_W


def _y(place: Place) -> float:
    return _TOP + place.row * _ROW_H + place.number * _GAP_H + (_ROW_H - BOX_H) / 2


def _box(place: Place, trace: Trace, evidence: Evidence) -> Box:
    step = place.step
    name = f"{step.branch} {evidence.label(step.branch)}" if step.branch else title(step.node)
    detail = _detail(step, trace)
    words = f"Step {step.index + 1}: {step_title(step)}; {detail}" + ("; refuted later" * place.abandoned)
    name, short, failed = cut(name, _LABEL_CHARS), cut(detail, _LABEL_CHARS + 2), step.failure is not None
    return Box(
        _x(place.column), _y(place), step.index, step.node, name, short, words, place.abandoned, failed
    )


def _detail(step: Step, trace: Trace) -> str:
    match step.output:
        case History(findings=findings):
            return count(len(findings), "finding")
        case Differential(hypotheses=hypotheses):
            return count(len(hypotheses), "hypothesis", "hypotheses")
        case EvidenceCheck(weights=weights):
            return f"evidence {signed(sum(weight.strength for weight in weights))}"
        case Reflection(verdict=verdict):
            return verdict.replace("_", " ")
        case Conclusion(answer=answer) | Generation(answer=answer):
            share = trace.distribution.get(answer or "")
            return (answer or "no answer") + (f" ({whole_percent(share)})" if share is not None else "")
        case _:
            silent = "failed" if step.failure else "" if step.text else "no call"
            return next(iter(step.remarks), silent)


def _line(way: Way, boxes: Sequence[Box], path: Path, muted: bool) -> Line:
    start, end = boxes[way.start], boxes[way.end]
    if path.places[way.start].number == path.places[way.end].number and end.x > start.x:
        x, y, u, v = start.x + BOX_W, start.y + BOX_H / 2, end.x, end.y + BOX_H / 2
        bend = (u - x) / 2
        return Line(((x, y), (x + bend, y), (u - bend, v), (u, v)), curved=True, kind=way.kind, muted=muted)
    # Down into the gap above the next pass, along it to the target, and into it.
    top = min(box.y for box, place in zip(boxes, path.places, strict=True) if _same(place, path, way))
    gap = top - _GAP_H / 2 - 2
    x, y, bus, v = start.x + BOX_W / 2, start.y + BOX_H, end.x - _BUS, end.y + BOX_H / 2
    corners = ((x, y), (x, gap), (bus, gap), (bus, v), (end.x, v))
    return Line(corners, curved=False, kind=way.kind, muted=muted)


def _same(place: Place, path: Path, way: Way) -> bool:
    return place.number == path.places[way.end].number


def _bands(path: Path) -> Iterator[Band]:
    """A caption for each pass that a backtrack began, above it."""
    tops: dict[int, float] = {}
    for place in path.places:
        tops[place.number] = min(tops.get(place.number, _y(place)), _y(place))
    for place in path.places:
        if place.step.move.backtrack and place.number + 1 in tops:
            yield Band(tops[place.number + 1] - _GAP_H / 2 - 6, back_in_words(place.step))


def back_in_words(step: Step) -> str:
    """A backtrack: where to, who decided, and why."""
    move = step.move
    about = f" on {' and '.join(move.targets)}" if move.targets else ""
    who = {"self": "the model", "verifier": "a rule", "expert": "an expert"}.get(move.trigger, move.trigger)
    return f"back to {title(move.to).lower()}{about} ({who}: {move.reason})"
