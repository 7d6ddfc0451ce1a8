from collections import Counter
from itertools import islice
from random import Random

import pytest
from laboratory import made_up

from ddxgraph.lab.labcase import Draw, lab_cases
from ddxgraph.lab.level import LEVELS, Noise
from ddxgraph.lab.slip import Rates, as_misread, slip_of, without
from ddxgraph.lab.solver import leaders, posterior
from ddxgraph.lab.tally import steps_of, tallies

CARDS = {"A": ("x", "y"), "B": ("z",)}
FINDINGS = {"x": True, "y": False, "z": True}


def cases(number: int, count: int = 100):
    return islice(lab_cases(Draw(made_up(), LEVELS[number])), count)


@pytest.mark.parametrize("number", LEVELS)
def test_the_highest_tally_of_a_shipped_level_is_the_likeliest_candidate(number):
    for case in cases(number):
        found = tallies(case.cards, case.findings, steps_of(case.level.noise))
        ahead = [name for name in found if found[name] == max(found.values())]
        assert ahead == [leaders(posterior(case.cards, case.findings, case.level.noise))[0]]


@pytest.mark.parametrize(
    ("noise", "steps"),
    [
        (Noise(0.25, 0.25), (1, 1)),  # odds of 3
        (Noise(0.1, 0.1), (2, 2)),  # of 9
        (Noise(0.01, 0.01), (2, 2)),  # stronger than a step of the graph can say
        (Noise(0.45, 0.45), (1, 1)),  # weaker
        (Noise(0.4, 0.05), (2, 1)),  # 12 for, 2.4 against
    ],
)
def test_steps_are_the_log_likelihood_ratios_in_threes(noise, steps):
    assert steps_of(noise) == steps


@pytest.mark.parametrize("number", LEVELS)
@pytest.mark.parametrize("rates", [Rates(misread=1), Rates(overlooked=1)])
def test_a_slip_puts_the_right_candidate_from_the_front(number, rates):
    steps = steps_of(LEVELS[number].noise)
    found = 0
    for case in cases(number):
        slip = slip_of(case.cards, case.findings, steps, rates, Random(0))
        if slip is None:
            continue
        found += 1
        read = without(case.findings, slip)
        told = {
            name: tallies({name: card}, as_misread(name, read, slip), steps)[name]
            for name, card in case.cards.items()
        }
        right, _ = leaders(posterior(case.cards, case.findings, case.level.noise))
        ahead = [name for name in told if told[name] == max(told.values())]
        assert ahead != [right]
        if slip.kind == "misread":
            assert len(ahead) == 1
    assert found >= 10


def test_rates_are_kept_and_none_means_none():
    steps = steps_of(Noise(0.2, 0.2))
    rates = Rates(misread=0.3, overlooked=0.2)
    kinds = Counter(
        slip.kind if slip else None
        for slip in (slip_of(CARDS, FINDINGS, steps, rates, Random(n)) for n in range(1000))
    )
    assert 250 <= kinds["misread"] <= 350
    assert 150 <= kinds["overlooked"] <= 250
    assert slip_of(CARDS, FINDINGS, steps, Rates(), Random(0)) is None


def test_a_misreading_turns_one_finding_for_one_candidate():
    slip = next(
        slip
        for n in range(99)
        if (slip := slip_of(CARDS, FINDINGS, steps_of(Noise(0.2, 0.2)), Rates(misread=1), Random(n)))
    )
    turned = as_misread(slip.condition, FINDINGS, slip)
    assert [name for name in FINDINGS if turned[name] != FINDINGS[name]] == [slip.finding]
    other = next(name for name in CARDS if name != slip.condition)
    assert as_misread(other, FINDINGS, slip) == FINDINGS
    assert without(FINDINGS, slip) == FINDINGS
