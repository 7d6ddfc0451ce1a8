"""What a run's tally counts, and what it makes of it."""

import time

import pytest

from ddxgraph import Case, Trace
from ddxgraph.batch.tally import RECENT, Tally
from ddxgraph.graph.routing import Move
from ddxgraph.graph.trace import Provenance, Step, StrategySettings
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.failure import Failure

CASE = Case(id="c", vignette="Fever.", options={"A": "Influenza", "B": "Pneumonia"})


def ended(outcome: str = "answered", **facts) -> Trace:
    return Trace(
        id="t",
        case=CASE,
        strategy=StrategySettings(),
        provenance=Provenance(model="m"),
        outcome=outcome,
        ended="failure" if outcome == "error" else "concluded",
        **facts,
    )


def failed(kind: str) -> Trace:
    return ended("error", failure=Failure(boundary="engine", kind=kind, message="x"))


def test_a_tally_starts_at_nothing():
    tally = Tally(total=10)
    assert (tally.done, tally.before, tally.ended, tally.judged) == (0, 0, 0, 0)
    assert tally.accuracy is None
    assert tally.eta_s is None
    assert tally.elapsed_s > 0


@pytest.mark.parametrize(
    ("outcome", "correct", "judged", "right"),
    [
        ("answered", True, 1, 1),
        ("answered", False, 1, 0),
        ("abstained", False, 1, 0),
        ("unparsed", False, 1, 0),
        ("answered", None, 0, 0),
        ("error", False, 0, 0),
        ("error", True, 0, 0),
    ],
)
def test_what_came_to_an_end_is_judged_where_there_is_gold_and_an_error_never_is(
    outcome, correct, judged, right
):
    tally = Tally(total=1)
    tally.add(ended(outcome), correct)
    assert (tally.judged, tally.correct) == (judged, right)
    assert tally.outcomes == {outcome: 1}
    assert tally.accuracy == (right / judged if judged else None)


def test_earlier_traversals_count_towards_the_whole_and_the_accuracy_but_not_towards_the_rates():
    tally = Tally(total=10)
    for correct in (True, True, False, None):
        tally.add_earlier({"outcome": "answered"}, correct)
    tally.add_earlier({"outcome": "unparsed"}, False)
    tally.add(ended(usage=Usage(calls=8, prompt_tokens=900, completion_tokens=100)), True)
    assert (tally.before, tally.ended, tally.done) == (5, 1, 6)
    assert (tally.correct, tally.judged) == (3, 5)
    assert tally.outcomes == {"answered": 5, "unparsed": 1}
    assert tally.usage.total_tokens == 1_000


def test_errors_are_counted_by_kind_and_are_still_to_be_done():
    tally = Tally(total=5)
    for trace in (failed("timeout"), failed("connection"), failed("timeout"), ended("error")):
        tally.add(trace, False)
    tally.add(ended(), True)
    assert tally.errors == {"timeout": 2, "connection": 1, "other": 1}
    assert tally.outcomes == {"error": 4, "answered": 1}
    assert (tally.ended, tally.done) == (5, 1)
    assert tally.accuracy == 1


def test_usage_adds_up_and_an_errors_tokens_were_paid_for_too():
    tally = Tally(total=2)
    spent = Usage(calls=4, prompt_tokens=400, cached_tokens=300, completion_tokens=50)
    tally.add(ended(usage=spent), None)
    tally.add(failed("timeout").model_copy(update={"usage": spent}), None)
    assert tally.usage == Usage(calls=8, prompt_tokens=800, cached_tokens=600, completion_tokens=100)


def test_moves_back_add_up_those_of_errors_too():
    tally = Tally(total=2)
    on = Step(node="generate_differential", move=Move(to="check_evidence"))
    back = Step(node="reflect", move=Move(to="check_evidence", backtrack=True))
    tally.add(ended(steps=(on, back, back, on)), None)
    tally.add(failed("timeout").model_copy(update={"steps": (back,)}), None)
    assert tally.backtracks == 3


def test_only_the_last_traversals_are_kept_the_oldest_first():
    tally = Tally(total=1_000)
    tally.add_earlier({"outcome": "answered"}, True)
    assert tally.recent == ()
    traces = [ended().model_copy(update={"id": str(number)}) for number in range(1_000)]
    for number, trace in enumerate(traces):
        before = tally.recent
        tally.add(trace, number % 2 == 0)
        assert tally.recent is not before  # another thread may be showing the ones before
    assert [(one.trace.id, one.correct) for one in tally.recent] == [
        ("997", False),
        ("998", True),
        ("999", False),
    ]
    assert len(tally.recent) == RECENT


def test_the_rest_is_estimated_at_this_process_own_pace():
    tally = Tally(total=100, started=time.monotonic() - 30)
    for _ in range(80):
        tally.add_earlier({"outcome": "answered"}, None)
    for _ in range(9):
        tally.add(ended(), None)
    tally.add(failed("timeout"), None)
    assert tally.eta_s == pytest.approx(30, rel=0.01)


def test_an_error_is_not_done_again_by_this_process_and_so_costs_it_no_time():
    tally = Tally(total=2, started=time.monotonic() - 10)
    tally.add(ended(), None)
    tally.add(failed("timeout"), None)
    assert tally.eta_s == 0


def test_a_clock_that_has_not_moved_yet_divides_by_nothing():
    tally = Tally(total=2, started=time.monotonic() + 100)
    tally.add(ended(), None)
    assert tally.elapsed_s > 0
