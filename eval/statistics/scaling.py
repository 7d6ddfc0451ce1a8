"""Scaling: accuracy against the tokens it took, and length against difficulty. Pure.

The figures of arXiv 2501.06458, by their captions: figure 2, the weighted mean accuracy over three benchmarks
of each model under each strategy (`interval.weighted_accuracy`); figure 3, accuracy on MedQA "with
inference-time scaling" (`run_point`, `vote_points`); figure 4, the gain or loss of prompting for steps by model
size (`paired.paired` of vanilla and cot); figure 5, accuracy and mean output tokens on each benchmark by
strategy (`run_point` and `length_by_verdict` for each benchmark). The captions leave open how figure 3 counts
the tokens of a vote: here all samples of a vote count. The bands by length and by difficulty are not from the
paper; they test its statement that harder tasks need longer chains within a benchmark.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import fmean
from typing import Final, Literal, NamedTuple

import numpy as np

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Estimate, accuracy_of, mean_of
from ddxgraph.eval.statistics.vote import VoteCurve

Difficulty = Literal["easy", "middle", "hard"]
"""Under a third of the runs fail; a third to two thirds; more."""

_SLACK: Final = 1e-9


class Sample(NamedTuple):
    """One scored trace; an infrastructure error is not one."""

    case: str
    correct: bool
    tokens: int
    """Completion tokens of all its calls, repairs included."""


class ScalingPoint(NamedTuple):
    """A point on accuracy against length."""

    label: str
    tokens: float
    """Mean completion tokens of an answer to a case."""
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

    Args:
        label: of the point.
        samples: of the run.
        seed: of the interval.

    Returns:
        None for no sample.
    """
    cases = _by_case(samples)
    accuracy = accuracy_of([*map(_share, cases.values())], seed)
    if accuracy is None:
        return None
    return ScalingPoint(label, fmean(map(_length, cases.values())), accuracy)


def vote_points(label: str, curve: VoteCurve) -> list[ScalingPoint]:
    """A vote curve as points, on the same axes as single runs; those without a token count are left out."""
    return [
        ScalingPoint(f"{label}, vote@{point.k}", point.tokens, point.accuracy)
        for point in curve.points
        if point.tokens is not None
    ]


def length_by_verdict(samples: Iterable[Sample], seed: int = 0) -> Lengths | None:
    """Mean tokens of all samples, of the correct and of the incorrect ones.

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

    Args:
        samples: of the run.
        parts: bands.
        seed: of the intervals.

    Returns:
        The bands, shortest first. Cases of equal length share a band, so there may be fewer than `parts`, of
        different sizes.

    Raises:
        BadInput: `parts` is below 1.
    """
    if parts < 1:
        raise BadInput(f"cannot cut cases into {parts} bands; give 1 or more")
    cases = _by_case(samples)
    lengths = np.array([*map(_length, cases.values())])
    if not lengths.size:
        return []
    cuts = np.quantile(lengths, np.arange(1, parts) / parts)
    places = np.searchsorted(cuts, lengths, side="left")
    bands = []
    for place in range(parts):
        here = [rows for rows, its in zip(cases.values(), places, strict=True) if its == place]
        estimates = _tokens_and_accuracy(here, seed)
        if estimates is not None:
            own = lengths[places == place]
            bands.append(LengthBand(float(own.min()), float(own.max()), *estimates))
    return bands


def difficulty(runs: Sequence[Iterable[Sample]]) -> dict[str, float]:
    """How hard each case is: the mean over runs of the share of its samples that fail, in 0..1.

    Covers only cases that every run scored, in the order of their ids. Leave out the run that you compare with
    the
    result: its own failures would make its hard cases hard.
    """
    tables = [_by_case(run) for run in runs]
    common = set.intersection(*(set(table) for table in tables)) if tables else set()
    return {case: fmean(1 - _share(table[case]) for table in tables) for case in sorted(common)}


def by_difficulty(
    samples: Iterable[Sample], difficulties: Mapping[str, float], seed: int = 0
) -> list[DifficultyBand]:
    """Tokens and accuracy of one run on easy, middling and hard cases.

    Args:
        samples: of the run; cases without a difficulty are ignored.
        difficulties: case id to difficulty; see `difficulty`.
        seed: of the intervals.

    Returns:
        The bands that have a case, easiest first.
    """
    by_band: dict[Difficulty, list[Sequence[Sample]]] = {"easy": [], "middle": [], "hard": []}
    for case, rows in _by_case(samples).items():
        if case in difficulties:
            by_band[_difficulty(difficulties[case])].append(rows)
    estimated = ((name, _tokens_and_accuracy(rows, seed)) for name, rows in by_band.items())
    return [DifficultyBand(name, *estimates) for name, estimates in estimated if estimates]


def _difficulty(share: float) -> Difficulty:
    if share < 1 / 3 - _SLACK:
        return "easy"
    return "hard" if share > 2 / 3 + _SLACK else "middle"


def _by_case(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    by_case = attrgetter("case")
    return {case: list(rows) for case, rows in groupby(sorted(samples, key=by_case), key=by_case)}


def _tokens_and_accuracy(cases: Sequence[Sequence[Sample]], seed: int) -> tuple[Estimate, Estimate] | None:
    tokens, accuracy = mean_of([*map(_length, cases)], seed), accuracy_of([*map(_share, cases)], seed)
    return (tokens, accuracy) if tokens is not None and accuracy is not None else None


def _mean_length(samples: Iterable[Sample], seed: int) -> Estimate | None:
    return mean_of([*map(_length, _by_case(samples).values())], seed)


def _length(rows: Sequence[Sample]) -> float:
    return fmean(row.tokens for row in rows)


def _share(rows: Sequence[Sample]) -> float:
    return fmean(row.correct for row in rows)
