"""The path as a drawing: every step has its box, none covers another, and what goes back is said in words."""

import re
from itertools import combinations

import pytest
from journeys import CASE, FREE, STRAIGHT
from langchain_core.exceptions import ModelConnectionError
from viewed import of_many_options
from walks import doubting, plain_walk, walked, whimsical

from ddxgraph import Budget, Trace
from ddxgraph.view.charts.path import BOX_H, BOX_W, PathChart, path_chart
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.path import path_of


def drawn(trace: Trace) -> PathChart:
    return path_chart(trace, path_of(trace), evidence_of(trace))


def ends(d: str) -> list[tuple[float, float]]:
    """Every point that an SVG path passes through or bends at; its letters are M, L, C, H and V."""
    x = y = 0.0
    found = []
    for letter, rest in re.findall(r"([A-Z])([^A-Z]*)", d):
        numbers = [float(one) for one in rest.replace(",", " ").split()]
        if letter == "H":
            pairs = [(numbers[0], y)]
        elif letter == "V":
            pairs = [(x, numbers[0])]
        else:
            pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        found += pairs
        x, y = pairs[-1]
    return found


@pytest.mark.parametrize("seed", range(16))
def test_a_walk_at_random_is_drawn_without_one_box_on_another(seed):
    trace = whimsical(seed, [CASE, FREE][seed % 2]).trace
    sound(trace, drawn(trace))


def test_a_wide_journey_is_drawn_without_one_box_on_another():
    trace = of_many_options()
    sound(trace, drawn(trace))


def sound(trace: Trace, chart: PathChart) -> None:
    assert [box.step for box in chart.boxes] == [step.index for step in trace.steps]
    for box in chart.boxes:
        assert box.x >= 0
        assert box.x + BOX_W <= chart.width
        assert box.y >= 0
        assert box.y + BOX_H <= chart.height
    for one, other in combinations(chart.boxes, 2):
        assert abs(one.x - other.x) >= BOX_W or abs(one.y - other.y) >= BOX_H, (one.step, other.step)
    ways = path_of(trace).ways
    assert len(chart.lines) == len(ways)
    for line, way in zip(chart.lines, ways, strict=True):
        start, end = chart.boxes[way.start], chart.boxes[way.end]
        points = ends(line.d)
        assert points[-1] == (end.x, end.y + BOX_H / 2), "into the middle of the left side"
        assert start.x <= points[0][0] <= start.x + BOX_W
        assert start.y <= points[0][1] <= start.y + BOX_H
        assert all(0 <= x <= chart.width and 0 <= y <= chart.height for x, y in points)
    backs = sum(step.move.backtrack for step in trace.steps[:-1])
    assert len(chart.bands) == backs
    for band in chart.bands:
        assert all(not box.y - 2 < band.y < box.y + BOX_H + 2 for box in chart.boxes), "in the gap of its own"


def test_each_column_has_its_name_once():
    assert [head.name for head in drawn(plain_walk().trace).heads] == [
        "History",
        "Differential",
        "Evidence",
        "Reflection",
        "Conclusion",
    ]


def test_boxes_say_what_was_settled():
    told = [(box.title, box.detail) for box in drawn(walked(STRAIGHT, CASE).trace).boxes]
    assert told[:3] == [
        ("History", "2 findings"),
        ("Differential", "4 hypotheses"),
        ("B Pneumonia", "evidence +3"),
    ]
    assert told[4] == ("C Asthma", "evidence −2")
    assert told[6] == ("Reflection", "conclude")
    assert told[7][1].startswith("B (")


def test_what_failed_and_what_was_given_up_is_said_too():
    broken = drawn(walked(STRAIGHT | {"reflect": ModelConnectionError("refused")}, CASE).trace)
    assert [(box.failed, box.detail) for box in broken.boxes][-1] == (True, "failed")
    boxes = drawn(plain_walk().trace).boxes
    assert [box.step for box in boxes if box.abandoned] == [2, 3, 5, 10, 11, 12, 14]
    assert boxes[2].words == "Step 3: Evidence on A; evidence +2; refuted later"
    spent = drawn(walked(STRAIGHT, CASE, budget=Budget(max_calls=5)).trace)
    assert [line.kind for line in spent.lines].count("budget") == 1


def test_a_way_back_is_said_with_its_target_who_decided_and_why():
    words = [band.words for band in drawn(plain_walk().trace).bands]
    assert words == [
        "back to history (the model: reread history)",
        "back to evidence on A (the model: recheck evidence)",
    ]
    both = doubting(0) | {
        "reflect": [
            {"critique": "", "refuted": [], "verdict": "recheck_evidence", "targets": ["A", "C"]},
            {"critique": "", "refuted": [], "verdict": "conclude", "targets": []},
        ]
    }
    (band,) = drawn(walked(both, CASE).trace).bands
    assert band.words == "back to evidence on A and C (the model: recheck evidence)"


def test_a_rule_that_sends_a_journey_back_is_named_as_such():
    gone = [{"hypothesis": letter, "because": ""} for letter in "ABCD"]
    script = STRAIGHT | {
        "reflect": [
            {"critique": "", "refuted": gone, "verdict": "conclude", "targets": []},
            {"critique": "", "refuted": [], "verdict": "conclude", "targets": []},
        ]
    }
    (band,) = drawn(walked(script, CASE).trace).bands
    assert band.words == "back to differential (a rule: every hypothesis is refuted)"
