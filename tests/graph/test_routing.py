"""Routing is pure: what stands decides the move."""

import pytest

from ddxgraph.graph.routing import Move, Policy, Standing, after_reflection, to_check

LAX, STRICT = Policy(), Policy(min_margin=0.3)
CONCLUDES = Move(to="conclude", reason="the reflection concludes")


def now(verdict="conclude", targets=(), ranking=("B", "A", "C"), margin=0.5, left=2, overruled=False):
    return Standing(verdict, targets, ranking, margin, left, overruled)


def back(to, targets=(), trigger="self"):
    return {"to": to, "targets": targets, "trigger": trigger, "backtrack": True, "limit": None}


def forced(limit):
    return {"to": "conclude", "targets": (), "trigger": "budget", "backtrack": False, "limit": limit}


CONCLUSION = {"to": "conclude", "targets": (), "trigger": "self", "backtrack": False, "limit": None}


@pytest.mark.parametrize(
    ("standing", "policy", "move"),
    [
        pytest.param(now(), LAX, CONCLUSION, id="conclude"),
        pytest.param(now(margin=0.0), LAX, CONCLUSION, id="conclude at any margin"),
        pytest.param(now(left=0), LAX, CONCLUSION, id="conclude needs no backtrack"),
        pytest.param(
            now("recheck_evidence", ("C",)), LAX, back("check_evidence", ("C",)), id="recheck what is named"
        ),
        pytest.param(
            now("recheck_evidence", ("C", "Z")),
            LAX,
            back("check_evidence", ("C",)),
            id="recheck only what stands",
        ),
        pytest.param(
            now("recheck_evidence"),
            LAX,
            back("check_evidence", ("B", "A")),
            id="recheck the leaders by default",
        ),
        pytest.param(
            now("recheck_evidence", ("Z",)),
            LAX,
            back("check_evidence", ("B", "A")),
            id="recheck of the refuted",
        ),
        pytest.param(
            now("recheck_evidence", ranking=("A",)),
            LAX,
            back("check_evidence", ("A",)),
            id="recheck the last one",
        ),
        pytest.param(
            now("recheck_evidence", ("A",), ranking=()),
            LAX,
            back("generate_differential", trigger="verifier"),
            id="recheck where nothing stands",
        ),
        pytest.param(now("widen_differential"), LAX, back("generate_differential"), id="widen"),
        pytest.param(
            now("widen_differential", ("A",)), LAX, back("generate_differential"), id="widen ignores targets"
        ),
        pytest.param(now("reread_history"), LAX, back("review_history"), id="reread"),
        pytest.param(
            now(ranking=()),
            LAX,
            back("generate_differential", trigger="verifier"),
            id="all refuted goes back",
        ),
        pytest.param(now(ranking=(), overruled=True), LAX, CONCLUSION, id="all refuted goes back once only"),
        pytest.param(now(ranking=(), left=0), LAX, forced("backtracks"), id="all refuted, no backtrack left"),
        pytest.param(now("widen_differential", left=0), LAX, forced("backtracks"), id="widen, none left"),
        pytest.param(now("reread_history", left=0), LAX, forced("backtracks"), id="reread, none left"),
        pytest.param(now("recheck_evidence", left=0), LAX, forced("backtracks"), id="recheck, none left"),
        pytest.param(now("reread_history", left=-1), LAX, forced("backtracks"), id="overdrawn"),
        pytest.param(
            now(margin=0.29), STRICT, back("check_evidence", ("B", "A"), "verifier"), id="narrow margin"
        ),
        pytest.param(now(margin=0.3), STRICT, CONCLUSION, id="margin just enough"),
        pytest.param(now(margin=0.0, overruled=True), STRICT, CONCLUSION, id="narrow margin overrules once"),
        pytest.param(
            now(margin=0.0, ranking=("A",)), STRICT, CONCLUSION, id="narrow margin over refuted rivals"
        ),
        pytest.param(now(margin=0.0, left=0), STRICT, forced("backtracks"), id="narrow margin, none left"),
    ],
)
def test_the_move_after_a_reflection(standing, policy, move):
    made = after_reflection(standing, policy)
    assert made.model_dump(exclude={"reason"}) == move
    assert made.reason


@pytest.mark.parametrize(
    ("standing", "weighed", "reread", "checked"),
    [
        pytest.param(["A", "B"], [], False, ("A", "B"), id="first round"),
        pytest.param(["A", "B", "H1"], ["A", "B"], False, ("H1",), id="only what is new"),
        pytest.param(["A", "B"], ["A", "B"], False, ("A", "B"), id="nothing new: all again"),
        pytest.param(["A", "B", "H1"], ["A"], True, ("A", "B", "H1"), id="history reread: all again"),
        pytest.param([], ["A"], False, (), id="nothing stands"),
    ],
)
def test_what_a_visit_to_the_differential_sends_to_be_checked(standing, weighed, reread, checked):
    assert to_check(standing, weighed, reread) == checked
