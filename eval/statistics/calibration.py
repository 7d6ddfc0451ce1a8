"""Calibration: whether the probabilities that come with answers mean what they say. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ddxgraph.common.errors import BadInput
from ddxgraph.eval.statistics.interval import Values, as_values, wilson

BINS: Final = 10

Distribution = Mapping[str, float]
"""Letter to probability."""


class Confidence(NamedTuple):
    """The most probable option."""

    letter: str
    """The first in the alphabet among equals."""
    probability: float


class Forecast(NamedTuple):
    """One answered trace of a case with options."""

    distribution: Distribution
    """Empty where the engine gave none."""
    letters: Sequence[str]
    """Of all options, as shown."""
    answer: str
    gold: str


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecasts of about the same confidence: above `low`, up to and including `high` (the first bin holds 0)."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean confidence."""
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Wilson's interval, 95%, of the accuracy."""


@dataclass(frozen=True, slots=True)
class CoveragePoint:
    """Accuracy when only the most confident forecasts are used."""

    coverage: float
    """Share of the forecasts used, in 0..1."""
    accuracy: float
    """Share of those that are right."""
    threshold: float
    """The least confidence among those."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of the answered traces that have a distribution over the options.

    Confidence and correctness are those of the most probable option, which need not be the stated answer (see
    `differing`), so `accuracy` may differ from the run's.
    """

    traces: int
    """Forecasts with a distribution; all figures rest on these."""
    without: int
    """Answered traces without a distribution over the options."""
    differing: int
    """Traces whose stated answer is not the most probable option, as sampling at a temperature allows."""
    confidence: float
    """Mean probability of the most probable option."""
    accuracy: float
    """Share in which the most probable option is the gold one."""
    ece: float
    """Expected calibration error, in 0..1."""
    brier: float
    """Brier score over all options, in 0..2; 0 is best."""
    bins: tuple[Bin, ...]
    coverage: tuple[CoveragePoint, ...]
    coverage_area: float
    """Mean accuracy over all coverages, in 0..1."""


def calibrate(forecasts: Sequence[Forecast], bins: int = BINS) -> Calibration | None:
    """Calibration of answered traces.

    Every trace counts, also of a run with several samples a case. The intervals of the bins then look narrower
    than they are, since samples of a case are alike.

    Returns:
        None if no trace came with a distribution.

    Raises:
        BadInput: a distribution is invalid, or a gold answer is not among its letters.
    """
    known = [forecast for forecast in forecasts if forecast.distribution]
    if not known:
        return None
    tops = [confidence(forecast.distribution) for forecast in known]
    confidences = [top.probability for top in tops]
    correct = [top.letter == forecast.gold for top, forecast in zip(tops, known, strict=True)]
    curve = coverage_curve(confidences, correct)
    return Calibration(
        traces=len(known),
        without=len(forecasts) - len(known),
        differing=sum(top.letter != forecast.answer for top, forecast in zip(tops, known, strict=True)),
        confidence=math.fsum(confidences) / len(known),
        accuracy=sum(correct) / len(known),
        ece=ece(confidences, correct, bins),
        brier=math.fsum(brier_score(item.distribution, item.gold, item.letters) for item in known)
        / len(known),
        bins=tuple(reliability(confidences, correct, bins)),
        coverage=tuple(curve),
        coverage_area=coverage_area(curve),
    )


def confidence(distribution: Distribution) -> Confidence:
    """The most probable option of a distribution that is not empty."""
    letter, probability = min(distribution.items(), key=lambda item: (-item[1], item[0]))
    return Confidence(letter, probability)


def reliability(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> list[Bin]:
    """Bins of equal width over 0..1 that hold any forecast, by rising confidence.

    A bin is open below and closed above (Guo et al., ICML 2017, section 2).

    Args:
        confidences: probability of each forecast's most probable option.
        correct: whether that option is the gold one.
        bins: how many.

    Returns:
        The bins that are not empty.

    Raises:
        BadInput: the lengths differ, a confidence is outside 0..1, or `bins` is below 1.
    """
    sure, right = _checked(confidences, correct)
    if bins < 1:
        raise BadInput(f"cannot sort into {bins} bins; give 1 or more")
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], sure, side="left")
    filled = []
    for place in range(bins):
        here = places == place
        count, hits = int(here.sum()), int(right[here].sum())
        interval = wilson(hits, count)
        if interval is not None:
            low, high, mean = float(edges[place]), float(edges[place + 1]), float(sure[here].mean())
            filled.append(Bin(low, high, count, mean, hits / count, *interval))
    return filled


