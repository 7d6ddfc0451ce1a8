"""Train and validation, by case: near-duplicate questions go to the same side, whatever order they come in."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from ddxgraph.training.gate.balance import rank_of
from ddxgraph.training.gate.config import Side, Split
from ddxgraph.training.gate.text import Hashes

_RANKS: Final = 1 << 64
_REACH: Final = 8


def question_groups(questions: Mapping[str, Hashes], containment: float) -> dict[str, str]:
    """Which cases ask nearly the same.

    Compared are pairs that stand near each other in the list of those cases that share an n-gram, so that the
    work grows with the number of n-grams and not with that of pairs; the containment of a pair is exact.

    Args:
        questions: case digest to the n-grams of vignette and question.
        containment: share of the shorter one's distinct n-grams from which on two are the same.

    Returns:
        Case digest to the smallest digest of its group.
    """
    digests = sorted(questions)
    distinct = [np.unique(questions[digest]) for digest in digests]
    parents = list(range(len(digests)))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for first, second in _neighbours(distinct):
        a, b = root(first), root(second)
        if a != b and _contained(distinct[first], distinct[second]) >= containment:
            parents[max(a, b)] = min(a, b)
    return {digest: digests[root(place)] for place, digest in enumerate(digests)}


def _neighbours(distinct: list[Hashes]) -> list[tuple[int, int]]:
    """Pairs of texts that stand at most `_REACH` places apart in the list of those that hold some n-gram."""
    if not distinct:
        return []
    held = np.concatenate(distinct)
    owners = np.repeat(np.arange(len(distinct)), [len(one) for one in distinct])
    order = np.argsort(held, kind="stable")  # owners stay in order
    held, owners = held[order], owners[order]
    pairs = np.empty(0, np.int64)
    for apart in range(1, _REACH + 1):
        same = np.flatnonzero(held[apart:] == held[:-apart])
        pairs = np.union1d(pairs, owners[same] * len(distinct) + owners[same + apart])
    return [divmod(int(pair), len(distinct)) for pair in pairs]


def _contained(one: Hashes, other: Hashes) -> float:
    return len(np.intersect1d(one, other, assume_unique=True)) / min(len(one), len(other))


def side_of(group: str, config: Split, seed: int) -> Side:
    """The side of a group of cases: from the seed and the group alone, so that it stays when cases are added."""
    if not config.enabled:
        return "train"
    return "validation" if rank_of(seed, f"split {group}") < config.validation_share * _RANKS else "train"
