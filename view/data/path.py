"""The path of a journey: where each step stands and which ways lead from one to the next. Pure.

A journey reads from left to right, a column a kind of stop; each move back begins a new pass below. The evidence
checks of one pass stand one below another in their column.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.registry import STOPS, title
from ddxgraph.view.data.evidence import evidence_of

WayKind = Literal["on", "back", "budget"]
"""On to the next stop; back by a backtrack; to the conclusion because a budget was spent."""


class Place(NamedTuple):
    """Where a step stands."""

    step: Step
    number: int
    """Of the pass, from 0; each move back begins another."""
    column: int
    row: float
    """From 0, downwards; a stop of the trunk stands half-way down its pass, so halves occur."""
    abandoned: bool
    """A check of a hypothesis that was refuted, and not taken up again, by the end."""


class Way(NamedTuple):
    """A way between two steps, by their indices."""

    start: int
    end: int
    kind: WayKind


@dataclass(frozen=True)
class Path:
    """A journey laid out."""

    places: Sequence[Place]
    """One a step, in the order of the steps."""
    ways: Sequence[Way]
    rows: int
    columns: int

    @property
    def passes(self) -> int:
        """How often the journey set out: its moves back that were followed, and one."""
        return self.places[-1].number + 1 if self.places else 0


def step_title(step: Step) -> str:
    """A step's name, with the hypothesis that a check is about."""
    return title(step.node) + (f" on {step.branch}" if step.branch else "")


def column_of(node: str) -> int:
    """The column of a node, from 0: a stop's place among the stops; other nodes make a journey by themselves."""
    return STOPS.place(node) if node in STOPS else 0


def path_of(trace: Trace) -> Path:
    """Lay a journey out."""
    places = tuple(_places(trace))
    rows = 1 + max((round(place.row + 0.25) for place in places), default=-1)
    columns = 1 + max((place.column for place in places), default=-1)
    return Path(places, tuple(_ways(trace.steps)), rows, columns)


def numbered(trace: Trace) -> Trace:
    """The trace with its steps numbered by their places, as every trace of ours is; others may come by hand."""
    if all(step.index == place for place, step in enumerate(trace.steps)):
        return trace
    steps = tuple(step.model_copy(update={"index": place}) for place, step in enumerate(trace.steps))
    return trace.model_copy(update={"steps": steps})


def _places(trace: Trace) -> Iterator[Place]:
    refuted, top = evidence_of(trace).refuted, 0
    for number, group in groupby(zip(_passes(trace.steps), trace.steps, strict=True), lambda pair: pair[0]):
        steps = [step for _, step in group]
        height = max(1, sum(step.branch is not None for step in steps))
        checks = 0
        for step in steps:
            if step.branch is None:
                row = top + (height - 1) / 2
            else:
                row, checks = float(top + checks), checks + 1
            yield Place(step, number, column_of(step.node), row, step.branch in refuted)
        top += height


def _passes(steps: Sequence[Step]) -> Iterator[int]:
    """The pass of each step; one begins after a move back, and wherever the order of the columns is broken."""
    number, last, back = 0, -1, False
    for step in steps:
        column = column_of(step.node)
        if back or column < last or (column == last and step.branch is None):
            number += 1
        last, back = column, step.move.backtrack
        yield number


def _ways(steps: Sequence[Step]) -> Iterator[Way]:
    """From the trunk to each check of a round, and from each of these to the stop that joins them."""
    checks: list[Step] = []
    for step in steps:
        led = steps[step.parent] if step.parent is not None and 0 <= step.parent < step.index else None
        if step.branch is not None:
            if checks and checks[-1].parent != step.parent:
                checks = []
            checks.append(step)
        elif checks and led is not None and checks[-1].parent == led.index:
            yield from (Way(check.index, step.index, _kind(check)) for check in checks)
            checks = []
            continue
        if led is not None:
            yield Way(led.index, step.index, _kind(led))


def _kind(start: Step) -> WayKind:
    if start.move.backtrack:
        return "back"
    return "budget" if start.move.trigger == "budget" else "on"
