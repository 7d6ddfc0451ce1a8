"""Journeys that several processes draw: the same markup, in the same order, with the same errors."""

import os
from functools import partial

import pytest
from markupsafe import Markup

from ddxgraph.common.errors import TraceFileError
from ddxgraph.view.page import drawing
from ddxgraph.view.page.drawing import drawn


def mark(number: int) -> Markup:
    return Markup("<b>{}</b>").format(number)


def mark_by(number: int, *, parent: int) -> Markup:
    return Markup("here" if os.getpid() == parent else "elsewhere")


def break_at(number: int, *, place: int) -> Markup:
    if number == place:
        raise TraceFileError(f"trace {number} cannot be read")
    return mark(number)


@pytest.fixture
def few(monkeypatch):
    """So few journeys are worth a process."""
    monkeypatch.setattr(drawing, "WORTH_IT", 20)


@pytest.mark.parametrize("count", [0, 1, 19, 20, 200])
def test_the_order_stays(few, count):
    numbers = list(range(count))
    assert list(drawn(mark, numbers, 2)) == list(drawn(mark, numbers)) == [mark(number) for number in numbers]


def test_only_many_journeys_are_drawn_by_other_processes(few):
    draw = partial(mark_by, parent=os.getpid())
    assert set(drawn(draw, range(19), 2)) == {"here"}
    assert set(drawn(draw, range(40), 1)) == {"here"}
    assert set(drawn(draw, range(40), 2)) == {"elsewhere"}


def test_an_error_of_a_process_arrives_whole(few):
    with pytest.raises(TraceFileError, match="trace 30 cannot be read"):
        list(drawn(partial(break_at, place=30), range(100), 2))


def test_a_reader_may_stop_early(few):
    drawings = drawn(mark, range(1000), 2)
    assert next(drawings) == mark(0)
    drawings.close()
