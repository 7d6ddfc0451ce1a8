"""One scored run in figures: accuracy with what it rests on, cost, calibration, letters."""

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, isclose
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from ddxgraph.eval.benchmarks.registry import label_of
from ddxgraph.eval.scoring.rule import Score, Verdict
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.baseline import chance, majority_class
from ddxgraph.eval.statistics.calibration import CoveragePoint, Forecast, calibrate
from ddxgraph.eval.statistics.interval import accuracy_of
from ddxgraph.eval.statistics.shuffle import letter_bias

FROZEN: Final = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
COVERAGES: Final = tuple(n / 20 for n in range(1, 21))
"""Shares of the answers, most confident first, at which accuracy is reported."""
_DIGEST_CHARS: Final = 12


class Accuracy(BaseModel):
    """A share of correct answers; all figures in 0..1.

    The denominator is always the number of cases. Where something is unscored, the true figure lies within
    `bounds`, `value` is their lower end, and the interval runs from the low end of the lower bound's to the high
    end of the upper bound's.
    """

    model_config = FROZEN

    value: float
    low: float
    high: float
    """95% interval."""
    n: int
    """Cases."""
    method: str
    """How the interval was computed."""
    bounds: tuple[float, float] | None = None
    """Were all that is unscored wrong, and were it all right; None where nothing is unscored."""


class Spread(BaseModel):
    """A quantity over the traces of a run."""

    model_config = FROZEN

    mean: float
    median: float
    p90: float
    """90th percentile."""
    total: float


class Cost(BaseModel):
    """What the traces that ended cost, each with all its nodes, retries and repairs."""

    model_config = FROZEN

    traces: int
    output_tokens: Spread
    prompt_tokens: Spread
    calls: Spread
    repairs: Spread
    backtracks: Spread
    seconds: Spread
    """Wall time of a traversal."""


class ReliabilityBin(BaseModel):
    """The traces whose confidence lies between two limits."""

    model_config = FROZEN

    low: float
    high: float
    count: int
    confidence: float
    """Their mean confidence."""
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """95% interval."""


class Coverage(BaseModel):
    """Accuracy where only the most confident answers are used."""

    model_config = FROZEN

    coverage: float
    """Share of the traces used."""
    accuracy: float
    threshold: float
    """The least confidence among those."""


class CalibrationResult(BaseModel):
    """Whether the probability of the most probable option is the share in which it is right.

    Over the answered traces that have a distribution over the options; the most probable option need not be the
    stated answer (see `differing`), so `accuracy` may be another than the run's.
    """

    model_config = FROZEN

    traces: int
    without: int
    """Answered traces without a distribution over the options."""
    differing: int
    """Traces whose stated answer is not the most probable option."""
    confidence: float
    """Mean probability of the most probable option."""
    accuracy: float
    """Share in which it is the gold one."""
    ece: float
    """Expected calibration error, 10 bins of equal width."""
    brier: float
    """Over all options, 0 (best) to 2."""
    bins: tuple[ReliabilityBin, ...]
    coverage: tuple[Coverage, ...]
    coverage_area: float
    """Mean accuracy over all coverages."""


class Letter(BaseModel):
    """How often an option was answered, and how often it was right, of the answered traces."""

    model_config = FROZEN

    letter: str
    answered: float
    gold: float


class LetterUse(BaseModel):
    """Whether some letters are answered more often than they are right."""

    model_config = FROZEN

    traces: int
    letters: tuple[Letter, ...]
    distance: float
    """Total variation distance of the two distributions, in 0..1."""


class Judge(BaseModel):
    """What a judge's word did; its tokens are no part of the run's."""

    model_config = FROZEN

    model: str
    digest: str
    prompt_hash: str
    matched: int
    """Correct by the normalised match, which is not overruled."""
    judged: int
    """Settled by the judge."""
    judge_only: int
    """Of these, found equivalent although the match does not."""
    match_only: int
    """Correct by the match, although the judge was asked and does not find them equivalent."""
    calls: int
    prompt_tokens: int
    completion_tokens: int


