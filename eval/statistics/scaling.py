"""The scaling: accuracy against the tokens it took, and length against difficulty. Pure.

What arXiv 2501.06458 draws, by its captions: figure 2, the mean accuracy over three benchmarks, weighted, of each
model under each strategy (`interval.weighted_accuracy`); figure 3, accuracy on MedQA "with inference-time
scaling" (`run_point`, `vote_points`); figure 4, what prompting for steps brings or costs each model, against its
size (`paired.paired` of vanilla and cot); figure 5, accuracy and mean output tokens on each benchmark by
strategy (`run_point` and `length_by_verdict` a benchmark). The captions leave open how figure 3 counts the
tokens of a vote: here all samples of a vote count. The bands by length and by difficulty are this project's own,
for the paper's statement that harder tasks need longer chains, within a benchmark.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

import numpy as np

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Estimate, accuracy_of, mean_of
from ddxgraph.eval.statistics.vote import VoteCurve

Difficulty = Literal["easy", "middle", "hard"]
"""Under a third of the runs fail; a third to two thirds; more."""

_SLACK: Final = 1e-9


class Sample(NamedTuple):
    """One scored trace; infrastructure errors are none."""

    case: str
    correct: bool
    tokens: int
    """Completion tokens of all its calls, repairs included."""


class ScalingPoint(NamedTuple):
    """A point on accuracy against length."""

    label: str
    tokens: float
    """Mean completion tokens that an answer to a case cost."""
    accuracy: Estimate


class Lengths(NamedTuple):
    """Mean completion tokens of a sample, each with its interval over cases."""

    every: Estimate
    correct: Estimate | None
    """Of the correct samples, over the cases that have any."""
    incorrect: Estimate | None


class LengthBand(NamedTuple):
    """Cases of about the same length."""

    low: float
    high: float
    """Least and greatest mean tokens of a case in it."""
    tokens: Estimate
    accuracy: Estimate


class DifficultyBand(NamedTuple):
    """Cases of about the same difficulty."""

    difficulty: Difficulty
    tokens: Estimate
    accuracy: Estimate


def run_point(label: str, samples: Iterable[Sample], seed: int = 0) -> ScalingPoint | None:
    """One run as a point: tokens and accuracy of a single answer, each averaged in a case, then over cases.

    Returns:
        None for no sample.
    """
    cases = _by_case(samples)
    accuracy = accuracy_of([_share(rows) for rows in cases.values()], seed)
    if accuracy is None:
        return None
    return ScalingPoint(label, _mean(_length(rows) for rows in cases.values()), accuracy)


def vote_points(label: str, curve: VoteCurve) -> list[ScalingPoint]:
    """A vote curve as points, on the same axes as single runs; those without a token count are left out."""
    return [
        ScalingPoint(f"{label}, vote@{point.k}", point.tokens, point.accuracy)
        for point in curve.points
        if point.tokens is not None
    ]


def length_by_verdict(samples: Iterable[Sample], seed: int = 0) -> Lengths | None:
    """Mean tokens of a sample, and of the correct and the incorrect ones apart.

    Each is averaged in a case first, so that a case counts once however many samples it has.

    Returns:
        None for no sample.
    """
    rows = list(samples)
    every = _mean_length(rows, seed)
    if every is None:
        return None
    return Lengths(
        every,
        _mean_length([row for row in rows if row.correct], seed),
        _mean_length([row for row in rows if not row.correct], seed),
    )


def accuracy_by_length(samples: Iterable[Sample], parts: int = 3, seed: int = 0) -> list[LengthBand]:
    """Accuracy of the short, the middling and the long cases, cut at quantiles of a case's mean tokens.

    Cases of equal length share a band, so bands may differ in size, and be fewer than asked for.

    Raises:
        BadInput: `parts` is below 1.
    """
    if parts < 1:
        raise BadInput(f"cannot cut cases into {parts} bands; give 1 or more")
    cases = _by_case(samples)
    lengths = np.array([_length(rows) for rows in cases.values()])
    if not lengths.size:
        return []
    cuts = np.quantile(lengths, np.arange(1, parts) / parts)
    places = np.searchsorted(cuts, lengths, side="left")
    found = []
    for place in range(parts):
        here = [rows for rows, its in zip(cases.values(), places, strict=True) if its == place]
        own = [_length(rows) for rows in here]
        estimates = _tokens_and_accuracy(here, seed)
        if estimates is not None:
            found.append(LengthBand(min(own), max(own), *estimates))
    return found


def difficulty(runs: Sequence[Iterable[Sample]]) -> dict[str, float]:
    """How hard each case is: the mean over runs of the share of its samples that fail, in 0..1.

    Only of cases that every run scored, in the order of their ids. A run that is measured against the result
    should not be among the runs: its own failures would make its hard cases hard.
    """
    tables = [_by_case(run) for run in runs]
    common = set.intersection(*(set(table) for table in tables)) if tables else set()
    return {case: _mean(1 - _share(table[case]) for table in tables) for case in sorted(common)}


def by_difficulty(
    samples: Iterable[Sample], difficulties: Mapping[str, float], seed: int = 0
) -> list[DifficultyBand]:
    """Tokens and accuracy of one run on easy, middling and hard cases; bands without a case are left out.

    Args:
        samples: of the run; cases without a difficulty are passed over.
        difficulties: case id to difficulty; see `difficulty`.
        seed: of the intervals.
    """
    cases = _by_case(samples)
    names: tuple[Difficulty, ...] = ("easy", "middle", "hard")
    found = []
    for name in names:
        here = [
            rows
            for case, rows in cases.items()
            if case in difficulties and _difficulty(difficulties[case]) == name
        ]
        estimates = _tokens_and_accuracy(here, seed)
        if estimates is not None:
            found.append(DifficultyBand(name, *estimates))
    return found


def _difficulty(share: float) -> Difficulty:
    if share < 1 / 3 - _SLACK:
        return "easy"
    return "hard" if share > 2 / 3 + _SLACK else "middle"


def _by_case(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    def case(sample: Sample) -> str:
        return sample.case

    return {key: list(rows) for key, rows in groupby(sorted(samples, key=case), key=case)}


def _tokens_and_accuracy(cases: Sequence[Sequence[Sample]], seed: int) -> tuple[Estimate, Estimate] | None:
    tokens = mean_of([_length(rows) for rows in cases], seed)
    accuracy = accuracy_of([_share(rows) for rows in cases], seed)
    return (tokens, accuracy) if tokens is not None and accuracy is not None else None


def _mean_length(samples: Iterable[Sample], seed: int) -> Estimate | None:
    return mean_of([_length(rows) for rows in _by_case(samples).values()], seed)


def _length(rows: Sequence[Sample]) -> float:
    return _mean(row.tokens for row in rows)


def _share(rows: Sequence[Sample]) -> float:
    return _mean(row.correct for row in rows)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)
