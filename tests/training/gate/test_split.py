"""Train and validation: by case, near-identical questions together, the same whatever order they come in."""

from random import Random

import numpy as np
import pytest
from gated import prose
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.training.gate.config import Split
from ddxgraph.training.gate.split import question_groups, side_of
from ddxgraph.training.gate.text import WordHasher, ngrams

HASH = WordHasher()


def questions(**texts: str):
    return {name: ngrams(HASH(text), 13) for name, text in texts.items()}


def test_near_identical_questions_are_one_group():
    text = prose(Random(1), 80)
    words = text.split()
    asked = questions(
        a=text,
        b=f"{' '.join(words[:60])} {prose(Random(2), 20)}",
        c=prose(Random(3), 80),
        d=f"{prose(Random(4), 200)} {text}",
    )
    groups = question_groups(asked, 0.3)
    assert groups == {"a": "a", "b": "a", "c": "c", "d": "a"}


def test_questions_that_share_only_their_closing_are_none():
    closing = "Which of the following is the most appropriate next step in the management of this patient?"
    asked = questions(**{f"q{n}": f"{prose(Random(n), 60)} {closing}" for n in range(40)})
    assert len(set(question_groups(asked, 0.3).values())) == 40


def test_short_questions_are_the_same_where_all_words_are():
    asked = questions(a="What is it?", b="What is it", c="What is this?")
    assert question_groups(asked, 0.3) == {"a": "a", "b": "a", "c": "c"}


@given(
    st.dictionaries(
        st.text("abc", min_size=1), st.lists(st.integers(0, 8), min_size=1, max_size=12), max_size=8
    ),
    st.sampled_from([0.3, 0.6, 1.0]),
)
def test_groups_are_those_that_comparing_all_with_all_gives(texts, least):
    """With so few questions every pair that shares an n-gram is compared."""
    asked = {name: ngrams(np.array(text, np.uint64), 2) for name, text in texts.items()}
    sets = {name: set(grams.tolist()) for name, grams in asked.items()}
    expected = {name: {name} for name in texts}
    for one in texts:
        for other in texts:
            if len(sets[one] & sets[other]) / min(len(sets[one]), len(sets[other])) >= least:
                merged = expected[one] | expected[other]
                for name in merged:
                    expected[name] = merged
    groups = question_groups(asked, least)
    assert groups == {name: min(group) for name, group in expected.items()}


def test_no_questions_are_no_groups():
    assert question_groups({}, 0.3) == {}


def test_the_side_follows_from_seed_and_group_alone():
    groups = [f"case-{number}" for number in range(2000)]
    config = Split(validation_share=0.1)
    sides = {group: side_of(group, config, seed=3) for group in groups}
    assert sides == {group: side_of(group, config, seed=3) for group in reversed(groups)}
    assert sides != {group: side_of(group, config, seed=4) for group in groups}
    assert sum(side == "validation" for side in sides.values()) == pytest.approx(200, abs=60)


@pytest.mark.parametrize(
    ("config", "side"),
    [
        (Split(enabled=False, validation_share=1), "train"),
        (Split(validation_share=0), "train"),
        (Split(validation_share=1), "validation"),
    ],
)
def test_the_ends_of_the_share(config, side):
    assert side_of("case", config, 0) == side
