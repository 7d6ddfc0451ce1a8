"""Duplicates: the same course of the same case, and reasoning in nearly the same words."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from datasketch import LeanMinHash, MinHash, MinHashLSH
from numpy.typing import NDArray

from ddxgraph.graph.trace import Trace
from ddxgraph.training.gate.config import NearDuplicates
from ddxgraph.training.gate.text import Hashes

Signature = NDArray[np.uint32]
"""Shape (permutations,)."""
Signatures = NDArray[np.uint32]
"""Shape (signatures, permutations)."""

_SCHEME: Final = "affine32"
_SEED: Final = 1
_RECALL: Final = 0.99
"""Chance that a pair just at the threshold is compared at all."""
_HIGH_BITS: Final = np.uint64(32)
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)


def course_digest(trace: Trace) -> bytes:
    """What makes two traversals the same: case, visits, words, moves and answer; 16 bytes.

    Time, tokens, model, sample and probabilities are left out.
    """
    whole = hashlib.blake2b(trace.case.digest.encode(), digest_size=16)
    for step in trace.steps:
        told = step.text or (step.output.model_dump_json() if step.output is not None else "")
        move = step.move
        for part in (step.node, step.branch or "", told, move.to, move.trigger, str(move.backtrack)):
            whole.update(part.encode("utf-8", "surrogatepass") + b"\0")
    whole.update((trace.answer or "").encode("utf-8", "surrogatepass"))
    return whole.digest()


class Sketcher:
    """Makes MinHash signatures (Broder, Compression and Complexity of Sequences 1997)."""

    def __init__(self, permutations: int) -> None:
        self._empty = MinHash(permutations, seed=_SEED, hashfunc=int, scheme=_SCHEME)

    def __call__(self, shingles: Hashes) -> Signature:
        """The signature of a set of shingles, given as 64-bit hashes; the same everywhere."""
        sketch = self._empty.copy()
        sketch.update_batch(np.unique(shingles >> _HIGH_BITS).tolist())
        found: Signature = sketch.hashvalues
        return found


class Twin(NamedTuple):
    """What something is nearly the same as."""

    place: int
    similarity: float
    """Estimated Jaccard similarity, in 0..1."""


class Bands(NamedTuple):
    """How signatures are cut: two that agree in a band are compared."""

    bands: int
    rows: int


def bands_for(threshold: float, permutations: int) -> Bands:
    """The longest bands that still bring a pair at the threshold together, with a chance of 0.99.

    A pair of similarity s agrees in one of b bands of r rows with a chance of 1 - (1 - s^r)^b (Leskovec,
    Rajaraman and Ullman, Mining of Massive Datasets, section 3.4).
    """
    for rows in range(permutations // 2, 1, -1):
        count = permutations // rows
        if 1 - (1 - threshold**rows) ** count >= _RECALL:
            return Bands(count, rows)
    return Bands(permutations, 1)


def near_twins(signatures: Sequence[Signature], config: NearDuplicates) -> Mapping[int, Twin]:
    """Which signatures are nearly those of an earlier one that is left, and of which.

    Args:
        signatures: in order of precedence.
        config: threshold and number of permutations.

    Returns:
        Place in the sequence to the most similar earlier one that is no twin itself.
    """
    if not signatures:
        return {}
    found: dict[int, Twin] = {}
    table = np.stack(signatures)
    bands = bands_for(config.threshold, config.permutations)
    index = MinHashLSH(config.threshold, config.permutations, params=bands)
    for place in _sharing_a_band(table, bands):
        sketch = LeanMinHash(seed=_SEED, hashvalues=table[place], scheme=_SCHEME)
        twin = _nearest(table, place, sorted(index.query(sketch)))
        if twin is not None and twin.similarity >= config.threshold:
            found[place] = twin
        else:
            index.insert(place, sketch, check_duplication=False)
    return found


def _nearest(table: Signatures, place: int, others: Sequence[int]) -> Twin | None:
    """The most similar of some others; the first of equals."""
    if not others:
        return None
    alike = (table[others] == table[place]).mean(axis=1)
    best = int(np.argmax(alike))
    return Twin(others[best], float(alike[best]))


def _sharing_a_band(table: Signatures, bands: Bands) -> list[int]:
    """Signatures of which some band is some other's too: only these go into the index, at 8 kB each."""
    shares = np.zeros(len(table), bool)
    for band in range(bands.bands):
        hashed = np.zeros(len(table), np.uint64)
        for row in range(bands.rows):  # a polynomial modulo 2^64, as arrays of numpy wrap
            hashed = hashed * _BASE + table[:, band * bands.rows + row]
        _, places, counts = np.unique(hashed, return_inverse=True, return_counts=True)
        shares |= counts[places] > 1
    return [int(place) for place in np.flatnonzero(shares)]


def repeated_share(shingles: Hashes) -> float:
    """Share of word sequences that have stood in the same text before, in 0..1; 0 for none."""
    return 1 - len(np.unique(shingles)) / len(shingles) if len(shingles) else 0.0
