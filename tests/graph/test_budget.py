"""A budget bounds every walk: it ends in a conclusion, never beyond its limits, and says why."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys import (
    AT_ONCE,
    CASE,
    FREE,
    OPENING,
    ROUND,
    STRAIGHT,
    VIGNETTE,
    Whimsy,
    answer,
    course,
    reflection,
)
from pydantic import ValidationError

from ddxgraph import Budget, Case, Policy, Trace, asolve, build_graph, solve
from ddxgraph.graph.budget import shares
from ddxgraph.nodes.call.consultation import Allowance
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.testing import ScriptedChatModel


def walk(script=STRAIGHT, case=CASE, **limits):
    model = ScriptedChatModel(script=script)
    return solve(build_graph(model, budget=Budget(**limits)), case), model


def test_a_spent_budget_leaves_nothing_and_never_less():
    budget = Budget(max_calls=3, max_tokens=100)
    assert budget.left(Usage(calls=1, prompt_tokens=30, completion_tokens=10)) == Allowance(2, 60)
    assert budget.left(Usage(calls=9, prompt_tokens=300)) == Allowance(0, 0)


@pytest.mark.parametrize(
    "wrong", [{"max_tokens": 0}, {"max_calls": -1}, {"max_backtracks": -1}, {"calls": 3}]
)
def test_a_limit_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Budget(**wrong)


@pytest.mark.parametrize(
    ("left", "tokens", "wanted", "given_out"),
    [
        (Allowance(4, 400), 100, 4, [Allowance(1, 100)] * 4),
        (
            Allowance(6, 400),
            100,
            4,
            [Allowance(2, 100), Allowance(2, 100), Allowance(1, 100), Allowance(1, 100)],
        ),
        (Allowance(2, 400), 100, 4, [Allowance(1, 200)] * 2),
        (Allowance(9, 250), 100, 4, [Allowance(5, 125), Allowance(4, 125)]),
        (Allowance(9, 99), 100, 4, []),
        (Allowance(0, 900), 100, 4, []),
        (Allowance(9, 900), 100, 0, []),
    ],
)
def test_what_is_left_is_shared_among_the_calls_that_fit(left, tokens, wanted, given_out):
    assert shares(left, tokens, wanted) == given_out


@given(st.integers(0, 200), st.integers(0, 500_000), st.integers(0, 20_000), st.integers(0, 40))
def test_shares_never_exceed_what_is_left_and_each_pays_for_a_call(calls, left, tokens, wanted):
    purses = shares(Allowance(calls, left), tokens, wanted)
    assert len(purses) <= wanted
    assert sum(purse.calls for purse in purses) <= calls
    assert sum(purse.tokens for purse in purses) <= left
    assert all(purse.calls >= 1 and purse.tokens >= tokens for purse in purses)
    most = min(wanted, calls, left // tokens if tokens else wanted)
    assert len(purses) == most


def checks(count):
    """A course that has room for so many of the four checks."""
    targets = ",".join("BACD"[:count])
    return [OPENING[0], f"generate_differential -> check_evidence {targets} [self]", *ROUND[:count]]


NO_REFLECTION = "reflect -> conclude [budget]"
ANSWERS = "conclude -> end [self]"


@pytest.mark.parametrize(
    ("max_calls", "steps", "answered"),
    [
        (0, ["review_history -> conclude [budget]", "conclude -> end [budget]"], None),
        (1, ["review_history -> conclude [budget]", ANSWERS], "B"),
        (2, ["review_history -> conclude [budget]", ANSWERS], "B"),
        (3, [OPENING[0], "generate_differential -> conclude [budget]", ANSWERS], "B"),
        (4, [*checks(1), NO_REFLECTION, ANSWERS], "B"),
        (5, [*checks(2), NO_REFLECTION, ANSWERS], "B"),
        (6, [*checks(3), NO_REFLECTION, ANSWERS], "B"),
        (7, [*checks(4), NO_REFLECTION, ANSWERS], "B"),
        (8, [*checks(4), "reflect -> conclude [self]", ANSWERS], "B"),
    ],
)
def test_calls_run_out_at_each_stop(max_calls, steps, answered):
    trace, model = walk(max_calls=max_calls)
    assert trace.usage.calls == len(model.requests) == max_calls
    assert course(trace) == steps
    assert trace.answer == answered
    assert trace.outcome == ("answered" if answered else "abstained")
    assert trace.ended == ("concluded" if max_calls == 8 else "budget_calls")
    spent = [step.move.limit for step in trace.steps if step.move.limit]
    assert set(spent) == (set() if max_calls == 8 else {"calls"})


def test_checks_that_the_budget_leaves_out_are_named_in_the_move():
    trace, _ = walk(max_calls=5)
    assert trace.steps[1].move.reason == "the budget allows 2 of 4 checks"
    assert trace.steps[1].move.targets == ("B", "A")


async def test_calls_run_out_in_the_middle_of_a_round_on_an_event_loop_as_well():
    model = ScriptedChatModel(script=STRAIGHT)
    trace = await asolve(build_graph(model, budget=Budget(max_calls=5)), CASE)
    assert course(trace) == [*checks(2), NO_REFLECTION, ANSWERS]
    assert len(model.requests) == 5


@pytest.mark.parametrize("max_calls", range(3, 13))
def test_repairs_are_paid_from_the_same_budget(max_calls):
    script = {key: ["no", line] for key, line in STRAIGHT.items()}
    trace, model = walk(script, max_calls=max_calls)
    assert trace.usage.calls == len(model.requests) <= max_calls
    assert trace.steps[-1].node == "conclude"
    assert len(trace.steps[-1].attempts) >= 1


def test_the_conclusion_is_told_that_the_budget_is_spent():
    told = walk(max_calls=3)[0].steps[-1].prompt
    untold = walk(max_calls=64)[0].steps[-1].prompt
    assert "budget is spent" in told
    assert "budget is spent" not in untold


@pytest.mark.parametrize("max_backtracks", [0, 1, 2])
def test_backtracks_run_out(max_backtracks):
    script = STRAIGHT | {"reflect": reflection("recheck_evidence", targets=["A"])}
    trace, model = walk(script, max_backtracks=max_backtracks)
    again = ["reflect -> check_evidence A [self, back]", "check_evidence:A -> reflect [self]"]
    assert course(trace) == [
        *OPENING,
        *ROUND,
        *again * max_backtracks,
        "reflect -> conclude [budget]",
        ANSWERS,
    ]
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "budget_backtracks", "B")
    assert trace.backtracks == max_backtracks
    assert trace.usage.calls == len(model.requests) == 8 + 2 * max_backtracks
    assert trace.steps[-2].move.limit == "backtracks"


def test_a_rule_that_wants_to_go_back_is_bound_by_the_budget_too():
    model = ScriptedChatModel(script=STRAIGHT)
    graph = build_graph(model, budget=Budget(max_backtracks=0), policy=Policy(min_margin=1.0))
    trace = solve(graph, CASE)
    assert (trace.ended, trace.backtracks) == ("budget_backtracks", 0)


def test_tokens_run_out_at_every_stop_and_the_walk_still_concludes():
    where = set()
    for max_tokens in range(500, 45_000, 250):
        trace, model = walk(max_tokens=max_tokens)
        assert trace.usage.total_tokens <= max_tokens
        assert trace.usage.calls == len(model.requests)
        assert trace.steps[-1].node == "conclude"
        assert trace.outcome == ("answered" if trace.answer else "abstained")
        spent = [step.node for step in trace.steps if step.move.limit == "tokens"]
        assert trace.ended == ("budget_tokens" if spent else "concluded")
        where |= set(spent[:1])
    assert trace.ended == "concluded"
    assert where >= {"review_history", "generate_differential", "reflect"}


def test_tokens_run_out_in_the_middle_of_a_round():
    rounds = {
        len([s for s in walk(max_tokens=tokens)[0].steps if s.branch]) for tokens in range(5_000, 40_000, 500)
    }
    assert rounds == {0, 1, 2, 3, 4}


def brimful(line):
    """The same reply from an engine that pads its JSON with white space until it is stopped."""
    return lambda request: json.dumps(line).ljust(4 * request.options["max_tokens"])


def callless(script, case=CASE, least=3):
    """A walk of at least so many steps whose conclusion could not pay for a call."""
    script = {key: brimful(line) for key, line in script.items()}
    for max_tokens in range(5_000, 45_000, 250):
        trace, _ = walk(script, case, max_tokens=max_tokens)
        if trace.steps[-1].usage.calls == 0 and len(trace.steps) >= least:
            return trace
    return pytest.fail("the conclusion could always pay for its call")


def test_where_no_call_can_be_paid_for_the_best_hypothesis_stands():
    trace = callless(STRAIGHT)
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "budget_tokens", "B")
    assert trace.distribution_from == "credence"
    assert max(trace.distribution.items(), key=lambda share: share[1])[0] == "B"
    assert trace.steps[-1].text == trace.steps[-1].prompt == ""
    assert course(trace)[-1] == "conclude -> end [budget]"


def test_in_a_free_form_case_the_best_hypothesis_stands_in_words():
    script = {
        "generate_differential": {
            "reasoning": "",
            "others": [
                {"label": "Bronchitis", "rationale": "r", "prior": 20},
                {"label": "Pneumonia", "rationale": "r", "prior": 60},
            ],
        },
        "conclude": answer("not asked"),
    }
    trace = callless(script, FREE)
    assert (trace.outcome, trace.ended, trace.answer) == ("answered", "budget_tokens", "Pneumonia")
    assert set(trace.distribution) == {"H1", "H2"}


def test_a_budget_spent_before_there_is_a_differential_abstains():
    trace, model = walk(max_tokens=1)
    assert (trace.outcome, trace.ended, trace.answer) == ("abstained", "budget_tokens", None)
    assert model.requests == []
    assert trace.usage.total_tokens == 0
    assert (trace.distribution, trace.distribution_from) == ({}, "none")


@pytest.mark.parametrize("max_tokens", range(1_000, 12_000, 1_000))
def test_a_budget_that_pays_for_any_call_pays_for_the_conclusion(max_tokens):
    trace, _ = walk(max_tokens=max_tokens)
    assert (trace.usage.calls > 0) == (trace.steps[-1].usage.calls > 0)


@pytest.mark.parametrize(
    "stop", ["review_history", "generate_differential", "check_evidence:B", "reflect", "conclude"]
)
def test_a_repair_that_the_tokens_do_not_pay_for_is_not_made(stop):
    script = STRAIGHT | {stop: lambda request: "{" * (4 * request.options["max_tokens"])}
    attempts = set()
    for max_tokens in range(2_500, 45_000, 500):
        trace, _ = walk(script, max_tokens=max_tokens)
        assert trace.usage.total_tokens <= max_tokens
        attempts |= {len(step.attempts) for step in trace.steps}
    assert attempts == {0, 1, 2}


NODES = ["review_history", "generate_differential", "check_evidence", "reflect", "conclude"]


@st.composite
def cases(draw):
    letters = "ABCDEFGHIJ"[: draw(st.sampled_from([0, 2, 3, 4, 5, 10]))]
    size = draw(st.sampled_from([1, 30, 200, 1_900]))
    options = {letter: (f"{letter} is a candidate " * 100)[:size] + letter for letter in letters}
    return Case(vignette=VIGNETTE * draw(st.sampled_from([1, 8])), options=options)


@st.composite
def budgets(draw):
    return Budget(
        max_tokens=draw(st.integers(1, 60_000) | st.just(500_000)),
        max_calls=draw(st.integers(0, 16) | st.just(80)),
        max_backtracks=draw(st.integers(0, 4)),
    )


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cases(), budgets(), st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.05])
)
def test_every_walk_ends_within_its_budget(case, budget, seed, garbage, breaks):
    line = Whimsy(seed, garbage=garbage, breaks=breaks)
    model = ScriptedChatModel(script=dict.fromkeys(NODES, line))
    trace = solve(build_graph(model, budget=budget, patience=AT_ONCE), case)
    assert trace.usage.calls == len(model.requests) <= budget.max_calls
    assert trace.backtracks <= budget.max_backtracks
    assert trace.usage.total_tokens <= budget.max_tokens
    if trace.outcome == "error":
        assert trace.ended == "failure"
    else:
        assert trace.steps[-1].node == "conclude"
        assert (trace.answer is not None) == (trace.outcome == "answered")
    assert Trace.model_validate_json(trace.to_json()) == trace