class RunResult(BaseModel):
    """A run in figures."""

    model_config = FROZEN

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
    """Of the traces: no answer could be read from the reply; counts as not correct."""
    abstained: int
    """Counts as not correct."""
    unscored: Mapping[str, int]
    """Reason to traces: errors of the infrastructure, by kind, and `missing`."""
    accuracy: Accuracy
    loose: float | None
    """Accuracy by the looser rule of published code (see `looserule`), for comparison only: unscored counts as
    not correct. None for free-form answers."""
    majority_letter: str | None
    majority: float | None
    """Accuracy of always answering the most frequent gold letter of these items."""
    chance: float | None
    """Accuracy of a guess among the options."""
    cost: Cost | None
    """None where no trace ended."""
    calibration: CalibrationResult | None
    """None where no trace has a distribution over its options."""
    letters: LetterUse | None
    """None for free-form answers, and where nothing was answered."""
    judge: Judge | None
    """Where a judge model's word was taken on free-form answers."""
    lost_tokens: int
    """Output tokens of attempts that failed; in no mean."""

    @property
    def incomplete(self) -> bool:
        """Whether something is unscored."""
        return bool(self.unscored)

    @property
    def unscored_traces(self) -> int:
        """Traces that are neither right nor wrong."""
        return sum(self.unscored.values())


def run_result(run: ScoredRun, number: int, name: str, *, seed: int) -> RunResult:
    """The figures of a run; `seed` is of the bootstrap."""
    by_case = run.by_case
    settings, told = run.manifest.strategy, run.manifest.provenance
    selection = run.manifest.selection
    counts = run.counts
    letters = [gold.answer for gold in run.golds.values() if run.options.get(gold.case)]
    most = majority_class(letters) if len(letters) == len(run.golds) else None
    return RunResult(
        number=number,
        name=name,
        benchmark=selection.benchmark if selection else None,
        split=selection.split if selection else "",
        items=items_in_words(run),
        drawn=drawn_in_words(run),
        whole_test=is_whole_test(run),
        free_form=not letters,
        model=told.model,
        adapter=told.adapter,
        adapter_sha256=told.adapter_sha256,
        engine=told.engine,
        strategy=settings.name,
        samples=run.manifest.samples,
        sampling={key: value for key, value in told.sampling.items() if value is not None},
        budget=settings.budget.model_dump(),
        prompt_set=told.prompt_set,
        code_version=told.code_version,
        size=run.size,
        traces=run.pairs,
        correct=counts[Verdict.CORRECT],
        incorrect=counts[Verdict.INCORRECT],
        unparsed=counts[Verdict.UNPARSED],
        abstained=counts[Verdict.ABSTAINED],
        unscored=dict(run.incomplete),
        accuracy=_accuracy(run, by_case, seed),
        loose=run.loose_accuracy,
        majority_letter=most.letter if most else None,
        majority=most.accuracy if most else None,
        chance=chance([len(options) for options in run.options.values()]) if letters else None,
        cost=_cost(run.scores),
        calibration=_calibration(run),
        letters=_letters(run),
        judge=_judge(run),
        lost_tokens=run.lost.completion_tokens,
    )


def items_in_words(run: ScoredRun) -> str:
    """Which cases a run took, such as `MedQA dev, 40 of 1,272` or `MedQA test`."""
    size, selection = run.size, run.manifest.selection
    if selection is None:
        return f"case file {run.manifest.cases.sha256[:_DIGEST_CHARS]}, {size:,} cases"
    name = f"{label_of(selection.benchmark)} {selection.split}"
    if selection.five_options:
        name += ", five options"
    if selection.free_form:
        name += ", free-form"
    return name if size == selection.size else f"{name}, {size:,} of {selection.size:,}"


def drawn_in_words(run: ScoredRun) -> str:
    """How its cases were chosen and shown, such as `sampled with seed 0, options as published`."""
    selection = run.manifest.selection
    if selection is None:
        return "as the file has them"
    said = []
    if selection.subset:
        said.append(f"the group {selection.subset}")
    if selection.limit is not None and run.size < selection.size:
        said.append(f"sampled with seed {selection.limit_seed}")
    if not said:
        said.append("all cases")
    if selection.free_form:
        said.append("without options")
    elif selection.shuffle is None:
        said.append("options as published")
    else:
        said.append(f"options shuffled with seed {selection.shuffle}")
    return ", ".join(said)


def is_whole_test(run: ScoredRun) -> bool:
    """Whether a figure of the run may stand in the column of a benchmark's test split."""
    selection = run.manifest.selection
    return (
        selection is not None
        and selection.split == "test"
        and selection.subset is None
        and not selection.five_options
        and not selection.free_form
        and run.size == selection.size
    )


def shares(
    run: ScoredRun, by_case: Mapping[str, Sequence[Score]], *, unscored_right: bool = False
) -> list[float]:
    """Share of each case's samples that are correct, in the order of the golds; absent cases are last."""
    samples = run.manifest.samples
    values = []
    for case in run.golds:
        judged = [score.correct for score in by_case.get(case, ())]
        right = sum(correct is True for correct in judged)
        open_ = samples - sum(correct is not None for correct in judged)
        values.append((right + open_ * unscored_right) / samples)
    return values + [float(unscored_right)] * run.absent


