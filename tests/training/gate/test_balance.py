"""Balance: letters and backtracks come in proportion, by dropping as few as need be."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.training.gate.config import Balance
from ddxgraph.training.gate.reasons import Reason
from ddxgraph.training.gate.selection import Weighed, dropped, most_a_letter, rank_of

journeys = st.lists(st.tuples(st.sampled_from(["A", "B", "C", "D", ""]), st.booleans()), max_size=40).map(
    lambda kinds: [Weighed(key, *kind, rank_of(0, str(key))) for key, kind in enumerate(kinds)]
)


def some(**counts: int) -> list[Weighed]:
    """So many of each letter; small letters go back."""
    told = "".join(letter * count for letter, count in counts.items())
    return [Weighed(key, x.upper(), x.islower(), rank_of(0, str(key))) for key, x in enumerate(told)]


def left(given_: list[Weighed], config: Balance) -> list[Weighed]:
    out = dropped(given_, config)
    return [one for one in given_ if one.key not in out]


def letters(given_: list[Weighed]) -> dict[str, int]:
    return dict(sorted(Counter(one.letter for one in given_).items()))


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({"A": 10, "B": 10, "C": 10, "D": 10}, 0.25, {"A": 10, "B": 10, "C": 10, "D": 10}),
        ({"A": 40, "B": 10, "C": 10, "D": 10}, 0.4, {"A": 20, "B": 10, "C": 10, "D": 10}),
        ({"A": 90, "B": 5, "C": 3}, 0.4, {"A": 5, "B": 5, "C": 3}),
        ({"A": 90, "B": 5}, 0.4, {"A": 5, "B": 5}),  # two letters: half is the least share there is
        ({"A": 90}, 0.4, {"A": 90}),
    ],
)
def test_no_letter_has_more_than_its_share(counts, share, expected):
    assert letters(left(some(**counts), Balance(max_letter_share=share))) == expected


@given(
    st.dictionaries(st.sampled_from("ABCDE"), st.integers(1, 30), min_size=1),
    st.sampled_from([0.2, 0.3, 0.4, 0.5, 1.0]),
)
def test_as_many_as_can_stay_do(counts, share):
    most = most_a_letter(counts, share)
    limit = max(share, 1 / len(counts))

    def holds(most: int) -> bool:
        kept = [min(count, most) for count in counts.values()]
        return max(kept) <= limit * sum(kept) + 1e-9

    assert holds(most)
    assert not any(holds(more) for more in range(most + 1, max(counts.values()) + 1))


@pytest.mark.parametrize(
    ("straight", "back", "share", "expected"),
    [
        (90, 10, 0.5, (10, 10)),
        (10, 90, 0.5, (10, 10)),
        (75, 25, 0.25, (75, 25)),
        (80, 20, 0.25, (60, 20)),
        (10, 0, 0.5, (10, 0)),  # there is no backtracking one to come to a share with
        (0, 10, 0.5, (0, 10)),
    ],
)
def test_the_wanted_share_of_backtracking_journeys_is_reached(straight, back, share, expected):
    kept = left(some(A=straight, a=back), Balance(max_letter_share=1.0, backtracking_share=share))
    assert (sum(not one.backtracks for one in kept), sum(one.backtracks for one in kept)) == expected


def test_the_surplus_comes_from_the_letter_that_has_most():
    kept = left(some(A=30, B=10, C=10, a=10), Balance(max_letter_share=1.0, backtracking_share=0.25))
    assert letters(kept) == {"A": 20, "B": 10, "C": 10}


def test_free_form_answers_have_no_letter_to_balance():
    free = [Weighed(key, "", False, key) for key in range(20)]
    assert not dropped([*free, *some(A=1, B=1)][:20], Balance())


@given(journeys, st.sampled_from([None, 0.2, 0.5, 0.8]), st.randoms(use_true_random=False))
def test_the_order_makes_no_difference_and_each_drop_has_its_reason(given_, share, luck):
    config = Balance(backtracking_share=share)
    out = dropped(given_, config)
    assert dropped(luck.sample(given_, len(given_)), config) == out
    assert set(out.values()) <= {Reason.LETTER_SHARE, Reason.BACKTRACKING_SHARE}
    kinds = {one.backtracks for one in given_}
    if share is None or len(kinds) < 2:
        assert Reason.BACKTRACKING_SHARE not in out.values()


def test_another_seed_drops_others():
    found = set()
    for seed in range(4):
        ranked = [one._replace(rank=rank_of(seed, str(one.key))) for one in some(A=20, B=5, C=5)]
        found.add(frozenset(dropped(ranked, Balance())))
    assert len(found) > 1


def test_ranks_differ_by_seed_and_name():
    ranks = {rank_of(seed, name) for seed, name in product(range(3), "abc")}
    assert len(ranks) == 9
    assert all(0 <= rank < 1 << 64 for rank in ranks)
