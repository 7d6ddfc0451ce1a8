"""The style `longmonolog`: paragraphs in the first person, many wordings."""

import re
from itertools import pairwise

import pytest
from journeys import CASE, FREE
from walks import plain_walk, walked

from ddxgraph.training.styles.compile import compile_journey
from ddxgraph.training.styles.journey import journey_of
from ddxgraph.training.styles.longmonolog import monologue
from ddxgraph.training.styles.phrases import ASIDES, EVENTS, THOUGHTS, our_words
from ddxgraph.training.styles.recover import recover

POOLS = {**EVENTS, **THOUGHTS, **ASIDES}


def told(seed: int) -> str:
    return compile_journey(plain_walk().trace, "longmonolog", seed).messages[-1].content


def test_no_headings_and_no_lists():
    for seed in range(20):
        lines = told(seed).split("\n")
        assert not any(line.startswith(("#", "- ", "* ")) or re.match(r"\d+\.", line) for line in lines)
        assert lines[-1] == "Answer: C"


def test_it_speaks_in_the_first_person_and_hesitates():
    text = told(0)
    assert len(re.findall(r"\b(?:I|me|my)\b", text)) > 10
    assert re.search(r"\b(?:Wait|Hold on|Hmm|No|Actually|doubt|not trust)\b", text)


def test_seeds_vary_the_wordings():
    """Over a hundred seeds every wording that can be used is used, and few sentences are shared by two texts."""
    texts = [told(seed) for seed in range(100)]
    heard = "\n".join(texts)
    for kind in ("checked", "rechecked", "refuted", "weighed:2", "weighed:-2", "named", "noted:present"):
        for wording in EVENTS[kind]:
            longest = max(re.split(r"\{[mtn]\}", wording), key=len).strip()
            assert longest in heard, wording
    sentences = [set(re.split(r"(?<=[.?!]) ", text)) for text in texts]
    shared = [len(a & b) / len(a | b) for a, b in pairwise(sentences)]
    assert sum(shared) / len(shared) < 0.35


@pytest.mark.parametrize("kind", POOLS)
def test_a_pool_is_large_enough_and_of_its_own(kind):
    pool = POOLS[kind]
    assert len(set(pool)) == len(pool) >= 5
    for other, wordings in POOLS.items():
        assert other == kind or not set(wordings) & set(pool)


def test_a_wording_ends_as_a_sentence_does():
    for pools, ends in ((EVENTS, ".?"), (THOUGHTS, ":"), (ASIDES, ".?")):
        for wording in (wording for pool in pools.values() for wording in pool):
            assert wording[-1] in ends
            assert "  " not in wording
            assert not re.search(r"\{t\}[,.;:?]", wording), "a dash and then a comma"
            assert wording.isascii()


def test_no_wording_of_a_hypothesis_begins_with_its_name():
    for kind, pool in EVENTS.items():
        if not kind.startswith(("weighed", "noted")):
            assert not any(wording.startswith("{m}") for wording in pool)


def test_our_words_hold_every_word():
    assert {"suppose", "i", "case"} <= our_words()


def test_a_free_form_case():
    trace = walked(
        {
            "generate_differential": {
                "reasoning": "so",
                "others": [
                    {"label": "Pneumonia", "rationale": "common", "prior": 60},
                    {"label": "It", "rationale": "", "prior": 10},
                ],
            },
            "conclude": {"justification": "it fits", "answer": "pneumonia"},
        },
        FREE,
    ).trace
    for seed in range(20):
        text = compile_journey(trace, "longmonolog", seed).messages[-1].content
        assert text.endswith("\n\nAnswer: pneumonia")
        assert "“It”" in text
        assert "“Pneumonia”" in text, "at its introduction"
        assert recover(text, {}) == journey_of(trace)


def test_the_seed_is_any_text():
    journey = journey_of(plain_walk().trace)
    assert monologue(journey, CASE.options | {"C": "Pulmonary embolism"}, "a") != monologue(
        journey, CASE.options | {"C": "Pulmonary embolism"}, "b"
    )
