"""What an accuracy is held against: plurality votes over a run's samples, and answering without reading. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
    """Completion tokens of a vote: k times the mean of a sample, averaged over cases."""


class VoteCurve(NamedTuple):
    """Accuracy against the number of votes; every point rests on the same cases."""

    points: Sequence[VotePoint]
    samples: int
    """Fewest scored samples of any case that has one: the largest possible k."""
    unscored: int
    """Cases without a scored sample; they are in no point."""


class _Ballot(NamedTuple):
    """The samples of a case by count, without the answers themselves; equal ballots have equal results."""

    gold: int
    others: tuple[int, ...]
    silent: int


def vote_at_k(answers: Sequence[Answer], gold: str, k: int) -> float:
    """The chance that plurality over k of these samples gives the gold answer.

    The exact expectation over all subsets of k samples, drawn without replacement. A sample without an answer
    casts no vote. An m-way tie for the lead counts 1/m if the gold answer is in it; no votes at all count 0. At k
    = 1 this is the share of samples that are right.

    Args:
        answers: one a scored sample of the case.
        gold: the gold answer, spelt like an answer.
        k: votes, 1 to the number of samples.

    Returns:
        The chance, in 0..1.

    Raises:
        BadInput: there are fewer than k samples, or more than `MOST_SAMPLES`.
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

    A case with unscored samples (infrastructure errors) has fewer samples. A k above the fewest samples of any
    case is left out, rather than averaged over the cases that happen to have enough. Cases without a scored
    sample are left out of all points, and counted.

    Args:
        cases: the answers of each case's scored samples, and its gold answer.
        ks: votes; see `sizes` for the usual ones.
        tokens: completion tokens of the same samples.
        seed: of the intervals.

    Returns:
        The points by rising k.

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
        raise BadInput(f"a case has {len(answers)} samples; give at most {MOST_SAMPLES}")
    counts = Counter(answer for answer in answers if answer is not None)
    right = counts.pop(gold, 0)
    return _Ballot(right, tuple(sorted(counts.values())), len(answers) - right - counts.total())


def _expectations(ballot: _Ballot) -> Values:
    """The chance that gold wins at every k, by index (index 0 is unused).

    For each number of votes j that gold may get, the ways to choose the other votes are counted by how many there
    are and by how many answers tie with gold at j: one factor C(count, x) an answer, x of at most j votes, as in
    a product of generating functions. All terms are positive, so nothing cancels.
    """
    gold, others, silent = ballot
    total = gold + sum(others) + silent
    # ways[t, j - 1, s]: to choose s samples that are not gold, none with over j votes and t answers with j
    ways = np.zeros((len(others) + 1, gold, total + 1))
    ways[0, :, 0] = 1
    for count in others:
        ways = _with_answer(ways, count)
    shared = np.tensordot(1 / np.arange(1, len(others) + 2), ways, axes=1)
    filled = shared.copy()  # samples without an answer fill a subset up, without limit
    for count in range(1, silent + 1):
        filled += float(math.comb(silent, count)) * _shifted(shared, count)
    wins = np.zeros(total + 1)
    for votes in range(1, gold + 1):
        wins[votes:] += float(math.comb(gold, votes)) * filled[votes - 1, : total + 1 - votes]
    subsets = np.array([float(math.comb(total, k)) for k in range(total + 1)])
    share: Values = np.minimum(wins / subsets, 1.0)
    return share


def _with_answer(ways: Values, count: int) -> Values:
    """The ways after adding an answer that `count` samples gave."""
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


@dataclass(frozen=True, slots=True)
class Baseline:
    """Always giving the same answer."""

    letter: str
    """The most frequent gold letter; the first in the alphabet where several are."""
    count: int
    """Cases that it is right on."""
    accuracy: float
    """In 0..1."""


def majority_class(golds: Sequence[str]) -> Baseline | None:
    """The accuracy of always choosing the most frequent gold letter of these cases.

    It knows the answer key; a run must beat it to show anything. Pass no free-form golds: where texts seldom
    repeat, the figure means nothing.

    Returns:
        None for no cases.
    """
    if not golds:
        return None
    letter, count = min(Counter(golds).items(), key=lambda item: (-item[1], item[0]))
    return Baseline(letter, count, count / len(golds))


def chance(n_options: Sequence[int]) -> float | None:
    """The expected accuracy of choosing an option at random: the mean of 1 / options over cases.

    Returns:
        None for no cases, and where one has no options (free-form).
    """
    if not n_options or min(n_options) < 1:
        return None
    return sum(1 / count for count in n_options) / len(n_options)
