from fractions import Fraction
from itertools import product
from random import Random

import pytest

from ddxgraph.lab.level import LEVELS, Noise
from ddxgraph.lab.solver import leaders, likelihood, posterior

POOL = [f"finding {number}" for number in range(7)]


def small(seed: int) -> tuple[dict[str, tuple[str, ...]], dict[str, bool], Noise]:
    rng = Random(seed)
    size, card, told = rng.randint(2, 4), rng.randint(1, 4), rng.randint(1, 5)
    noise = Noise(missing=rng.randint(1, 49) / 100, misleading=rng.randint(1, 49) / 100)
    cards = {f"condition {number}": tuple(rng.sample(POOL, card)) for number in range(size)}
    return cards, {name: rng.random() < 0.5 for name in rng.sample(POOL, told)}, noise


def worlds(cards, told, noise):
    """Every patient there can be: a condition, the state of each finding of the pool; and its probability."""
    missing, misleading = Fraction(str(noise.missing)), Fraction(str(noise.misleading))
    pool = sorted({*POOL, *told})
    for name, card in cards.items():
        for states in product((True, False), repeat=len(pool)):
            patient = dict(zip(pool, states, strict=True))
            chance = Fraction(1, len(cards))
            for finding, present in patient.items():
                share = 1 - missing if finding in card else misleading
                chance *= share if present else 1 - share
            yield name, patient, chance


@pytest.mark.parametrize("seed", range(25))
def test_the_posterior_is_that_of_enumerating_every_patient(seed):
    cards, told, noise = small(seed)
    weight = dict.fromkeys(cards, Fraction(0))
    for name, patient, chance in worlds(cards, told, noise):
        if all(patient[finding] == present for finding, present in told.items()):
            weight[name] += chance
    exact = {name: float(share / sum(weight.values())) for name, share in weight.items()}
    assert posterior(cards, told, noise) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihoods_of_all_that_could_be_told_sum_to_one(seed):
    cards, told, noise = small(seed)
    for card in cards.values():
        shares = [
            likelihood(card, dict(zip(told, states, strict=True)), noise)
            for states in product((True, False), repeat=len(told))
        ]
        assert sum(shares) == pytest.approx(1)


def test_the_order_of_cards_and_findings_changes_nothing():
    cards, told, noise = small(3)
    turned = posterior(dict(reversed(cards.items())), dict(reversed(told.items())), noise)
    assert turned == pytest.approx(posterior(cards, told, noise), abs=1e-15)


def test_leaders_are_the_likeliest_and_its_lead():
    assert leaders({"a": 0.2, "b": 0.5, "c": 0.3}) == ("b", pytest.approx(0.2))


def test_hundreds_of_findings_do_not_underflow():
    noise = LEVELS[1].noise
    told = {f"finding {number}": True for number in range(200)}
    assert posterior({"a": tuple(told), "b": ("other",)}, told, noise)["a"] == pytest.approx(1)
