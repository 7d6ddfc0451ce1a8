"""How a case's options are shown: as published, shuffled, or withheld. The gold answer goes along."""

import hashlib

from ddxgraph.eval.cases import CaseEntry, Gold


def shuffled(entry: CaseEntry, seed: int) -> CaseEntry:
    """The case with its options' texts moved among its letters; the gold letter moves with its text.

    The order depends on `seed` and the case's id alone: on no other case, and on no library's generator. A case
    without options stays as it is.
    """
    case, gold = entry
    order = sorted(case.letters, key=lambda letter: _drawn(seed, case.id, letter))
    moved = dict(zip(order, case.letters, strict=True))  # where each text was -> where it is now
    options = {letter: case.options[was] for was, letter in sorted(moved.items(), key=lambda pair: pair[1])}
    if gold is not None and case.options:
        gold = Gold(case=gold.case, answer=moved[gold.answer])
    return CaseEntry(case.model_copy(update={"options": options}), gold)


def withheld(entry: CaseEntry) -> CaseEntry:
    """The case without its options; the gold answer is then the option's text. The question stays as it is."""
    case, gold = entry
    if gold is not None and case.options:
        gold = Gold(case=gold.case, answer=case.options[gold.answer])
    return CaseEntry(case.model_copy(update={"options": {}}), gold)


def _drawn(seed: int, case: str, letter: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{case}\0{letter}".encode()).digest()
