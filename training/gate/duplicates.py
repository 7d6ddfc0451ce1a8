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

_SCHEME: Final = "affine32"
_SEED: Final = 1
_RECALL: Final = 0.99
"""Chance that a pair just at the threshold is compared at all."""
_HIGH_BITS: Final = np.uint64(32)


def course_digest(trace: Trace) -> bytes:
    """Digest of what makes two traversals the same: case, stops, words, moves and answer; 16 bytes.

    Time, tokens, model, sample and probabilities do not count.
    """
    whole = hashlib.blake2b(trace.case.digest.encode(), digest_size=16)
    for step in trace.steps:
        words = step.text or (step.output.model_dump_json() if step.output is not None else "")
        move = step.move
        for part in (step.node, step.branch or "", words, move.to, move.trigger, str(move.backtrack)):
            whole.update(part.encode("utf-8", "surrogatepass") + b"\0")
    whole.update((trace.answer or "").encode("utf-8", "surrogatepass"))
    return whole.digest()


class Sketcher:
    """Makes MinHash signatures (Broder, Compression and Complexity of Sequences 1997)."""

    def __init__(self, permutations: int) -> None:
        self._empty = MinHash(permutations, seed=_SEED, hashfunc=int, scheme=_SCHEME)

    def __call__(self, shingles: Hashes) -> Signature:
        """The signature of a set of shingles, given as 64-bit hashes; the same on every machine."""
        sketch = self._empty.copy()
        sketch.update_batch(np.unique(shingles >> _HIGH_BITS).tolist())
        signature: Signature = sketch.hashvalues
        return signature


class Twin(NamedTuple):
    """What a signature is nearly the same as."""

    place: int
    similarity: float
    """Estimated Jaccard similarity, in 0..1."""


class Bands(NamedTuple):
    """How signatures are cut: two that agree in a band are compared."""

    bands: int
    rows: int


def bands_for(threshold: float, permutations: int) -> Bands:
    """The longest bands that still bring a pair at the threshold together with a chance of 0.99.

    A pair of similarity s agrees in one of b bands of r rows with a chance of 1 - (1 - s^r)^b (Leskovec,
    Rajaraman and Ullman, Mining of Massive Datasets, section 3.4).
    """
    for rows in range(permutations // 2, 1, -1):
        count = permutations // rows
        if 1 - (1 - threshold**rows) ** count >= _RECALL:
            return Bands(count, rows)
    return Bands(permutations, 1)


def near_twins(signatures: Sequence[Signature], config: NearDuplicates) -> Mapping[int, Twin]:
    """Find the signatures that are nearly the same as an earlier one that stays.

    Args:
        signatures: in order of precedence.
        config: threshold and number of permutations.

    Returns:
        Place in the sequence to the most similar earlier one that is no twin itself; the first of equals.
    """
    twins: dict[int, Twin] = {}
    sketches = [LeanMinHash(seed=_SEED, hashvalues=values, scheme=_SCHEME) for values in signatures]
    index = MinHashLSH(num_perm=config.permutations, params=bands_for(config.threshold, config.permutations))
    for place, sketch in enumerate(sketches):
        alike = (Twin(other, sketch.jaccard(sketches[other])) for other in sorted(index.query(sketch)))
        twin = max(alike, key=lambda twin: twin.similarity, default=None)
        if twin is not None and twin.similarity >= config.threshold:
            twins[place] = twin
        else:
            index.insert(place, sketch, check_duplication=False)
    return twins


def repeated_share(shingles: Hashes) -> float:
    """Share of word sequences that stood in the same text before, in 0..1; 0 for none."""
    return 1 - len(np.unique(shingles)) / len(shingles) if len(shingles) else 0.0
