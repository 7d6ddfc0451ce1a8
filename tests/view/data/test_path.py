"""A journey laid out: columns, passes, rows and ways, of walks made by hand and of walks taken at random."""

import pytest
from journeys import AT_ONCE, CASE, FREE, STRAIGHT, named, reading, reflection, weighing
from journeys import differential as supposing
from langchain_core.exceptions import ModelConnectionError
from walks import doubting, plain_walk, walked, whimsical

from ddxgraph import Budget, Step, Trace, build_graph, trace_of
from ddxgraph.graph.generation import GenerationStrategy
from ddxgraph.graph.routing import Move
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.data.path import Path, Way, numbered, path_of

ROUND = [("on", 1, 2), ("on", 1, 3), ("on", 1, 4), ("on", 1, 5)]
"""From the differential to each of four checks."""


def stood(path: Path) -> list[tuple[int, int, float]]:
    """Pass, column and row of each step."""
    return [(place.number, place.column, place.row) for place in path.places]


def went(path: Path) -> list[tuple[int, int, str]]:
    return [(way.start, way.end, way.kind) for way in path.ways]


def a_round(number: int, top: int, checks: int, *, begins: int = 0, ends: int = 3) -> list[tuple]:
    """A pass from one column to another whose checks begin at a row."""
    middle = top + (checks - 1) / 2
    found: list[tuple] = []
    for column in range(begins, ends + 1):
        rows = [float(top + place) for place in range(checks)] if column == 2 else [middle]
        found += [(number, column, row) for row in rows]
    return found


def joined(start: int, checks: int, kind: str = "on") -> list[tuple]:
    """The ways from a stop to the checks behind it, and from these to the stop that joins them."""
    first, end = start + 1, start + 1 + checks
    return [(start, one, kind) for one in range(first, end)] + [(one, end, "on") for one in range(first, end)]


def test_a_straight_walk_is_one_row_of_columns_with_the_checks_one_below_another():
    path = path_of(walked(STRAIGHT, CASE).trace)
    assert stood(path) == a_round(0, 0, 4, ends=4)
    assert went(path) == [(0, 1, "on"), *joined(1, 4), (6, 7, "on")]
    assert (path.rows, path.columns, path.passes) == (4, 5, 1)


def test_a_way_back_to_the_history_begins_a_pass_in_the_first_column():
    path = path_of(walked(doubting(0, rereads=1), CASE).trace)
    assert stood(path) == a_round(0, 0, 4) + a_round(1, 4, 4, ends=4)
    assert went(path) == [
        (0, 1, "on"),
        *joined(1, 4),
        (6, 7, "back"),
        (7, 8, "on"),
        *joined(8, 4),
        (13, 14, "on"),
    ]
    assert (path.rows, path.columns, path.passes) == (8, 5, 2)


def test_a_way_back_to_the_differential_begins_a_pass_in_the_second_column():
    path = path_of(walked(doubting(0, widenings=1), CASE).trace)
    assert stood(path) == a_round(0, 0, 4) + a_round(1, 4, 4, begins=1, ends=4)
    assert went(path)[9:] == [(6, 7, "back"), *joined(7, 4), (12, 13, "on")]
    assert path.passes == 2


def test_a_way_back_to_the_evidence_begins_a_pass_of_the_checks_that_are_made_again():
    script = doubting(0) | {"reflect": [reflection("recheck_evidence", targets=["A", "C"]), reflection()]}
    path = path_of(walked(script, CASE).trace)
    assert stood(path) == a_round(0, 0, 4) + a_round(1, 4, 2, begins=2, ends=4)
    assert went(path)[9:] == [
        (6, 7, "back"),
        (6, 8, "back"),
        (7, 9, "on"),
        (8, 9, "on"),
        (9, 10, "on"),
    ]
    assert (path.rows, path.passes) == (6, 2)


def test_passes_follow_one_another_downwards():
    path = path_of(walked(doubting(1, 1, 1), CASE).trace)
    assert stood(path) == [
        *a_round(0, 0, 4),
        *a_round(1, 4, 4),
        *a_round(2, 8, 4, begins=1),
        *a_round(3, 12, 1, begins=2, ends=4),
    ]
    assert (path.rows, path.passes) == (13, 4)
    assert [way[:2] for way in path.ways if way.kind == "back"] == [(6, 7), (13, 14), (19, 20)]


