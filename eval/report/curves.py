"""Curves: accuracy against tokens, by votes and by budgets; and accuracy by length and difficulty of the
cases."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, Self

from ddxgraph.eval.report.comparison import ReportedRun, families
from ddxgraph.eval.report.figures import Accuracy, Figures, RunResult
from ddxgraph.eval.report.table import budget_in_words
from ddxgraph.eval.scoring.rule import Score, normalised
from ddxgraph.eval.statistics.interval import Estimate
from ddxgraph.eval.statistics.scaling import (
    Sample,
    accuracy_by_length,
    by_difficulty,
    length_by_verdict,
    run_point,
    vote_points,
)
from ddxgraph.eval.statistics.scaling import difficulty as difficulty_of_cases
from ddxgraph.eval.statistics.vote import sizes, vote_curve

LENGTH_BANDS: Final = 5
"""Bands of about equal size into which a run's cases are sorted by length."""
_FEWEST_A_BAND: Final = 5
"""Cases a band below which bands say nothing."""


class CurvePoint(Figures):
    """An accuracy and its cost."""

    label: str
    """Such as `pilot, vote@4`."""
    tokens: float
    """Mean output tokens a case, over all samples used."""
    accuracy: float
    low: float
    high: float
    """95% interval."""
    incomplete: bool = False


class Curve(Figures):
    """Points that belong together: a run with growing votes, or one strategy with growing budgets."""

    label: str
    kind: Literal["vote", "budget", "single"]
    runs: tuple[int, ...]
    """Numbers of the runs that it comes from."""
    points: tuple[CurvePoint, ...]
    """By growing cost."""


class Band(Figures):
    """Cases of a run that are about equally long, or equally hard."""

    label: str
    """`easy`, `middle` or `hard`, or the range of tokens."""
    cases: int
    tokens: float
    """Mean output tokens of a trace."""
    accuracy: float
    low: float
    high: float
    """95% interval of the accuracy."""

    @classmethod
    def of(cls, label: str, tokens: Estimate, accuracy: Estimate) -> Self:
        """A band from its estimates.

        Args:
            label: of the band.
            tokens: of its cases.
            accuracy: of its cases.

        Returns:
            The band.
        """
        low, high = accuracy.interval
        return cls(
            label=label, cases=accuracy.n, tokens=tokens.value, accuracy=accuracy.value, low=low, high=high
        )


class LengthProfile(Figures):
    """How long a run's traces are, and whether the long ones are the hard ones; over what is scored."""

    run: int
    name: str
    tokens: float
    """Mean output tokens of a trace."""
    tokens_correct: float | None
    """Of the correct ones; None if there are none."""
    tokens_incorrect: float | None
    by_length: tuple[Band, ...]
    """Empty with too few cases."""
    by_difficulty: tuple[Band, ...]
    """By the share of the report's other runs on the same cases that fail; empty without another run."""


class CurveSet(Figures):
    """The curves of the runs on one set of cases."""

    items: str
    scaling: tuple[Curve, ...]
    lengths: tuple[LengthProfile, ...]
    notes: tuple[str, ...]
    """What is not drawn or drawn in part, and why."""


class DifficultyPoint(Figures):
    """A configuration on one benchmark."""

    run: int
    items: str
    tokens: float
    """Mean output tokens of a trace."""
    accuracy: Accuracy


class DifficultyLine(Figures):
    """One configuration on several benchmarks: do harder ones take longer chains?"""

    label: str
    points: tuple[DifficultyPoint, ...]
    """Hardest first."""


def curves(runs: Sequence[ReportedRun], seed: int = 0) -> tuple[CurveSet, ...]:
    """Curves of all runs, one set for each group of cases."""
    groups: dict[str, list[ReportedRun]] = {}
    for run in runs:
        groups.setdefault(run.items, []).append(run)
    return tuple(_curve_set(items, group, seed) for items, group in groups.items())


def difficulty(runs: Sequence[ReportedRun]) -> tuple[DifficultyLine, ...]:
    """Configurations that were run on several benchmarks."""
    lines = []
    for family in families(runs, but_for=["selection"]):
        results = [run.result for run in family if run.result.cost]
        if len({result.benchmark for result in results}) > 1:
            lines.append(_line(results))
    return tuple(lines)


def _line(runs: Sequence[RunResult]) -> DifficultyLine:
    ranked = sorted(runs, key=lambda run: run.accuracy.value)
    points = (
        DifficultyPoint(
            run=run.number, items=run.items, tokens=cost.output_tokens.mean, accuracy=run.accuracy
        )
        for run in ranked
        if (cost := run.cost)
    )
    return DifficultyLine(label=f"{runs[0].model}, {runs[0].strategy}", points=tuple(points))


