"""Votes: the expectation over subsets against going through the subsets."""

from collections import Counter
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.eval.statistics.vote import MOST_SAMPLES, sizes, vote_at_k, vote_curve

letters = st.sampled_from(["A", "B", "C", "D", "E", None])
samples = st.lists(letters, min_size=1, max_size=8)


def share_of_gold(votes, gold):
    """What one vote is worth: 1 over the number of leaders where gold is one of them."""
    counts = Counter(vote for vote in votes if vote is not None)
    leaders = [letter for letter, count in counts.items() if count == max(counts.values())]
    return Fraction(1, len(leaders)) if gold in leaders else Fraction(0)


def brute(answers, gold, k):
    subsets = list(combinations(answers, k))
    return sum((share_of_gold(votes, gold) for votes in subsets), Fraction(0)) / len(subsets)


@given(samples)
def test_every_k_is_the_mean_over_all_subsets(answers):
    for k in range(1, len(answers) + 1):
        assert vote_at_k(answers, "A", k) == pytest.approx(float(brute(answers, "A", k)), abs=1e-12)


@given(st.lists(st.sampled_from(["A", "A", "A", "B", "C"]), min_size=9, max_size=13))
def test_longer_runs_too(answers):
    k = len(answers) // 2
    assert vote_at_k(answers, "A", k) == pytest.approx(float(brute(answers, "A", k)), abs=1e-12)


@given(samples)
def test_one_vote_is_the_mean_and_all_votes_are_the_plain_plurality(answers):
    assert vote_at_k(answers, "A", 1) == pytest.approx(answers.count("A") / len(answers))
    assert vote_at_k(answers, "A", len(answers)) == pytest.approx(float(share_of_gold(answers, "A")))


@given(samples, st.randoms(use_true_random=False))
def test_the_order_of_samples_and_the_names_of_wrong_answers_do_not_matter(answers, dice):
    renamed = [{"B": "E", "E": "B"}.get(answer, answer) for answer in dice.sample(answers, k=len(answers))]
    k = (len(answers) + 1) // 2
    assert vote_at_k(renamed, "A", k) == vote_at_k(answers, "A", k)


@pytest.mark.parametrize(
    ("answers", "k", "expected"),
    [
        (["A", "B"], 2, 1 / 2),
        (["A", "B", "C", "D"], 4, 1 / 4),
        (["A", None, None], 3, 1.0),
        (["A", None, None], 2, 2 / 3),
        ([None, None], 2, 0.0),
        (["B", "B"], 1, 0.0),
        (["A", "A", "B", "B", None], 5, 1 / 2),
        (["A"] * 64, 32, 1.0),
    ],
)
def test_ties_are_shared_and_silence_casts_no_vote(answers, k, expected):
    assert vote_at_k(answers, "A", k) == pytest.approx(expected)


def test_a_large_vote_keeps_its_precision():
    """Two answers and an odd k: the hypergeometric tail, in exact fractions."""
    answers = ["A"] * 33 + ["B"] * 31
    for k in (1, 31, 63):
        tail = sum(_ways(33, hits) * _ways(31, k - hits) for hits in range(k // 2 + 1, k + 1))
        assert vote_at_k(answers, "A", k) == pytest.approx(float(Fraction(tail, _ways(64, k))), rel=1e-12)


def _ways(total, chosen):
    ways = Fraction(1)
    for place in range(chosen):
        ways = ways * (total - place) / (place + 1)
    return int(ways)


@pytest.mark.parametrize("k", [0, 3])
def test_a_vote_needs_as_many_samples(k):
    with pytest.raises(ValueError, match="samples"):
        vote_at_k(["A", "B"], "A", k)


def test_the_number_of_samples_has_an_end():
    assert 0 < vote_at_k(["A", "B"] * (MOST_SAMPLES // 2), "A", MOST_SAMPLES // 2) <= 1
    with pytest.raises(ValueError, match=str(MOST_SAMPLES)):
        vote_at_k(["A"] * (MOST_SAMPLES + 1), "A", 1)


def test_a_curve_averages_cases_and_counts_what_its_votes_cost():
    cases = [(["A", "A", "B"], "A"), (["B", "C", "C"], "C"), (["D", "D", "D"], "A")]
    curve = vote_curve(cases, [3, 1], tokens=[[100, 200, 300], [10, 20, 30], [1, 2, 3]])
    assert [point.k for point in curve.points] == [1, 3]
    assert [point.accuracy.value for point in curve.points] == pytest.approx([4 / 9, 2 / 3])
    assert [point.tokens for point in curve.points] == pytest.approx([222 / 3, 222])
    assert [point.accuracy.method for point in curve.points] == ["bootstrap over cases", "Wilson"]
    assert (curve.samples, curve.unscored) == (3, 0)


def test_all_points_rest_on_the_same_cases():
    """A case that lost a sample to the engine shortens the curve; one that lost all is counted apart."""
    cases = [(["A"] * 4, "A"), (["B"] * 3, "A"), ([], "A")]
    curve = vote_curve(cases, sizes(4), tokens=[[8] * 4, [4] * 3, []])
    assert [(point.k, point.accuracy.n, point.tokens) for point in curve.points] == [(1, 2, 6), (2, 2, 12)]
    assert (curve.samples, curve.unscored) == (3, 1)


def test_a_curve_of_nothing_has_no_points():
    assert vote_curve([], [1]) == ([], 0, 0)
    assert vote_curve([([], "A")], [1]) == ([], 0, 1)


def test_curves_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="token counts"):
        vote_curve([(["A"], "A")], [1], tokens=[[1, 2]])
    with pytest.raises(ValueError, match="fewer than 1"):
        vote_curve([(["A"], "A")], [0])


def test_the_usual_sizes_double_up_to_all():
    assert sizes(0) == []
    assert sizes(1) == [1]
    assert sizes(6) == [1, 2, 4, 6]
    assert sizes(64) == [1, 2, 4, 8, 16, 32, 64]