def test_checks_of_what_was_given_up_are_abandoned_and_no_others():
    path = path_of(plain_walk().trace)
    assert {place.step.branch for place in path.places if place.abandoned} == {"A", "B", "D", "H1"}
    assert [place.step.branch for place in path.places if place.step.branch and not place.abandoned] == [
        "C",
        "C",
    ]


def test_what_was_taken_up_again_is_not_abandoned():
    script = STRAIGHT | {"reflect": [reflection(refuted="ABCD"), reflection(refuted="A")]}
    path = path_of(walked(script, CASE).trace)
    assert path.passes == 2
    assert {place.step.branch for place in path.places if place.abandoned} == {"A"}


@pytest.mark.parametrize(("calls", "stops"), [(3, 1), (4, 1), (5, 2), (6, 3)])
def test_a_spent_budget_leads_to_the_conclusion_by_a_way_of_its_own(calls, stops):
    path = path_of(walked(STRAIGHT, CASE, budget=Budget(max_calls=calls)).trace)
    *_, last = path.ways
    assert last.kind == "budget"
    assert path.places[last.end].column == 4
    assert [way.kind for way in path.ways].count("budget") == 1
    assert (path.rows, path.passes) == (stops, 1)


def test_a_wish_to_go_back_that_the_budget_forbids_begins_no_pass():
    path = path_of(walked(doubting(3), CASE, budget=Budget(max_backtracks=1)).trace)
    assert path.passes == 2
    assert went(path)[-2:] == [(7, 8, "on"), (8, 9, "budget")]


def test_a_failure_ends_the_path_where_it_came():
    broken = path_of(walked(STRAIGHT | {"reflect": ModelConnectionError("refused")}, CASE).trace)
    assert stood(broken) == a_round(0, 0, 4)
    assert (broken.columns, broken.passes) == (4, 1)
    inside = path_of(walked(STRAIGHT | {"check_evidence:A": ModelConnectionError("refused")}, CASE).trace)
    assert stood(inside) == a_round(0, 0, 4, ends=2)
    assert went(inside) == [(0, 1, "on"), *((1, end, "on") for end in (2, 3, 4, 5))]


@pytest.mark.parametrize("stop", ["generate_differential", "check_evidence", "reflect"])
def test_an_interrupted_journey_is_drawn_as_far_as_it_came(stop):
    graph = build_graph(ScriptedChatModel(script=STRAIGHT), patience=AT_ONCE)
    *_, state = graph.stream({"case": CASE}, stream_mode="values", interrupt_before=[stop])
    trace = trace_of(state)
    path, whole = path_of(trace), path_of(walked(STRAIGHT, CASE).trace)
    assert trace.ended == "interrupted"
    assert len(path.places) == len(trace.steps) < len(whole.places)
    assert [place.column for place in path.places] == [place.column for place in whole.places][
        : len(path.places)
    ]
    assert went(path) == [one for one in went(whole) if one[1] < len(path.places)]


def test_a_journey_without_a_step_has_no_path():
    trace = walked(STRAIGHT, CASE).trace.model_copy(update={"steps": ()})
    path = path_of(trace)
    assert (path.places, path.ways, path.rows, path.columns, path.passes) == ((), (), 0, 0, 0)


async def test_a_single_generation_is_one_place():
    trace = await GenerationStrategy(style="cot", patience=AT_ONCE)(CASE, ScriptedChatModel())
    path = path_of(trace)
    assert stood(path) == [(0, 0, 0.0)]
    assert (path.ways, path.rows, path.columns, path.passes) == ((), 1, 1, 1)


def test_a_free_form_case_is_laid_out_by_its_hypotheses():
    script = {
        "review_history": reading("fever"),
        "generate_differential": supposing(named("gout", 60), named("lupus", 40)),
        "check_evidence": weighing(F1=1),
        "reflect": reflection(),
        "conclude": {"justification": "so", "answer": "gout"},
    }
    path = path_of(walked(script, FREE).trace)
    assert stood(path) == a_round(0, 0, 2, ends=4)
    assert [place.step.branch for place in path.places if place.step.branch] == ["H1", "H2"]


def limited(seed: int) -> Trace:
    """A walk at random, now and then under a budget that it does not come to its end with."""
    budget = [None, Budget(max_calls=4 + seed % 17), Budget(max_backtracks=seed % 5)][seed % 3]
    return whimsical(seed, [CASE, FREE][seed % 2], budget=budget).trace


