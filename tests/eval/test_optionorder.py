"""Options shuffled or withheld: texts move, letters stay, the gold answer goes along."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph import Case
from ddxgraph.eval.cases import CaseEntry, Gold, shuffled, withheld

TEXTS = ("Influenza", "Pneumonia", "Asthma", "Heart failure", "Gout")


def entry(number: int = 0, options: int = 4, gold: str = "B") -> CaseEntry:
    texts = dict(zip("ABCDE"[:options], TEXTS, strict=False))
    case = Case(id=f"case-{number}", vignette=f"Cough {number}.", options=texts)
    return CaseEntry(case, Gold(case=case.id, answer=gold))


@given(st.integers(0, 10_000), st.integers(), st.integers(2, 5))
def test_texts_move_letters_stay_and_the_gold_letter_follows_its_text(number, seed, options):
    given_entry = entry(number, options)
    case, gold = shuffled(given_entry, seed)
    assert case.letters == given_entry.case.letters
    assert sorted(case.options.values()) == sorted(given_entry.case.options.values())
    assert case.options[gold.answer] == "Pneumonia"
    assert case.model_copy(update={"options": given_entry.case.options}) == given_entry.case
    assert gold.case == case.id


def test_the_order_is_the_same_on_every_machine():
    # By `printf "7\\0case-0\\0A" | sha256sum` and so on: A, D, C, B.
    case, _ = shuffled(entry(0), 7)
    assert list(case.options.values()) == ["Influenza", "Heart failure", "Asthma", "Pneumonia"]


def test_the_seed_and_the_id_decide_and_nothing_else():
    assert shuffled(entry(1), 3) == shuffled(entry(1), 3)
    assert len({tuple(shuffled(entry(1), seed).case.options.values()) for seed in range(200)}) == 24
    assert len({tuple(shuffled(entry(number), 3).case.options.values()) for number in range(200)}) == 24


def test_every_place_is_as_likely_for_the_gold_option():
    places = Counter(shuffled(entry(number), 0).gold.answer for number in range(4_000))
    # 4 * binomial(4000, 1/4): standard deviation 27; 6 of them.
    assert all(abs(places[letter] - 1_000) < 165 for letter in "ABCD")


def test_of_two_options_with_one_text_the_gold_one_is_followed_by_its_letter():
    case = Case(id="twins", vignette="Cough.", options={"A": "Same", "B": "Same", "C": "Other"})
    for seed in range(20):
        shown, gold = shuffled(CaseEntry(case, Gold(case="twins", answer="C")), seed)
        assert shown.options[gold.answer] == "Other"


def test_withheld_options_leave_their_text_as_the_gold_answer():
    case, gold = withheld(entry())
    assert case.options == {}
    assert (case.id, gold.answer) == ("case-0", "Pneumonia")


@pytest.mark.parametrize("show", [withheld, lambda given: shuffled(given, 1)])
def test_a_free_form_case_stays_as_it_is_and_none_needs_a_gold_answer(show):
    free = CaseEntry(Case(id="free", vignette="Cough."), Gold(case="free", answer="A cold"))
    assert show(free) == free
    assert show(CaseEntry(entry().case, None)).gold is None
