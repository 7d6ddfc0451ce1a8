"""The credence chart: every hypothesis at every step that has a credence, legible, inside the drawing."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys import AT_ONCE, CASE, FREE
from viewed import of_many_options
from walks import plain_walk, whimsical

from ddxgraph import Trace
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.charts.credence import STYLES, CredenceChart, credence_chart
from ddxgraph.view.data.evidence import Evidence, evidence_of

BARE = Evidence({}, {}, {}, {})
APART = 15
NAMED = 8


def drawn(trace: Trace) -> CredenceChart:
    chart = credence_chart(trace, trace.trajectory(), evidence_of(trace))
    assert chart is not None
    return chart


def sound(chart: CredenceChart, course: list[dict[str, float]]) -> None:
    """All that holds of every chart."""
    keys = list(dict.fromkeys(key for shares in course for key in shares))
    assert [curve.hypothesis for curve in chart.curves] == keys, "one curve a hypothesis"
    for number, curve in enumerate(chart.curves):
        told = [shares[curve.hypothesis] for shares in course if curve.hypothesis in shares]
        assert [point.share for point in curve.points] == told, "one point a step that has a credence"
        assert curve.style == number % STYLES
        assert all(chart.left <= point.x <= chart.right for point in curve.points)
        assert all(chart.top <= point.y <= chart.bottom for point in curve.points)
        xs = [point.x for point in curve.points]
        assert xs == sorted(xs)
        assert curve.line.split() == [f"{point.x},{point.y}" for point in curve.points]
    points = sorted((point for curve in chart.curves for point in curve.points), key=lambda one: one.share)
    heights = [point.y for point in points]
    assert heights == sorted(heights, reverse=True), "the more credence, the higher"
    labels = sorted(curve.label_y for curve in chart.curves if curve.label_y is not None)
    assert len(labels) == min(len(keys), NAMED)
    assert all(b - a >= APART - 1e-6 for a, b in pairwise(labels)), "none covers another"
    assert all(y > 10 and y + 8 < chart.height for y in labels), "inside the drawing"


@pytest.mark.parametrize("seed", range(16))
def test_a_walk_at_random_is_drawn_whole(seed):
    trace = whimsical(seed, [CASE, FREE][seed % 2]).trace
    if any(trace.trajectory()):
        sound(drawn(trace), trace.trajectory())


@settings(max_examples=40)
@given(
    st.integers(1, 26).flatmap(
        lambda count: st.lists(
            st.lists(st.floats(0, 1), min_size=count, max_size=count), min_size=1, max_size=5
        )
    )
)
def test_any_credences_of_up_to_26_hypotheses_are_legible(shares):
    course = [{f"H{place}": share for place, share in enumerate(row)} for row in shares]
    chart = credence_chart(plain_walk().trace.model_copy(update={"steps": ()}), course, BARE)
    assert chart is not None
    sound(chart, course)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_hypotheses_that_end_alike_have_labels_one_below_another(share):
    course = [{f"H{place}": share for place in range(26)}]
    chart = credence_chart(plain_walk().trace.model_copy(update={"steps": ()}), course, BARE)
    assert chart is not None
    sound(chart, course)
    assert chart.curves[0].points[0].x == (chart.left + chart.right) / 2, "a single step stands in the middle"


def test_the_leaders_are_the_ones_that_are_labelled():
    trace = of_many_options()
    chart = drawn(trace)
    sound(chart, trace.trajectory())
    assert len(chart.curves) == 26
    named = {curve.hypothesis for curve in chart.curves if curve.label_y is not None}
    last = trace.trajectory()[-1]
    assert min(last[key] for key in named) >= max(last[key] for key in last if key not in named)


def test_moves_back_are_marked_where_they_were_made():
    trace = plain_walk().trace
    chart = drawn(trace)
    turns = [step.index for step in trace.steps if step.move.backtrack]
    assert [mark.step for mark in chart.backs] == turns == [6, 13]
    at = {tick.step: tick.x for tick in chart.ticks}
    for mark in chart.backs:
        before, after = at.get(mark.step - 1), at.get(mark.step + 1)
        assert before is None or before < mark.x
        assert after is None or mark.x < after
    (point,) = [one for one in chart.curves[0].points if f"step {7}:" in one.words]
    assert chart.backs[0].x == point.x, "over the step's own points"


def test_the_axis_has_the_first_step_and_few_enough_numbers():
    trace = of_many_options()
    chart = drawn(trace)
    first = next(place for place, shares in enumerate(trace.trajectory()) if shares)
    assert chart.ticks[0].step == first
    assert len(chart.ticks) <= 12
    assert chart.ticks[-1].step < len(trace.steps)


def test_what_was_given_up_is_drawn_as_such():
    chart = drawn(plain_walk().trace)
    assert {curve.hypothesis for curve in chart.curves if curve.refuted} == {"A", "B", "D", "H1"}
    assert "C Pulmonary embolism" in chart.words
    assert [name for _, name in chart.levels] == ["0%", "25%", "50%", "75%", "100%"]
    assert [y for y, _ in chart.levels] == sorted((y for y, _ in chart.levels), reverse=True)


async def test_without_a_differential_there_is_no_chart():
    trace = await GenerationStrategy(style="cot", patience=AT_ONCE)(CASE, ScriptedChatModel())
    assert credence_chart(trace, trace.trajectory(), evidence_of(trace)) is None
    assert credence_chart(trace, [], BARE) is None
