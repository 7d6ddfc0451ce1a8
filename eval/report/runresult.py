"""The figures of a scored run: accuracy with what it rests on, cost, calibration, letters."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import fsum, isclose
from typing import Final

from ddxgraph.eval.benchmarks.registry import label_of
from ddxgraph.eval.report.figures import Accuracy, Cost, Judge, Letter, LetterUse, RunResult, Spread
from ddxgraph.eval.scoring.rule import Score, Verdict
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.calibration import Calibration, CoveragePoint, Forecast, calibrate
from ddxgraph.eval.statistics.interval import accuracy_of
from ddxgraph.eval.statistics.shuffle import letter_bias
from ddxgraph.eval.statistics.vote import chance, majority_class

COVERAGES: Final = tuple(n / 20 for n in range(1, 21))
"""Shares of the answers, most confident first, at which accuracy is reported."""
_DIGEST_CHARS: Final = 12


def run_result(run: ScoredRun, number: int, name: str, *, seed: int) -> RunResult:
    """The figures of a run.

    Args:
        run: the run.
        number: its place in the report, from 1.
        name: what the report calls it.
        seed: of the bootstrap.

    Returns:
        The figures.
    """
    settings, made = run.manifest.strategy, run.manifest.provenance
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
        model=made.model,
        adapter=made.adapter,
        adapter_sha256=made.adapter_sha256,
        engine=made.engine,
        strategy=settings.name,
        samples=run.manifest.samples,
        sampling={key: value for key, value in made.sampling.items() if value is not None},
        budget=settings.budget.model_dump(),
        prompt_set=made.prompt_set,
        code_version=made.code_version,
        size=run.size,
        traces=run.pairs,
        correct=counts[Verdict.CORRECT],
        incorrect=counts[Verdict.INCORRECT],
        unparsed=counts[Verdict.UNPARSED],
        abstained=counts[Verdict.ABSTAINED],
        cut=sum(score.cut for score in run.scores),
        unscored=dict(run.incomplete),
        accuracy=_accuracy(run, seed),
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
    """The cases of a run, such as `MedQA dev, 40 of 1,272` or `MedQA test`."""
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
    parts = []
    if selection.subset:
        parts.append(f"the group {selection.subset}")
    if selection.limit is not None and run.size < selection.size:
        parts.append(f"sampled with seed {selection.limit_seed}")
    if not parts:
        parts.append("all cases")
    if selection.free_form:
        parts.append("without options")
    elif selection.shuffle is None:
        parts.append("options as published")
    else:
        parts.append(f"options shuffled with seed {selection.shuffle}")
    return ", ".join(parts)


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


def shares(run: ScoredRun, *, unscored_right: bool = False) -> list[float]:
    """Share of each case's samples that are correct, in the order of the golds; absent cases are last."""
    samples = run.manifest.samples
    values = []
    for scores in run.by_case.values():
        verdicts = [score.correct for score in scores]
        right = sum(correct is True for correct in verdicts)
        unscored = samples - sum(correct is not None for correct in verdicts)
        values.append((right + unscored * unscored_right) / samples)
    return values + [float(unscored_right)] * run.absent


def _accuracy(run: ScoredRun, seed: int) -> Accuracy:
    low = accuracy_of(shares(run), seed=seed)
    high = accuracy_of(shares(run, unscored_right=True), seed=seed) if run.incomplete else low
    return Accuracy.between(low, high, incomplete=bool(run.incomplete))


def _cost(scores: Iterable[Score]) -> Cost | None:
    ended = [score for score in scores if score.correct is not None]
    if not ended:
        return None
    return Cost(
        traces=len(ended),
        output_tokens=Spread.of([score.completion_tokens for score in ended]),
        prompt_tokens=Spread.of([score.prompt_tokens for score in ended]),
        calls=Spread.of([score.calls for score in ended]),
        repairs=Spread.of([score.repairs for score in ended]),
        backtracks=Spread.of([score.backtracks for score in ended]),
        seconds=Spread.of([score.elapsed_s for score in ended]),
    )


def _calibration(run: ScoredRun) -> Calibration | None:
    answered = [score for score in run.scores if score.correct is not None and score.choice is not None]
    whole = calibrate([_forecast(score, tuple(run.options[score.case])) for score in answered])
    return whole and replace(whole, coverage=tuple(_at_coverages(whole.coverage)))


def _forecast(score: Score, letters: Sequence[str]) -> Forecast:
    """A score as a forecast. An invalid distribution counts as missing (strategies are third-party code)."""
    given = score.distribution
    whole = given.keys() <= set(letters) and min(given.values(), default=-1.0) >= 0
    known = given if whole and isclose(fsum(given.values()), 1, abs_tol=1e-6) else {}
    return Forecast(known, letters, score.answer or "", score.gold)


def _at_coverages(curve: Sequence[CoveragePoint]) -> list[CoveragePoint]:
    """The points at `COVERAGES`; answers of equal confidence go together, so one may lie above its mark."""
    kept: list[CoveragePoint] = []
    for wanted in COVERAGES:
        point = next((point for point in curve if point.coverage >= wanted - 1e-9), None)
        if point is not None and point not in kept[-1:]:
            kept.append(point)
    return kept


def _letters(run: ScoredRun) -> LetterUse | None:
    scored = [
        score
        for score in run.scores
        if score.correct is not None and run.options.get(score.case) and score.choice
    ]
    bias = letter_bias([score.answer for score in scored], [score.gold for score in scored])
    if bias is None:
        return None
    letters = (
        Letter(letter=letter, answered=share, gold=bias.gold[letter])
        for letter, share in bias.answered.items()
    )
    return LetterUse(traces=bias.n, letters=tuple(letters), distance=bias.distance)


def _judge(run: ScoredRun) -> Judge | None:
    if run.judged is None:
        return None
    counts = {field: getattr(run.judged, field) for field in Judge.model_fields if field != "digest"}
    return Judge(digest=run.judged.judge, **counts)
