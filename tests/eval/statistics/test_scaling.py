"""Scaling: accuracy against tokens, and length against difficulty, from the numbers of scored runs."""

import math

import pytest

from ddxgraph.eval.statistics.interval import accuracy_of, mean_of
from ddxgraph.eval.statistics.scaling import (
    Sample,
    ScalingPoint,
    accuracy_by_length,
    by_difficulty,
    difficulty,
    length_by_verdict,
    run_point,
    vote_points,
)
from ddxgraph.eval.statistics.vote import vote_curve

RUN = [
    Sample("b", False, 500),
    Sample("a", True, 100),
    Sample("a", True, 300),
    Sample("a", False, 500),
    Sample("c", True, 40),
]


def test_a_run_is_a_point_in_which_every_case_counts_once():
    point = run_point("cot", RUN)
    assert point == ScalingPoint("cot", pytest.approx((300 + 500 + 40) / 3), accuracy_of([2 / 3, 0, 1]))
    assert run_point("cot", []) is None


def test_a_vote_over_one_sample_is_the_runs_own_point():
    curve = vote_curve([(["A", "B"], "A"), (["C", "C"], "C")], [1, 2], tokens=[[10, 30], [5, 5]])
    points = vote_points("cot", curve)
    assert [(point.label, point.tokens) for point in points] == [("cot, vote@1", 12.5), ("cot, vote@2", 25)]
    run = [Sample("x", True, 10), Sample("x", False, 30), Sample("y", True, 5), Sample("y", True, 5)]
    assert points[0][1:] == run_point("", run)[1:]
    assert vote_points("cot", vote_curve([(["A"], "A")], [1])) == []


def test_correct_and_incorrect_samples_have_their_own_lengths():
    found = length_by_verdict(RUN)
    assert found.every.value == pytest.approx((300 + 500 + 40) / 3)
    assert found.correct == mean_of([200, 40])
    assert found.incorrect == mean_of([500, 500])
    assert length_by_verdict([Sample("a", True, 7)]).incorrect is None
    assert length_by_verdict([]) is None


def test_lengths_are_cut_into_thirds():
    run = [Sample(f"{tokens:03}", tokens <= 50, tokens) for tokens in range(10, 100, 10)]
    bands = accuracy_by_length(run)
    assert [(band.low, band.high) for band in bands] == [(10, 30), (40, 60), (70, 90)]
    assert [band.accuracy.value for band in bands] == pytest.approx([1, 2 / 3, 0])
    assert [band.tokens.value for band in bands] == [20, 50, 80]


def test_cases_of_equal_length_share_a_band():
    run = [Sample(f"s{index}", index % 2 == 0, 100) for index in range(8)] + [Sample("long", True, 900)]
    assert [(band.low, band.high, band.accuracy.n) for band in accuracy_by_length(run)] == [
        (100, 100, 8),
        (900, 900, 1),
    ]
    assert accuracy_by_length([]) == []
    with pytest.raises(ValueError, match="bands"):
        accuracy_by_length(run, parts=0)


def test_difficulty_is_the_share_of_runs_that_fail_on_what_all_of_them_scored():
    right, wrong = Sample("a", True, 1), Sample("a", False, 1)
    more = [Sample("z", True, 1), Sample("b", True, 1), Sample("b", False, 1)]
    assert difficulty([[right, *more], [wrong, *more[1:]], [wrong, *more[1:]]]) == {
        "a": pytest.approx(2 / 3),
        "b": 0.5,
    }
    assert difficulty([]) == {}


def test_thirds_belong_to_the_middle_whatever_floats_say():
    shares = {
        "none": 0.0,
        "a third": math.nextafter(1 / 3, 0),
        "two thirds": math.nextafter(2 / 3, 1),
        "most": 0.7,
        "all": 1.0,
    }
    run = [Sample(case, case == "none", 10 * place) for place, case in enumerate(shares)]
    bands = by_difficulty([*run, Sample("unknown", True, 10**6)], shares)
    assert [(band.difficulty, band.tokens.value, band.accuracy.value) for band in bands] == [
        ("easy", 0, 1),
        ("middle", 15, 0),
        ("hard", 35, 0),
    ]
    assert [band.difficulty for band in by_difficulty(run[-1:], shares)] == ["hard"]
