"""The vote: what plurality over k samples would have answered, from samples drawn once. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Estimate, Values, accuracy_of

MOST_SAMPLES: Final = 1000
"""Samples of a case at most: with more, the number of subsets outgrows a float."""

Answer = str | None
"""A letter, or normalised text; None where a sample has no answer (unparsed or abstained)."""


class VotePoint(NamedTuple):
    """Plurality over k samples of every case."""

    k: int
    accuracy: Estimate
    """The expectation over all subsets of k samples, averaged over cases."""
    tokens: float | None
    """Completion tokens that a vote costs: k times the mean of a sample, averaged over cases."""


class VoteCurve(NamedTuple):
    """Accuracy against the number of votes; every point rests on the same cases."""

    points: Sequence[VotePoint]
    samples: int
    """Scored samples of the case that has fewest, of those that have any: the largest k there can be."""
    unscored: int
    """Cases without one scored sample; they are in no point."""


class _Ballot(NamedTuple):
    """The samples of a case, without what the answers were: cases alike in it share a result."""

    gold: int
    others: tuple[int, ...]
    silent: int


def vote_at_k(answers: Sequence[Answer], gold: str, k: int) -> float:
    """The chance that plurality over k of these samples gives the gold answer.

    The exact expectation over all subsets of k samples, drawn without replacement. A sample without an
    answer casts no vote. An m-way tie for the lead counts 1/m if the gold answer is in it; no votes at all
    count 0. At k = 1 this is the share of samples that are right.

    Args:
        answers: one a scored sample of the case.
        gold: the gold answer, spelt as an answer is.
        k: votes, 1 to the number of samples.

    Raises:
        BadInput: there are not so many samples, or more than `MOST_SAMPLES`.
    """
    if not 1 <= k <= len(answers):
        raise BadInput(f"cannot vote over {k} of {len(answers)} samples; give 1 <= k <= samples")
    return float(_expectations(_ballot(answers, gold))[k])


def vote_curve(
    cases: Sequence[tuple[Sequence[Answer], str]],
    ks: Sequence[int],
    tokens: Sequence[Sequence[float]] | None = None,
    seed: int = 0,
) -> VoteCurve:
    """Accuracy of plurality voting at each k, and what it costs.

    Where a sample of a case is unscored (an infrastructure error), the case has fewer samples. A k above
    the fewest samples of any case is left out rather than averaged over the cases that happen to have
    enough. Cases without one scored sample are left out of all points, and counted.

    Args:
        cases: the answers of each case's scored samples, and its gold answer.
        ks: votes; see `sizes` for the usual ones.
        tokens: completion tokens of the same samples.
        seed: of the intervals.

    Raises:
        BadInput: a k is below 1, or `tokens` has another shape than the answers.
    """
    if any(k < 1 for k in ks):
        raise BadInput("cannot vote over fewer than 1 sample; give k of 1 or more")
    if tokens is not None and [len(row) for row in tokens] != [len(answers) for answers, _ in cases]:
        raise BadInput("the token counts do not match the answers; give one a sample of every case")
    ballots = [_ballot(answers, gold) for answers, gold in cases if answers]
    fewest = min((ballot.gold + sum(ballot.others) + ballot.silent for ballot in ballots), default=0)
    table = {ballot: _expectations(ballot) for ballot in set(ballots)}
    cost = _mean_of_means(tokens) if tokens is not None else None
    points = []
    for k in sorted({k for k in ks if k <= fewest}):
        accuracy = accuracy_of([float(table[ballot][k]) for ballot in ballots], seed)
        if accuracy is not None:
            points.append(VotePoint(k, accuracy, None if cost is None else k * cost))
    return VoteCurve(points, fewest, len(cases) - len(ballots))


def sizes(samples: int) -> list[int]:
    """The usual numbers of votes: 1, 2, 4, ... and all samples."""
    return sorted({2**power for power in range(samples.bit_length())} | {samples}) if samples else []


def _mean_of_means(rows: Sequence[Sequence[float]]) -> float | None:
    means = [sum(row) / len(row) for row in rows if row]
    return sum(means) / len(means) if means else None


def _ballot(answers: Sequence[Answer], gold: str) -> _Ballot:
    if len(answers) > MOST_SAMPLES:
        raise BadInput(f"{len(answers)} samples of one case; votes are counted up to {MOST_SAMPLES}")
    counts = Counter(answer for answer in answers if answer is not None)
    right = counts.pop(gold, 0)
    return _Ballot(right, tuple(sorted(counts.values())), len(answers) - right - counts.total())


def _expectations(ballot: _Ballot) -> Values:
    """The chance that gold wins at every k, by index (index 0 is unused).

    For each number of votes j that gold may get, the ways to choose the other votes are counted by how many
    there are and by how many answers tie with gold at j: one factor C(count, x) an answer, x of at most j
    votes, as in a product of generating functions. All terms are positive, so nothing cancels.
    """
    gold, others, silent = ballot
    total = gold + sum(others) + silent
    # ways[t, j - 1, s]: to choose s samples that are not gold, none with over j votes and t answers with j
    ways = np.zeros((len(others) + 1, gold, total + 1))
    ways[0, :, 0] = 1
    for count in others:
        ways = _with_answer(ways, count)
    shared = np.tensordot(1 / np.arange(1, len(others) + 2), ways, axes=1)
    filled = shared.copy()  # abstaining samples fill a subset up, and are bound by nothing
    for count in range(1, silent + 1):
        filled += float(math.comb(silent, count)) * _shifted(shared, count)
    wins = np.zeros(total + 1)
    for votes in range(1, gold + 1):
        wins[votes:] += float(math.comb(gold, votes)) * filled[votes - 1, : total + 1 - votes]
    subsets = np.array([float(math.comb(total, k)) for k in range(total + 1)])
    share: Values = np.minimum(wins / subsets, 1.0)
    return share


def _with_answer(ways: Values, count: int) -> Values:
    """The ways after one more answer that `count` samples gave has got its votes."""
    after = ways.copy()  # no vote for it
    for votes in range(1, min(count, ways.shape[1]) + 1):
        chosen = float(math.comb(count, votes)) * _shifted(ways, votes)
        after[:, votes:] += chosen[:, votes:]  # gold has more
        after[1:, votes - 1] += chosen[:-1, votes - 1]  # gold has as many
    return after


def _shifted(ways: Values, by: int) -> Values:
    moved = np.zeros_like(ways)
    moved[..., by:] = ways[..., : ways.shape[-1] - by]
    return moved
