"""The figures of one run, as an evaluation stores them. Shares are in 0..1, intervals are 95%."""

from collections.abc import Mapping, Sequence
from typing import Final, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.eval.statistics.calibration import Calibration
from ddxgraph.eval.statistics.interval import Estimate

FROZEN: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figures(BaseModel):
    """Base of an evaluation's records: frozen, no unknown fields, finite numbers only."""

    model_config = FROZEN


class Accuracy(Figures):
    """A share of correct answers. The denominator is always the number of cases.

    If something is unscored, the true figure lies within `bounds`, `value` is their lower end, and the interval
    runs from the low end of the lower bound's to the high end of the upper bound's.
    """

    value: float
    low: float
    high: float
    n: int
    """Cases."""
    method: str
    """How the interval was computed."""
    bounds: tuple[float, float] | None = None
    """If all unscored pairs were wrong, and if all were right; None if nothing is unscored."""

    @classmethod
    def between(cls, low: Estimate | None, high: Estimate | None, *, incomplete: bool) -> Self:
        """The accuracy of cases some of which may be unscored.

        Args:
            low: with what is unscored counted as wrong.
            high: with what is unscored counted as right.
            incomplete: whether anything is unscored.

        Returns:
            The accuracy, with bounds if it is incomplete.
        """
        assert low is not None  # noqa: S101 - a scored run has cases
        assert high is not None  # noqa: S101
        return cls(
            value=low.value,
            low=low.interval.low,
            high=high.interval.high,
            n=low.n,
            method=low.method,
            bounds=(low.value, high.value) if incomplete else None,
        )


class Spread(Figures):
    """A quantity over the traces of a run."""

    mean: float
    median: float
    p90: float
    """90th percentile."""
    total: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The spread of some values, at least one."""
        numbers = np.asarray(values, dtype=np.float64)
        return cls(
            mean=float(numbers.mean()),
            median=float(np.median(numbers)),
            p90=float(np.percentile(numbers, 90)),
            total=float(numbers.sum()),
        )


class Cost(Figures):
    """Cost of the traces that ended, each with all its nodes, retries and repairs."""

    traces: int
    output_tokens: Spread
    prompt_tokens: Spread
    calls: Spread
    repairs: Spread
    backtracks: Spread
    seconds: Spread
    """Wall time of a traversal."""


class Letter(Figures):
    """How often an option was answered, and how often it was right, of the answered traces."""

    letter: str
    answered: float
    gold: float


class LetterUse(Figures):
    """Whether some letters are answered more often than they are right."""

    traces: int
    letters: tuple[Letter, ...]
    distance: float
    """Total variation distance of the two distributions, in 0..1."""


class Judge(Figures):
    """What a judge settled; its tokens are not the run's."""

    model: str
    digest: str
    prompt_hash: str
    matched: int
    """Correct by the normalised match, which is never overruled."""
    judged: int
    """Settled by the judge."""
    judge_only: int
    """Of these, found equivalent although the match does not."""
    match_only: int
    """Correct by the match, although the judge was asked and finds them different."""
    calls: int
    prompt_tokens: int
    completion_tokens: int


class RunResult(Figures):
    """A run in figures."""

    number: int
    """Its place in the report, from 1; stands beside its marks in the plots."""
    name: str
    benchmark: str | None
    """None for a case file."""
    split: str
    items: str
    """Which cases, in words, such as `MedQA dev, 40 of 1,272`."""
    drawn: str
    """How they were chosen and shown, in words."""
    whole_test: bool
    """Whether it is a benchmark's whole test split, with its four options."""
    free_form: bool
    model: str
    adapter: str | None
    adapter_sha256: str | None
    engine: str
    strategy: str
    samples: int
    sampling: Mapping[str, str | int | float | bool]
    budget: Mapping[str, int]
    prompt_set: str
    code_version: str
    size: int
    """Cases: the denominator."""
    traces: int
    """Cases times samples."""
    correct: int
    incorrect: int
    unparsed: int
    """Traces with no readable answer; they count as not correct."""
    abstained: int
    """Counts as not correct."""
    cut: int = Field(default=0, exclude_if=lambda traces: not traces)
    """Traces in which the server cut a prompt without a word, whatever their answer."""
    unscored: Mapping[str, int]
    """Reason to traces: infrastructure errors by kind, `missing`, `absent`."""
    accuracy: Accuracy
    loose: float | None
    """Accuracy by the looser rule (see `scoring.rule`), for comparison only: unscored counts as not correct. None
    for free-form answers."""
    majority_letter: str | None
    majority: float | None
    """Accuracy of always answering the most frequent gold letter of these items."""
    chance: float | None
    """Accuracy of a guess among the options."""
    cost: Cost | None
    """None if no trace ended."""
    calibration: Calibration | None
    """None if no trace has a distribution over its options."""
    letters: LetterUse | None
    """None for free-form answers, and if nothing was answered."""
    judge: Judge | None
    """The judge model that settled free-form answers, if any."""
    lost_tokens: int
    """Output tokens of failed attempts; in no mean."""

    @property
    def incomplete(self) -> bool:
        """Whether something is unscored."""
        return bool(self.unscored)

    @property
    def unscored_traces(self) -> int:
        """Traces that are neither right nor wrong."""
        return sum(self.unscored.values())
