"""A sample of cases that is the same on every machine, and that a larger sample holds."""

import hashlib
import heapq
from collections.abc import Iterable

from ddxgraph.eval.cases import CaseEntry


def sample(entries: Iterable[CaseEntry], limit: int, seed: int = 0) -> list[CaseEntry]:
    """The cases of the `limit` ids whose hash with the seed is smallest, in that order.

    Which they are depends on the ids and the seed alone, not on the order of the cases or a library's generator;
    the first 20 of a sample of 40 are the sample of 20.

    Args:
        entries: is read twice, and may hold more than fits into memory; an entry that stands twice is kept twice.
        limit: most ids.
        seed: draws another sample.
    """
    ids = {entry.case.id for entry in entries}
    chosen = heapq.nsmallest(limit, ids, key=lambda case: hashlib.sha256(f"{seed}\0{case}".encode()).digest())
    rank = {case: place for place, case in enumerate(chosen)}
    return sorted((e for e in entries if e.case.id in rank), key=lambda entry: rank[entry.case.id])