def ece(confidences: Sequence[float], correct: Sequence[bool], bins: int = BINS) -> float:
    """Expected calibration error: the bins' gaps between accuracy and mean confidence, weighted by count.

    Guo et al., ICML 2017, equation 3. With few forecasts it is above 0 even for a perfect forecaster.

    Args:
        confidences: see `reliability`.
        correct: see `reliability`.
        bins: how many.

    Returns:
        The error, in 0..1.

    Raises:
        BadInput: there is no forecast; or see `reliability`.
    """
    if not confidences:
        raise BadInput("no forecast: a calibration error needs at least one")
    parts = reliability(confidences, correct, bins)
    return math.fsum(part.count * abs(part.accuracy - part.confidence) for part in parts) / len(confidences)


def brier_score(distribution: Distribution, gold: str, letters: Sequence[str]) -> float:
    """The squared distance of a distribution from the truth, summed over the options.

    Brier's own definition (Mon Weather Rev 1950;78:1-3): 0 for certainty of the gold answer, 2 for certainty of
    another, 0.75 for an even spread over four options. With two options it is twice the figure that software for
    yes-or-no forecasts prints. An option missing from the distribution has probability 0.

    Args:
        distribution: letter to probability.
        gold: the gold letter.
        letters: the options.

    Returns:
        The score, in 0..2.

    Raises:
        BadInput: the distribution is invalid over the letters, or the gold answer is not among them.
    """
    if gold not in letters:
        raise BadInput(f"the gold answer {gold!r} is none of the options {', '.join(letters)}")
    total = math.fsum(distribution.values())
    if not distribution.keys() <= set(letters) or min(distribution.values(), default=-1) < 0:
        raise BadInput(f"{dict(distribution)} is no distribution over the options {', '.join(letters)}")
    if not math.isclose(total, 1, abs_tol=1e-6):
        raise BadInput(f"{dict(distribution)} sums to {total:.6g}, not to 1")
    return math.fsum((distribution.get(letter, 0.0) - (letter == gold)) ** 2 for letter in letters)


def coverage_curve(confidences: Sequence[float], correct: Sequence[bool]) -> list[CoveragePoint]:
    """Accuracy when only the most confident forecasts are used, by rising coverage.

    Forecasts of equal confidence are used together, so the curve does not depend on their order.

    Raises:
        BadInput: the lengths differ, or a confidence is outside 0..1.
    """
    sure, right = _checked(confidences, correct)
    thresholds, counts = np.unique(-sure, return_counts=True)
    used = np.cumsum(counts)
    hits = np.cumsum(right[np.argsort(-sure, kind="stable")])[used - 1] if sure.size else used
    return [
        CoveragePoint(float(n / sure.size), float(hit / n), float(-threshold))
        for n, hit, threshold in zip(used, hits, thresholds, strict=True)
    ]


def coverage_area(curve: Sequence[CoveragePoint]) -> float:
    """Area under accuracy at coverage, as steps; 1 minus the area under the risk-coverage curve.

    Geifman and El-Yaniv, NeurIPS 2017. If confidence says nothing, it tends to the plain accuracy.

    Raises:
        BadInput: the curve has no point.
    """
    if not curve:
        raise BadInput("no forecast: an area needs at least one")
    starts = [0.0, *(point.coverage for point in curve)]
    return math.fsum(
        (point.coverage - start) * point.accuracy for start, point in zip(starts, curve, strict=False)
    )


def _checked(confidences: Sequence[float], correct: Sequence[bool]) -> tuple[Values, NDArray[np.bool_]]:
    sure, right = as_values(confidences), np.asarray(correct, dtype=np.bool_)
    if sure.size != right.size:
        raise BadInput(f"{sure.size} confidences for {right.size} verdicts; give one each")
    if sure.size and (sure.min() < 0 or sure.max() > 1 + 1e-9):
        raise BadInput("a confidence is outside 0..1")
    return sure, right