def _curve_set(items: str, group: Sequence[ReportedRun], seed: int) -> CurveSet:
    notes: list[str] = []
    samples = [_samples(run) for run in group]
    singles = [_single(run.result, own, seed) for run, own in zip(group, samples, strict=True)]
    scored = [(run, point) for run, point in zip(group, singles, strict=True) if point]
    drawn = [*_votes(group, seed, notes), *_budgets(scored)]
    shown = {number for curve in drawn for number in curve.runs}
    drawn += [
        Curve(label=run.name, kind="single", runs=(run.result.number,), points=(point,))
        for run, point in scored
        if run.result.number not in shown
    ]
    return CurveSet(
        items=items,
        scaling=tuple(sorted(drawn, key=lambda curve: curve.runs)),
        lengths=tuple(_lengths(group, samples, seed)),
        notes=tuple(notes),
    )


def _samples(run: ReportedRun) -> list[Sample]:
    return [
        Sample(score.case, score.correct, score.completion_tokens)
        for score in run.run.scores
        if score.correct is not None
    ]


def _single(run: RunResult, samples: Sequence[Sample], seed: int) -> CurvePoint | None:
    point, accuracy = run_point(run.name, samples, seed), run.accuracy
    if point is None:
        return None
    return CurvePoint(
        label=point.label,
        tokens=point.tokens,
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        incomplete=run.incomplete,
    )


def _votes(group: Sequence[ReportedRun], seed: int, notes: list[str]) -> Iterator[Curve]:
    for run in group:
        if run.result.samples == 1:
            continue
        if run.result.judge is not None:
            notes.append(
                f"{run.name}: no votes, since a judge calls texts equal that a vote would tell apart"
            )
            continue
        curve = _vote(run, seed, notes)
        if curve.points:
            yield curve


def _vote(reported: ReportedRun, seed: int, notes: list[str]) -> Curve:
    run, result, name = reported.run, reported.result, reported.name
    scores = {
        case: [score for score in its if score.correct is not None] for case, its in run.by_case.items()
    }
    counted = vote_curve(
        [_ballot(its, run.golds[case].answer, bool(run.options[case])) for case, its in scores.items()],
        sizes(result.samples),
        tokens=[[float(score.completion_tokens) for score in its] for its in scores.values()],
        seed=seed,
    )
    if result.incomplete:
        notes.append(
            f"{name}: {result.unscored_traces:,} of {result.traces:,} samples are unscored, so its votes "
            f"are over at most {counted.samples} samples of a case, leave out {counted.unscored + run.absent} "
            "cases without a scored sample, and are marked incomplete"
        )
    points = (
        CurvePoint(
            label=point.label,
            tokens=point.tokens,
            accuracy=point.accuracy.value,
            low=point.accuracy.interval.low,
            high=point.accuracy.interval.high,
            incomplete=result.incomplete,
        )
        for point in vote_points(name, counted)
    )
    return Curve(label=name, kind="vote", runs=(result.number,), points=tuple(points))


def _ballot(scores: Sequence[Score], gold: str, lettered: bool) -> tuple[list[str | None], str]:
    """The votes on a case and its gold answer: letters, or normalised texts. What is no option casts no vote."""
    if lettered:
        return [score.answer if score.choice is not None else None for score in scores], gold
    return [score.choice for score in scores], normalised(gold)


def _budgets(scored: Sequence[tuple[ReportedRun, CurvePoint]]) -> Iterator[Curve]:
    points = {run.name: point for run, point in scored}
    for family in families([run for run, _ in scored], but_for=("strategy.budget.", "samples")):
        members = sorted(family, key=lambda run: points[run.name].tokens)
        if len({run.run.manifest.strategy.budget for run in members}) == 1:
            continue
        labelled = (
            points[run.name].model_copy(update={"label": f"{run.name}: {budget_in_words(run.result.budget)}"})
            for run in members
        )
        yield Curve(
            label=f"{members[0].result.strategy}, growing budget",
            kind="budget",
            runs=tuple(run.result.number for run in members),
            points=tuple(labelled),
        )


def _lengths(
    group: Sequence[ReportedRun], samples: Sequence[Sequence[Sample]], seed: int
) -> Iterator[LengthProfile]:
    for run, own in zip(group, samples, strict=True):
        lengths = length_by_verdict(own, seed)
        if lengths is None:
            continue
        others = [rows for rows in samples if rows is not own and rows]
        cases = len({sample.case for sample in own})
        bands = accuracy_by_length(own, LENGTH_BANDS, seed) if cases >= LENGTH_BANDS * _FEWEST_A_BAND else []
        hard = by_difficulty(own, difficulty_of_cases(others), seed) if others else []
        yield LengthProfile(
            run=run.result.number,
            name=run.name,
            tokens=lengths.every.value,
            tokens_correct=lengths.correct.value if lengths.correct else None,
            tokens_incorrect=lengths.incorrect.value if lengths.incorrect else None,
            by_length=tuple(
                Band.of(f"{band.low:,.0f} to {band.high:,.0f} tokens", band.tokens, band.accuracy)
                for band in bands
            ),
            by_difficulty=tuple(Band.of(band.difficulty, band.tokens, band.accuracy) for band in hard),
        )
