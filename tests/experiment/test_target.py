import pytest

from ddxgraph.experiment.contrast import Contrast
from ddxgraph.experiment.results import ArmResult, LevelResult
from ddxgraph.experiment.share import share
from ddxgraph.experiment.spending import SpentCurve, SpentPoint
from ddxgraph.experiment.target import targets


def gain(**changes) -> Contrast:
    told = {
        "seed": 0, "a": "shortcut", "b": "longstep", "n": 400, "only_a": 10, "only_b": 60,
        "difference": 0.125, "low": 0.1, "high": 0.2, "p_value": 0.0001,
    }  # fmt: skip
    return Contrast(**{**told, **changes})


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, True),
        ({"difference": 0.09}, False),
        ({"p_value": 0.001}, False),
        ({"n": 399}, False),
        ({"difference": -0.2, "p_value": 1e-9}, False),
    ],
)
def test_journeys_must_win_by_enough_on_enough_cases(changes, met):
    (found,) = targets([], [gain(**changes)], [])
    assert found.met is met
    assert "longstep beats shortcut by 10 points" in found.wanted


def test_other_arms_are_no_target():
    assert targets([], [gain(b="cot"), gain(a="cot, equal tokens")], []) == []


@pytest.mark.parametrize(
    ("difference", "p", "met"),
    [(0.02, 0.5, True), (-0.02, 0.5, True), (-0.2, 0.01, False), (0.2, 0.01, True)],
)
def test_a_second_round_must_not_be_shown_worse(difference, p, met):
    contrast = gain(a="graph", b="graph, second round", difference=difference, p_value=p)
    (found,) = targets([], [contrast], [])
    assert found.met is met


def arm(lengths: list[float], rises: float | None) -> ArmResult:
    levels = tuple(
        LevelResult(level=n, accuracy=share(5, 10), unparsed=0, output_tokens=length, total_tokens=2 * length)
        for n, length in enumerate(lengths, 1)
    )
    return ArmResult(
        seed=0, name="longstep", style="longstep", training=None, levels=levels, accuracy=share(20, 40),
        rises=rises, weighing=None,
    )  # fmt: skip


@pytest.mark.parametrize(("rises", "met"), [(1.0, True), (0.9, False), (0.8, False)])
def test_lengths_must_rise(rises, met):
    (found,) = targets([arm([1, 2, 3, 4], rises)], [], [])
    assert found.met is met
    assert found.found == f"{rises:.2f} (1, 2, 3, 4 tokens)"


def curve(kind: str, *points: tuple[float, float]) -> SpentCurve:
    told = tuple(
        SpentPoint(label=f"{kind}{n}", tokens=tokens, accuracy=accuracy, low=0, high=1)
        for n, (tokens, accuracy) in enumerate(points)
    )
    return SpentCurve(seed=0, label=f"a, {kind}", kind=kind, points=told)


@pytest.mark.parametrize(
    ("graph", "met"),
    [
        ([(900, 0.55)], False),  # a vote that costs as little is better
        ([(900, 0.65)], True),
        ([(900, 0.6)], False),  # no more than as good
        ([(10, 0.99)], False),  # nothing to compare it with
        ([(900, 0.5), (2000, 0.8)], True),
        ([(2000, 0.65)], False),  # held against the best vote, not the dearest
    ],
)
def test_the_graph_must_beat_the_best_vote_that_costs_no_more(graph, met):
    votes = curve("vote", (100, 0.5), (800, 0.6), (1600, 0.7), (1900, 0.6))
    (found,) = targets([], [], [votes, curve("budget", *graph)])
    assert found.met is met


def test_votes_without_a_graph_are_no_target():
    assert targets([], [], [curve("vote", (100, 0.5))]) == []