def _accuracy(run: ScoredRun, by_case: Mapping[str, Sequence[Score]], seed: int) -> Accuracy:
    low = accuracy_of(shares(run, by_case), seed=seed)
    high = accuracy_of(shares(run, by_case, unscored_right=True), seed=seed) if run.incomplete else low
    assert low is not None  # noqa: S101 - a scored run has cases
    assert high is not None  # noqa: S101
    return Accuracy(
        value=low.value,
        low=low.interval.low,
        high=high.interval.high,
        n=low.n,
        method=low.method,
        bounds=(low.value, high.value) if run.incomplete else None,
    )


def _cost(scores: Iterable[Score]) -> Cost | None:
    ended = [score for score in scores if score.correct is not None]
    if not ended:
        return None
    return Cost(
        traces=len(ended),
        output_tokens=_spread([score.completion_tokens for score in ended]),
        prompt_tokens=_spread([score.prompt_tokens for score in ended]),
        calls=_spread([score.calls for score in ended]),
        repairs=_spread([score.repairs for score in ended]),
        backtracks=_spread([score.backtracks for score in ended]),
        seconds=_spread([score.elapsed_s for score in ended]),
    )


def _spread(values: Sequence[float]) -> Spread:
    numbers = np.asarray(values, dtype=np.float64)
    return Spread(
        mean=float(numbers.mean()),
        median=float(np.median(numbers)),
        p90=float(np.percentile(numbers, 90)),
        total=float(numbers.sum()),
    )


def _calibration(run: ScoredRun) -> CalibrationResult | None:
    answered = [score for score in run.scores if score.correct is not None and score.choice is not None]
    found = calibrate([_forecast(score, tuple(run.options[score.case])) for score in answered])
    if found is None:
        return None
    return CalibrationResult(
        traces=found.n,
        without=found.without,
        differing=found.differing,
        confidence=found.confidence,
        accuracy=found.accuracy,
        ece=found.ece,
        brier=found.brier,
        bins=tuple(
            ReliabilityBin(
                low=part.low,
                high=part.high,
                count=part.count,
                confidence=part.confidence,
                accuracy=part.accuracy,
                accuracy_low=part.interval.low,
                accuracy_high=part.interval.high,
            )
            for part in found.bins
        ),
        coverage=tuple(
            Coverage(coverage=point.coverage, accuracy=point.accuracy, threshold=point.threshold)
            for point in _at_coverages(found.coverage)
        ),
        coverage_area=found.coverage_area,
    )


def _forecast(score: Score, letters: Sequence[str]) -> Forecast:
    """A score as a forecast; what is no distribution over the options (a strategy is anybody's code) is none."""
    told = score.distribution
    whole = told.keys() <= set(letters) and min(told.values(), default=-1.0) >= 0
    known = told if whole and isclose(fsum(told.values()), 1, abs_tol=1e-6) else {}
    return Forecast(known, letters, score.answer or "", score.gold)


def _letters(run: ScoredRun) -> LetterUse | None:
    scored = [
        score
        for score in run.scores
        if score.correct is not None and run.options.get(score.case) and score.choice
    ]
    found = letter_bias([score.answer for score in scored], [score.gold for score in scored])
    if found is None:
        return None
    return LetterUse(
        traces=found.n,
        letters=tuple(
            Letter(letter=letter, answered=share, gold=found.gold[letter])
            for letter, share in found.answered.items()
        ),
        distance=found.distance,
    )


def _at_coverages(curve: Sequence[CoveragePoint]) -> list[CoveragePoint]:
    """The points at `COVERAGES`; answers of equal confidence go together, so one may lie above its mark."""
    points = sorted(curve, key=lambda point: point.coverage)
    found: list[CoveragePoint] = []
    for wanted in COVERAGES:
        point = next((point for point in points if point.coverage >= wanted - 1e-9), None)
        if point is not None and point not in found[-1:]:
            found.append(point)
    return found


def _judge(run: ScoredRun) -> Judge | None:
    told = run.judged
    if told is None:
        return None
    return Judge(
        model=told.model,
        digest=told.judge,
        prompt_hash=told.prompt_hash,
        matched=told.matched,
        judged=told.judged,
        judge_only=told.judge_only,
        match_only=told.match_only,
        calls=told.calls,
        prompt_tokens=told.prompt_tokens,
        completion_tokens=told.completion_tokens,
    )
