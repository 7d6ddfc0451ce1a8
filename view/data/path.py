"""Layout of a path: the position of each step, and the ways between steps. Pure.

A path reads from left to right, with one column per stop; each backtrack begins a new pass below. The evidence
checks of a pass stand below one another in their column.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.registry import STOPS, title
from ddxgraph.view.data.evidence import evidence_of

WayKind = Literal["on", "back", "budget"]
"""On to the next stop; back by a backtrack; or straight to the conclusion, since a budget was spent."""


class Place(NamedTuple):
    """Position of a step."""

    step: Step
    number: int
    """Of the pass, from 0; each backtrack begins another."""
    column: int
    row: float
    """From 0, downwards. A stop on the trunk stands halfway down its pass, so halves occur."""
    abandoned: bool
    """Whether the step checks a hypothesis that is refuted in the end."""


class Way(NamedTuple):
    """A way between two steps, by their indices."""

    start: int
    end: int
    kind: WayKind


@dataclass(frozen=True)
class Path:
    """A laid-out path."""

    places: Sequence[Place]
    """One per step, in order."""
    ways: Sequence[Way]
    rows: int
    columns: int

    @property
    def passes(self) -> int:
        """One more than the backtracks that were followed."""
        return self.places[-1].number + 1 if self.places else 0


def step_title(step: Step) -> str:
    """The title of a step's stop; for a check, with its hypothesis."""
    return title(step.node) + (f" on {step.branch}" if step.branch else "")


def columns_of(steps: Iterable[Step]) -> list[int]:
    """The column of each step, from 0: the place of its stop; for an expert's edit that of the stop before it.

    A single generation is alone in its path.
    """
    columns: list[int] = []
    for step in steps:
        columns.append(STOPS.place(step.node) if step.node in STOPS else columns[-1] if columns else 0)
    return columns


def path_of(trace: Trace) -> Path:
    """Lay out the path of a trace."""
    places = tuple(_places(trace))
    rows = 1 + max((round(place.row + 0.25) for place in places), default=-1)
    columns = 1 + max((place.column for place in places), default=-1)
    return Path(places, tuple(_ways(trace.steps)), rows, columns)


def numbered(trace: Trace) -> Trace:
    """The trace with steps numbered by position. Traces that ddxgraph wrote are; edited ones may not be."""
    if all(step.index == place for place, step in enumerate(trace.steps)):
        return trace
    steps = tuple(step.model_copy(update={"index": place}) for place, step in enumerate(trace.steps))
    return trace.model_copy(update={"steps": steps})


def _places(trace: Trace) -> Iterator[Place]:
    refuted, top = evidence_of(trace).refuted, 0
    placed = zip(_passes(trace.steps), columns_of(trace.steps), trace.steps, strict=True)
    for number, group in groupby(placed, lambda each: each[0]):
        steps = [(column, step) for _, column, step in group]
        height = max(1, sum(step.branch is not None for _, step in steps))
        checks = 0
        for column, step in steps:
            if step.branch is None:
                row = top + (height - 1) / 2
            else:
                row, checks = float(top + checks), checks + 1
            yield Place(step, number, column, row, step.branch in refuted)
        top += height


def _passes(steps: Sequence[Step]) -> Iterator[int]:
    """The pass of each step; a new one begins after a backtrack, and wherever columns are out of order."""
    number, last, back = 0, -1, False
    for step, column in zip(steps, columns_of(steps), strict=True):
        if back or column < last or (column == last and step.branch is None):
            number += 1
        last, back = column, step.move.backtrack
        yield number


def _ways(steps: Sequence[Step]) -> Iterator[Way]:
    """From the trunk to each check of a round, and from each check to the stop that joins them."""
    checks: list[Step] = []
    for step in steps:
        parent = steps[step.parent] if step.parent is not None and 0 <= step.parent < step.index else None
        if step.branch is not None:
            if checks and checks[-1].parent != step.parent:
                checks = []
            checks.append(step)
        elif checks and parent is not None and checks[-1].parent == parent.index:
            yield from (Way(check.index, step.index, _kind(check)) for check in checks)
            checks = []
            continue
        if parent is not None:
            yield Way(parent.index, step.index, _kind(parent))


def _kind(start: Step) -> WayKind:
    if start.move.backtrack:
        return "back"
    return "budget" if start.move.trigger == "budget" else "on"
