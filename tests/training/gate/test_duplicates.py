"""Duplicates: the estimate against the true similarity, and which of two stays."""

from random import Random

import numpy as np
import pytest
from gated import VOCABULARY, prose
from hypothesis import given, settings
from hypothesis import strategies as st

from ddxgraph.training.gate.config import NearDuplicates
from ddxgraph.training.gate.duplicates import Sketcher, bands_for, near_twins, repeated_share
from ddxgraph.training.gate.text import WordHasher, ngrams

CONFIG = NearDuplicates()
HASH = WordHasher()
SKETCH = Sketcher(CONFIG.permutations)


def shingles(text: str):
    return ngrams(HASH(text), CONFIG.words)


def jaccard(one: str, other: str) -> float:
    first, second = set(shingles(one).tolist()), set(shingles(other).tolist())
    return len(first & second) / len(first | second)


def altered(text: str, every: int) -> str:
    """A text with each n-th word replaced."""
    words = text.split()
    words[::every] = [f"other{place}" for place in range(len(words[::every]))]
    return " ".join(words)


def test_the_estimate_is_near_the_true_similarity():
    text = prose(Random(0), 600)
    for every in (20, 40, 80, 160, 320):
        other = altered(text, every)
        estimate = float((SKETCH(shingles(text)) == SKETCH(shingles(other))).mean())
        assert estimate == pytest.approx(jaccard(text, other), abs=3 * 0.5 / 128**0.5)


def test_the_first_of_near_twins_stays_and_others_are_named_by_it():
    text, own = prose(Random(1), 400), prose(Random(2), 400)
    texts = [own, text, altered(text, 200), text]
    twins = near_twins([SKETCH(shingles(one)) for one in texts], CONFIG)
    assert {place: twin.place for place, twin in twins.items()} == {2: 1, 3: 1}
    assert twins[3].similarity == 1
    assert CONFIG.threshold <= twins[2].similarity < 1


def test_texts_of_the_same_words_in_another_order_are_no_twins():
    words = prose(Random(3), 400).split()
    shuffled = Random(4).sample(words, len(words))
    assert not near_twins([SKETCH(shingles(" ".join(one))) for one in (words, shuffled)], CONFIG)


def test_what_is_like_a_dropped_one_only_stays():
    """A chain: each is like its neighbour; the second is dropped, so the third has nothing to be like."""
    first = np.arange(128, dtype=np.uint32)
    second, third = first.copy(), first.copy()
    second[:20] += 1000
    third[:40] += 1000
    twins = near_twins([first, second, third], NearDuplicates(threshold=0.8))
    assert set(twins) == {1}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_index_finds_what_comparing_all_with_all_finds(seed, threshold):
    """For pairs well above or below the threshold, which the bands cannot miss."""
    luck = np.random.default_rng(seed)
    base = luck.integers(0, 2**32, (4, 128), dtype=np.uint32)
    table = base[luck.integers(0, 4, 12)]
    for row in table:
        change = luck.choice([0, 2, 100])
        row[luck.permutation(128)[:change]] = luck.integers(0, 2**32, change, dtype=np.uint32)
    kept: list[int] = []
    for place in range(len(table)):
        if all((table[place] == table[other]).mean() < threshold for other in kept):
            kept.append(place)
    twins = near_twins(list(table), NearDuplicates(threshold=threshold))
    assert [place for place in range(len(table)) if place not in twins] == kept


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("permutations", [16, 128, 256])
def test_bands_bring_a_pair_at_the_threshold_together(threshold, permutations):
    count, rows = bands_for(threshold, permutations)
    assert count * rows <= permutations
    chance = 1 - (1 - threshold**rows) ** count
    assert chance >= 0.99 or rows == 1


def test_no_signatures_have_no_twins():
    assert near_twins([], CONFIG) == {}
    assert near_twins([SKETCH(shingles(""))], CONFIG) == {}


def test_repetition_is_the_share_of_sequences_that_stood_there_before():
    once = ngrams(HASH(" ".join(VOCABULARY[:50])), 5)
    assert repeated_share(once) == 0
    again = ngrams(HASH(" ".join(VOCABULARY[:10] * 10)), 5)
    assert repeated_share(again) == pytest.approx(1 - 10 / 96)
    assert repeated_share(ngrams(HASH(""), 5)) == 0
