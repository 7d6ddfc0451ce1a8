"""The tree rule: few tries of each on-path node, off-path branches whole."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journeys import CASE, STRAIGHT, course, reading
from walks import doubting, traces, walked

from ddxgraph import Budget, Step, Trace
from ddxgraph.common.errors import CompileError
from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.events import Checked, Journey, Named, Refuted, WentBack
from ddxgraph.training.styles.journey import journey_of
from ddxgraph.training.styles.tree_rule import all_taken, with_few_tries


def doubtful(**ways: int) -> Trace:
    script = {**STRAIGHT, **doubting(**ways)}
    del script["review_history"]
    script["review_history"] = [reading("fever"), reading("productive cough"), reading("no leg swelling")]
    return walked(script, CASE, budget=Budget(max_backtracks=sum(ways.values()))).trace


def kept(trace: Trace, tries: int) -> list[Step]:
    return [step for step, stays in with_few_tries(trace.steps, tries) if stays]


def ways_back(journey: Journey) -> list[str]:
    return [event.to for event in journey if isinstance(event, WentBack)]


def test_a_straight_walk_stays_as_it_is():
    trace = walked(STRAIGHT, CASE).trace
    assert with_few_tries(trace.steps, 2) == all_taken(trace.steps)
    assert journey_of(trace, 2) == journey_of(trace)


@pytest.mark.parametrize(("tries", "checks"), [(2, 2), (3, 3), (4, 4), (6, 6), (9, 6)])
def test_of_many_rechecks_the_first_and_the_last_stay(tries, checks):
    trace = doubtful(rechecks=5)
    of_b = [step.index for step in trace.steps if step.branch == "B"]
    assert len(of_b) == 6
    told = [step.index for step in kept(trace, tries) if step.branch == "B"]
    assert told == [*of_b[: checks - 1], of_b[-1]]
    journey = journey_of(trace, tries)
    assert ways_back(journey) == ["check_evidence"] * (checks - 1)
    assert compile_journey(trace, "longstep", tries=tries).meta.told_backtracks == checks - 1


def test_of_many_readings_the_first_and_the_last_stay():
    trace = doubtful(rechecks=0, rereads=4)
    journey = journey_of(trace, 2)
    assert ways_back(journey_of(trace)) == ["review_history"] * 4
    assert ways_back(journey) == ["review_history"]
    assert [step.node for step in kept(trace, 2)].count("review_history") == 2


def test_an_off_path_branch_stays_whole():
    """The first reading, with all that was tried under it, is one try; each node under the last has its own."""
    script = {
        **STRAIGHT,
        "reflect": [
            *(
                {"critique": str(i), "refuted": [], "verdict": v, "targets": ["B"]}
                for i, v in enumerate(
                    ["recheck_evidence"] * 3 + ["reread_history"] + ["recheck_evidence"] * 3
                )
            ),
            STRAIGHT["reflect"],
        ],
    }
    trace = walked(script, CASE, budget=Budget(max_backtracks=9)).trace
    journey = journey_of(trace, 2)
    assert ways_back(journey) == ["check_evidence"] * 3 + ["review_history", "check_evidence"]


def test_a_way_back_leads_to_what_is_told():
    """B is rechecked, then A, then B: the check of A alone stays between, and the ways back name what follows."""
    targets = ["B", "A", "B", "A"]
    turns = [
        {"critique": str(i), "refuted": [], "verdict": "recheck_evidence", "targets": [key]}
        for i, key in enumerate(targets)
    ]
    trace = walked(
        {**STRAIGHT, "reflect": [*turns, STRAIGHT["reflect"]]}, CASE, budget=Budget(max_backtracks=4)
    ).trace
    assert course(trace).count("check_evidence:B -> reflect [self]") == 3
    told = [e.targets[0].letter for e in journey_of(trace, 2) if isinstance(e, WentBack)]
    assert told == ["B", "A"]


@pytest.mark.parametrize("tries", [1, 0, -1])
def test_one_try_is_no_journey(tries):
    with pytest.raises(ValueError, match="keep at least 2"):
        with_few_tries(walked(STRAIGHT, CASE).trace.steps, tries)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(traces(), st.integers(2, 4))
def test_what_is_left_is_a_journey_of_its_own(trace, tries):
    try:
        journey = journey_of(trace, tries)
        whole = journey_of(trace)
    except CompileError:
        return
    assert journey[-1] == whole[-1]
    assert len(ways_back(journey)) <= len(ways_back(whole))
    named: set = set()
    gone: set = set()
    for place, event in enumerate(journey):
        match event:
            case Named(hypothesis=name):
                named.add(name)
            case Checked(hypothesis=name):
                assert name in named
            case Refuted(hypothesis=name):
                assert name in named
                gone.add(name)
            case WentBack(to="check_evidence", targets=targets):
                assert set(targets) <= named
                assert _checks_from(journey, place) == targets
    on_path = _last_path(journey)
    checks = Counter(event.hypothesis for event in on_path if isinstance(event, Checked))
    assert all(count <= tries for count in checks.values())
    starts = Counter(ways_back(journey))
    assert starts["review_history"] <= tries - 1


def _checks_from(journey: Journey, place: int) -> tuple:
    """The hypotheses checked between a way back and the next."""
    found = []
    for event in journey[place + 1 :]:
        if isinstance(event, WentBack):
            break
        if isinstance(event, Checked):
            found.append(event.hypothesis)
    return tuple(found)


def _last_path(journey: Journey) -> Journey:
    """What stands under the last differential."""
    starts = [
        place
        for place, event in enumerate(journey)
        if isinstance(event, WentBack) and event.to != "check_evidence"
    ]
    return journey[starts[-1] :] if starts else journey
