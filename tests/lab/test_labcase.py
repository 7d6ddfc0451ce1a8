from collections import Counter
from itertools import islice

import pytest
from laboratory import made_up

from ddxgraph.lab.labcase import SPLITS, Draw, LabCase, findings_key, lab_cases, split_of
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.solver import leaders, posterior

COUNT = 400


def drawn(number: int, split="test", seed=0, count=COUNT) -> list[LabCase]:
    return list(islice(lab_cases(Draw(made_up(), LEVELS[number], split, seed)), count))


def test_the_same_draw_gives_the_same_cases_and_another_seed_others():
    assert drawn(2) == drawn(2)
    assert not {case.case.vignette for case in drawn(2)} & {case.case.vignette for case in drawn(2, seed=1)}
    assert (
        len({case.case.id for case in [*drawn(2), *drawn(2, seed=1), *drawn(3), *drawn(2, "dev")]})
        == 4 * COUNT
    )


@pytest.mark.parametrize("number", LEVELS)
def test_a_case_keeps_to_its_level(number):
    level = LEVELS[number]
    for case in drawn(number):
        assert len(case.cards) == level.candidates
        assert {len(set(card)) for card in case.cards.values()} == {level.card}
        assert len(case.findings) == level.findings
        assert set(case.findings) <= {finding for card in case.cards.values() for finding in card}
        cards = [set(card) for card in case.cards.values()]
        pairs = [(a, b) for place, a in enumerate(cards) for b in cards[place + 1 :]]
        share = sum(len(a & b) for a, b in pairs) / len(pairs) / level.card
        assert level.overlap[0] <= share <= level.overlap[1]


@pytest.mark.parametrize("number", LEVELS)
def test_the_gold_answer_is_the_solvers_and_unique_by_the_margin(number):
    level = LEVELS[number]
    for case in drawn(number):
        shares = posterior(case.cards, case.findings, level.noise)
        assert case.shares == pytest.approx(shares)
        likeliest, lead = leaders(shares)
        assert case.case.options[case.gold] == likeliest
        assert lead >= level.margin


@pytest.mark.parametrize("number", LEVELS)
def test_gold_letters_are_balanced(number):
    size = LEVELS[number].candidates
    counts = Counter(case.gold for case in drawn(number, count=60 * size))
    assert counts == dict.fromkeys("ABCDEFGH"[:size], 60)


def test_the_condition_that_the_patient_has_can_not_be_told_by_its_place():
    cases = drawn(4, count=1000)
    counts = Counter(list(case.cards).index(case.truth) for case in cases)
    assert all(200 <= counts[place] <= 300 for place in range(4))


def test_no_findings_set_is_in_two_splits_or_twice_in_one():
    keys = {
        split: [
            findings_key(case.findings)
            for number in LEVELS
            for seed in (0, 1)
            for case in drawn(number, split, seed, count=150)
        ]
        for split in SPLITS
    }
    for split, found in keys.items():
        assert found
        assert not set(found) & {key for other in SPLITS if other != split for key in keys[other]}
    for number in LEVELS:
        assert len({findings_key(case.findings) for case in drawn(number)}) == COUNT


def test_the_split_heeds_what_is_present_and_what_is_absent_but_no_order():
    assert findings_key({"a": True, "b": False}) == findings_key({"b": False, "a": True})
    assert findings_key({"a": True, "b": False}) != findings_key({"a": False, "b": True})
    assert {split_of({f"finding {number}": True}) for number in range(50)} == set(SPLITS)


def test_how_often_the_likeliest_is_what_the_patient_has_is_what_the_posterior_says():
    """So the mean of the highest posterior is the accuracy that no reader can exceed in the long run."""
    for number in LEVELS:
        cases = drawn(number, count=1500)
        expected = sum(max(case.shares.values()) for case in cases) / len(cases)
        found = sum(case.case.options[case.gold] == case.truth for case in cases) / len(cases)
        assert found == pytest.approx(expected, abs=0.04)


def test_levels_grow_harder():
    ceiling = [sum(max(c.shares.values()) for c in drawn(number)) / COUNT for number in LEVELS]
    assert ceiling == sorted(ceiling, reverse=True)


def test_an_impossible_level_is_refused_rather_than_searched_for_ever():
    level = LEVELS[2].model_copy(update={"overlap": (0.99, 1)})
    with pytest.raises(ValueError, match="level 2: no case in 20000 draws"):
        next(lab_cases(Draw(made_up(), level)))
