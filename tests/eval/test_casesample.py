"""Samples: the same everywhere, nested, by id alone."""

import hashlib
from random import Random

from ddxgraph import Case
from ddxgraph.eval.cases import CaseEntry, sample

ENTRIES = [CaseEntry(Case(id=f"case-{n}", vignette=f"Cough {n}."), None) for n in range(60)]


def ids(entries) -> list[str]:
    return [entry.case.id for entry in entries]


def test_a_sample_is_the_ids_with_the_smallest_hashes_in_that_order():
    ranked = sorted(ids(ENTRIES), key=lambda case: hashlib.sha256(f"5\0{case}".encode()).hexdigest())
    assert ids(sample(ENTRIES, 20, 5)) == ranked[:20]
    # By `printf "0\\0case-16" | sha256sum` and so on.
    assert ids(sample(ENTRIES, 3, 0)) == ["case-16", "case-45", "case-35"]


def test_samples_nest_and_do_not_depend_on_the_order_of_the_cases():
    mixed = list(ENTRIES)
    Random(1).shuffle(mixed)
    large = ids(sample(ENTRIES, 40))
    assert ids(sample(mixed, 40)) == large
    assert ids(sample(mixed, 20)) == large[:20]
    assert ids(sample(ENTRIES, 20, seed=1)) != large[:20]


def test_a_limit_beyond_the_cases_takes_them_all():
    assert sorted(ids(sample(ENTRIES, 1_000))) == sorted(ids(ENTRIES))


def test_cases_of_one_id_stay_together_so_that_a_conflict_is_still_seen():
    twice = [*ENTRIES, CaseEntry(Case(id=ids(sample(ENTRIES, 1))[0], vignette="Rash."), None)]
    assert len(sample(twice, 1)) == 2
