"""Routing is pure: what stands decides the move."""

import pytest

from ddxgraph.graph.routing import Move, Policy, Standing, after_reflection, rule_of, to_check

LAX, STRICT = Policy(), Policy(min_margin=0.3)
CONCLUDES = Move(to="conclude", reason="the reflection concludes")


def now(verdict="conclude", targets=(), ranking=("B", "A", "C"), margin=0.5, left=2, overruled=False):
    return Standing(verdict, targets, ranking, margin, left, overruled)


def back(to, targets=(), rule=None):
    moved = {"to": to, "targets": targets, "trigger": "self", "backtrack": True, "limit": None}
    return moved | {"trigger": "verifier", "rule": rule} if rule else moved


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
            back("generate_differential", rule="nothing_to_recheck"),
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
            back("generate_differential", rule="all_refuted"),
            id="all refuted goes back",
        ),
        pytest.param(now(ranking=(), overruled=True), LAX, CONCLUSION, id="all refuted goes back once only"),
        pytest.param(now(ranking=(), left=0), LAX, forced("backtracks"), id="all refuted, no backtrack left"),
        pytest.param(now("widen_differential", left=0), LAX, forced("backtracks"), id="widen, none left"),
        pytest.param(now("reread_history", left=0), LAX, forced("backtracks"), id="reread, none left"),
        pytest.param(now("recheck_evidence", left=0), LAX, forced("backtracks"), id="recheck, none left"),
        pytest.param(now("reread_history", left=-1), LAX, forced("backtracks"), id="overdrawn"),
        pytest.param(
            now(margin=0.29), STRICT, back("check_evidence", ("B", "A"), "too_close"), id="narrow margin"
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


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        pytest.param(
            '{"to":"generate_differential","trigger":"verifier","reason":"every hypothesis is refuted",'
            '"targets":[],"backtrack":true,"limit":null}',
            "all_refuted",
            id="all refuted",
        ),
        pytest.param(
            '{"to":"generate_differential","trigger":"verifier",'
            '"reason":"nothing stands that could be rechecked","targets":[],"backtrack":true,"limit":null}',
            "nothing_to_recheck",
            id="nothing to recheck",
        ),
        pytest.param(
            '{"to":"check_evidence","trigger":"verifier","reason":"margin 0.01 below 0.10; the budget allows '
            '1 of 2 checks","targets":["A"],"backtrack":true,"limit":null}',
            "too_close",
            id="margin",
        ),
        pytest.param(
            '{"to":"conclude","trigger":"verifier","reason":"there is no hypothesis to check","targets":[],'
            '"backtrack":false,"limit":null}',
            "nothing_to_check",
            id="nothing to check",
        ),
        pytest.param(
            '{"to":"conclude","trigger":"budget","reason":"no backtrack left to every hypothesis is refuted",'
            '"targets":[],"backtrack":false,"limit":"backtracks"}',
            None,
            id="a spent budget",
        ),
        pytest.param(
            '{"to":"check_evidence","trigger":"self","reason":"recheck evidence","targets":["A"],'
            '"backtrack":true,"limit":null}',
            None,
            id="the model itself",
        ),
    ],
)
def test_moves_of_older_traces_tell_their_rule_by_the_reason(written, rule):
    move = Move.model_validate_json(written)
    assert (move.rule, rule_of(move)) == (None, rule)
    assert move.model_dump_json() == written


@pytest.mark.parametrize("rule", ["all_refuted", "too_close", "nothing_to_recheck", "nothing_to_check"])
def test_a_move_that_names_its_rule_is_read_by_it_whatever_its_reason_says(rule):
    move = Move(to="generate_differential", trigger="verifier", reason="other words", rule=rule)
    assert rule_of(move) == rule
    assert Move.model_validate_json(move.model_dump_json()) == move
