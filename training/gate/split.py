"""Train and validation, by case: near-duplicate questions go to the same side, in whatever order they come."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ddxgraph.training.gate.config import Side, Split
from ddxgraph.training.gate.selection import rank_of
from ddxgraph.training.gate.text import Hashes

_RANKS: Final = 1 << 64
_REACH: Final = 8


def question_groups(questions: Mapping[str, Hashes], containment: float) -> dict[str, str]:
    """Group the cases that ask nearly the same.

    Only pairs that stand near each other in the list of cases that hold some n-gram are compared, so that the
    work grows with the number of n-grams and not with that of pairs. The containment of a pair is exact.

    Args:
        questions: case digest to the n-grams of vignette and question.
        containment: share of the shorter question's distinct n-grams from which on two count as the same.

    Returns:
        Case digest to the smallest digest of its group.
    """
    digests = sorted(questions)
    distinct = [np.unique(questions[digest]) for digest in digests]
    same = [pair for pair in _neighbours(distinct) if _contained(*(distinct[i] for i in pair)) >= containment]
    edges = np.array(same, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(same)), edges), shape=(len(digests), len(digests)))
    _, labels = connected_components(graph, directed=False)
    firsts = np.unique(labels, return_index=True)[1]
    return {digest: digests[firsts[label]] for digest, label in zip(digests, labels, strict=True)}


def _neighbours(distinct: list[Hashes]) -> list[tuple[int, int]]:
    """Pairs of texts that stand at most `_REACH` places apart in the list of those that hold some n-gram."""
    if not distinct:
        return []
    held = np.concatenate(distinct)
    owners = np.repeat(np.arange(len(distinct)), [len(ngrams) for ngrams in distinct])
    order = np.argsort(held, kind="stable")  # owners stay in order
    held, owners = held[order], owners[order]
    pairs = np.empty(0, np.int64)
    for apart in range(1, _REACH + 1):
        same = np.flatnonzero(held[apart:] == held[:-apart])
        pairs = np.union1d(pairs, owners[same] * len(distinct) + owners[same + apart])
    return [divmod(int(pair), len(distinct)) for pair in pairs]


def _contained(first: Hashes, second: Hashes) -> float:
    return len(np.intersect1d(first, second, assume_unique=True)) / min(len(first), len(second))


def side_of(group: str, config: Split, seed: int) -> Side:
    """The side of a group of cases.

    It follows from the seed and the group alone, so that it stays when cases are added.

    Args:
        group: as `question_groups` names it.
        config: the share of the validation side.
        seed: of the draw.

    Returns:
        The side.
    """
    if not config.enabled:
        return "train"
    return "validation" if rank_of(seed, f"split {group}") < config.validation_share * _RANKS else "train"
