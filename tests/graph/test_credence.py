"""Credence is arithmetic: priors and strengths add as log-odds, then a softmax."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.graph.credence import credence, margin, ranked, standing
from ddxgraph.nodes.check_evidence import Weight
from ddxgraph.nodes.generate_differential import Hypothesis

Weights = dict[str, dict[str, Weight]]


def hypothesis(key: str, prior: float = 0.5) -> Hypothesis:
    return Hypothesis(id=key, label=f"label of {key}", prior=prior)


def evidence(**strengths: dict[str, int]) -> Weights:
    return {
        key: {finding: Weight(finding=finding, strength=strength) for finding, strength in weights.items()}
        for key, weights in strengths.items()
    }


@pytest.mark.parametrize(
    ("priors", "weights", "refuted", "expected"),
    [
        ({}, {}, (), {}),
        ({"A": 0.2}, {}, (), {"A": 1.0}),
        ({"A": 0.5, "B": 0.5}, {}, (), {"A": 0.5, "B": 0.5}),
        ({"A": 0.5, "B": 0.25}, {}, (), {"A": 2 / 3, "B": 1 / 3}),
        ({"A": 0.5, "B": 0.5}, {"A": {"F1": 1}}, (), {"A": 0.75, "B": 0.25}),
        ({"A": 0.5, "B": 0.5}, {"A": {"F1": 2}}, (), {"A": 0.9, "B": 0.1}),
        ({"A": 0.5, "B": 0.5}, {"A": {"F1": 2, "F2": -2}}, (), {"A": 0.5, "B": 0.5}),
        ({"A": 0.5, "B": 0.5}, {"B": {"F1": -1}}, (), {"A": 0.75, "B": 0.25}),
        ({"A": 0.5, "B": 0.5}, {}, ("A",), {"A": 0.001, "B": 0.999}),
        ({"A": 0.9, "B": 0.1}, {}, ("A",), {"A": 0.001, "B": 0.999}),
        ({"A": 0.001, "B": 0.999}, {"A": {"F1": -2}}, ("A",), {"A": 1 / (1 + 9 * 999), "B": 8991 / 8992}),
        ({"A": 0.5, "B": 0.5}, {}, ("A", "B"), {"A": 0.5, "B": 0.5}),
        ({"A": 0.5, "B": 0.5}, {"Z": {"F1": 2}}, ("Z",), {"A": 0.5, "B": 0.5}),
    ],
)
def test_credence_follows_from_priors_strengths_and_refutations(priors, weights, refuted, expected):
    shares = credence([hypothesis(*pair) for pair in priors.items()], evidence(**weights), refuted)
    assert shares == pytest.approx(expected)
    assert list(shares) == list(priors)


@pytest.mark.parametrize(
    "percents", [(80, 8, 4, 8), (97, 1, 1, 1), (25, 25, 25, 25), (50, 50), (60, 30, 9, 1), (99, 1)]
)
def test_priors_that_sum_to_one_come_out_as_they_went_in(percents):
    priors = dict(zip("ABCD", (percent / 100 for percent in percents), strict=False))
    known = [hypothesis(*pair) for pair in priors.items()]
    assert credence(known, {}) == pytest.approx(priors)
    weighed = credence(known, evidence(A={"F1": 1}, B={"F1": -2}))
    odds = [weighed["A"] / priors["A"], weighed["B"] / priors["B"]]
    assert odds[0] / odds[1] == pytest.approx(27), "evidence multiplies the odds, whatever the priors"


def test_a_step_of_strength_triples_the_odds():
    shares = credence([hypothesis("A"), hypothesis("B")], evidence(A={"F1": 1}))
    assert shares["A"] / shares["B"] == pytest.approx(3)


@pytest.mark.parametrize(
    ("shares", "gap"),
    [({}, 1.0), ({"A": 1.0}, 1.0), ({"A": 0.5, "B": 0.5}, 0.0), ({"A": 0.1, "B": 0.7, "C": 0.2}, 0.5)],
)
def test_margin_is_the_gap_between_the_two_leaders(shares, gap):
    assert margin(shares) == pytest.approx(gap)


def test_equals_keep_the_order_of_the_differential():
    assert ranked({"C": 0.3, "A": 0.4, "B": 0.3}) == ["A", "C", "B"]


def test_standing_names_the_leader_first_and_marks_the_refuted():
    lines = standing([hypothesis("A"), hypothesis("B")], {"A": 0.25, "B": 0.75}, ["A"])
    assert lines == ["B label of B: 75%", "A label of A: refuted"]


ids = st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=8, unique=True)


@st.composite
def situations(draw):
    keys = draw(ids)
    hypotheses = [hypothesis(key, draw(st.integers(1, 99)) / 100) for key in keys]
    weights = {
        key: draw(st.dictionaries(st.sampled_from(["F1", "F2", "F3", "F4"]), st.integers(-2, 2)))
        for key in draw(st.lists(st.sampled_from(keys), unique=True))
    }
    return hypotheses, evidence(**weights), draw(st.sets(st.sampled_from(keys)))


@given(situations())
def test_credence_is_a_distribution(situation):
    shares = credence(*situation)
    assert math.fsum(shares.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares.values())


@given(situations(), st.data())
def test_credence_never_falls_with_strength(situation, data):
    hypotheses, weights, refuted = situation
    key = data.draw(st.sampled_from([h.id for h in hypotheses]))
    low, high = sorted(data.draw(st.tuples(st.integers(-2, 2), st.integers(-2, 2))))
    known = weights.get(key, {})
    weak = credence(hypotheses, {**weights, key: {**known, **evidence(x={"F9": low})["x"]}}, refuted)
    strong = credence(hypotheses, {**weights, key: {**known, **evidence(x={"F9": high})["x"]}}, refuted)
    assert strong[key] >= weak[key] - 1e-12
    assert all(strong[other] <= weak[other] + 1e-12 for other in weak if other != key)


@given(situations(), st.data())
def test_a_refuted_hypothesis_ranks_no_higher_than_the_same_unrefuted(situation, data):
    hypotheses, weights, refuted = situation
    key = data.draw(st.sampled_from([h.id for h in hypotheses]))
    without = credence(hypotheses, weights, refuted - {key})
    given_up = credence(hypotheses, weights, refuted | {key})
    assert given_up[key] <= without[key]
    assert ranked(given_up).index(key) >= ranked(without).index(key)


@given(st.integers(1, 99), st.dictionaries(st.sampled_from(["F1", "F2"]), st.integers(-2, 2)))
def test_a_refuted_twin_ranks_below_its_unrefuted_one(prior, strengths):
    twins = [hypothesis("A", prior / 100), hypothesis("B", prior / 100)]
    assert ranked(credence(twins, evidence(A=strengths, B=strengths), ["A"])) == ["B", "A"]


def test_a_refuted_hypothesis_does_not_lead_while_another_stands():
    """However much spoke for it before: five findings in strong support would win otherwise."""
    support = evidence(B={f"F{number}": 2 for number in range(5)})
    shares = credence([hypothesis("A"), hypothesis("B")], support, refuted=["B"])
    assert ranked(shares) == ["A", "B"]


@given(situations(), st.randoms(use_true_random=False))
def test_credence_does_not_depend_on_order(situation, dice):
    hypotheses, weights, refuted = situation
    shuffled = dice.sample(hypotheses, k=len(hypotheses))
    turned = {key: dict(reversed(weights[key].items())) for key in reversed(weights)}
    assert credence(shuffled, turned, sorted(refuted)) == pytest.approx(
        credence(hypotheses, weights, refuted)
    )