RANDOM = [limited(seed) for seed in range(48)]


@pytest.mark.parametrize("trace", RANDOM, ids=range(len(RANDOM)))
def test_a_walk_at_random_is_laid_out_whole(trace):
    path = path_of(trace)
    assert [place.step for place in path.places] == list(trace.steps), "one place a step, in order"
    assert all(0 <= way.start < way.end < len(trace.steps) for way in path.ways), "never to an earlier step"
    assert len(set(path.ways)) == len(path.ways)
    assert {way.end for way in path.ways} == set(range(1, len(trace.steps))), "every step is led to"
    followed = sum(step.move.backtrack for step in trace.steps[:-1])
    assert path.passes == followed + 1
    for way in path.ways:
        assert (way.kind == "back") == trace.steps[way.start].move.backtrack
        later = path.places[way.end].number - path.places[way.start].number
        assert later == (way.kind == "back"), "a way back, and no other, leads into the next pass"
    spots = [(place.number, place.column, place.row) for place in path.places]
    assert len(set(spots)) == len(spots), "no two steps of a pass stand in one place"
    assert all(0 <= place.row <= path.rows - 1 for place in path.places)
    assert {place.column for place in path.places} <= set(range(path.columns))
    for number in range(path.passes - 1):
        here = max(place.row for place in path.places if place.number == number)
        below = min(place.row for place in path.places if place.number == number + 1)
        assert here < below, "passes do not overlap"


def test_walks_at_random_go_back_and_end_in_every_way():
    """Else the properties above would hold for want of anything to break them."""
    assert {trace.ended for trace in RANDOM} >= {"concluded", "budget_calls", "budget_backtracks"}
    assert max(path_of(trace).passes for trace in RANDOM) >= 4
    turns = {step.move.to for trace in RANDOM for step in trace.steps if step.move.backtrack}
    assert turns == {"review_history", "generate_differential", "check_evidence"}


def made_by_hand(*stops: str, parents: tuple[int | None, ...] = ()) -> Trace:
    steps = tuple(
        Step(node=stop, move=Move(to="end"), parent=parent)
        for stop, parent in zip(stops, parents or (None,) * len(stops), strict=True)
    )
    return walked(STRAIGHT, CASE).trace.model_copy(update={"steps": steps})


def test_steps_without_numbers_are_numbered_by_their_places():
    trace = made_by_hand("review_history", "generate_differential", "conclude")
    assert [step.index for step in trace.steps] == [-1, -1, -1]
    assert [step.index for step in numbered(trace).steps] == [0, 1, 2]
    whole = walked(STRAIGHT, CASE).trace
    assert numbered(whole) is whole


def test_an_order_that_no_graph_takes_is_laid_out_without_two_steps_in_one_place():
    path = path_of(numbered(made_by_hand("conclude", "reflect", "reflect", "review_history", "conclude")))
    assert [(place.number, place.column) for place in path.places] == [(0, 4), (1, 3), (2, 3), (3, 0), (3, 4)]


def test_a_parent_that_does_not_stand_before_its_step_leads_nowhere():
    trace = made_by_hand("review_history", "generate_differential", "conclude", parents=(2, 0, 9))
    assert path_of(numbered(trace)).ways == (Way(0, 1, "on"),)


def test_a_move_back_begins_a_pass_wherever_it_leads():
    trace = made_by_hand("review_history", "generate_differential")
    turned = trace.steps[0].model_copy(update={"move": Move(to="generate_differential", backtrack=True)})
    path = path_of(numbered(trace.model_copy(update={"steps": (turned, trace.steps[1])})))
    assert [(place.number, place.column) for place in path.places] == [(0, 0), (1, 1)]


def test_checks_of_two_rounds_without_a_stop_between_join_no_stop_of_the_other():
    stops = ("review_history", "generate_differential", "check_evidence", "check_evidence", "reflect")
    trace = made_by_hand(*stops, parents=(None, 0, 0, 1, 1))
    checks = [trace.steps[place].model_copy(update={"branch": "AB"[place - 2]}) for place in (2, 3)]
    steps = (*trace.steps[:2], *checks, trace.steps[4])
    path = path_of(numbered(trace.model_copy(update={"steps": steps})))
    assert went(path) == [(0, 1, "on"), (0, 2, "on"), (1, 3, "on"), (3, 4, "on")]
