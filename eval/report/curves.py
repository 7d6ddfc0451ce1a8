"""Curves: accuracy against tokens, by votes and by budgets; and accuracy by length and difficulty of the
cases."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, Self

from ddxgraph.eval.report.comparison import Entrant, families
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


def curves(
    entrants: Sequence[Entrant], results: Mapping[str, RunResult], *, seed: int = 0
) -> tuple[CurveSet, ...]:
    """Curves of all runs, grouped by the cases they took.

    Args:
        entrants: the runs.
        results: their figures, by name.
        seed: of the bootstrap.

    Returns:
        One set for each group of cases.
    """
    groups: dict[str, list[Entrant]] = {}
    for entrant in entrants:
        groups.setdefault(entrant.items, []).append(entrant)
    return tuple(_curve_set(items, group, results, seed) for items, group in groups.items())


def difficulty(entrants: Sequence[Entrant], results: Mapping[str, RunResult]) -> tuple[DifficultyLine, ...]:
    """Configurations that were run on several benchmarks."""
    lines = []
    for family in families(entrants, but_for=["selection"]):
        runs = [results[entrant.name] for entrant in family if results[entrant.name].cost]
        if len({run.benchmark for run in runs}) > 1:
            lines.append(_line(runs))
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


def _curve_set(items: str, group: Sequence[Entrant], results: Mapping[str, RunResult], seed: int) -> CurveSet:
    notes: list[str] = []
    samples = {entrant.name: _samples(entrant) for entrant in group}
    single = {name: point for name, own in samples.items() if (point := _single(results[name], own, seed))}
    drawn = [*_votes(group, results, seed, notes), *_budgets(group, results, single)]
    shown = {number for curve in drawn for number in curve.runs}
    drawn += [
        Curve(label=name, kind="single", runs=(results[name].number,), points=(point,))
        for name, point in single.items()
        if results[name].number not in shown
    ]
    return CurveSet(
        items=items,
        scaling=tuple(sorted(drawn, key=lambda curve: curve.runs)),
        lengths=tuple(_lengths(samples, results, seed)),
        notes=tuple(notes),
    )


def _samples(entrant: Entrant) -> list[Sample]:
    return [
        Sample(score.case, score.correct, score.completion_tokens)
        for score in entrant.run.scores
        if score.correct is not None
    ]


def _single(run: RunResult, samples: Sequence[Sample], seed: int) -> CurvePoint | None:
    point = run_point(run.name, samples, seed)
    if point is None:
        return None
    return CurvePoint(
        label=point.label,
        tokens=point.tokens,
        accuracy=run.accuracy.value,
        low=run.accuracy.low,
        high=run.accuracy.high,
        incomplete=run.incomplete,
    )


def _votes(
    group: Sequence[Entrant], results: Mapping[str, RunResult], seed: int, notes: list[str]
) -> Iterator[Curve]:
    for entrant in group:
        result = results[entrant.name]
        if result.samples == 1:
            continue
        if result.judge is not None:
            notes.append(
                f"{entrant.name}: no votes, since a judge calls texts equal that a vote would tell apart"
            )
            continue
        curve = _vote(entrant, result, seed, notes)
        if curve.points:
            yield curve


def _vote(entrant: Entrant, result: RunResult, seed: int, notes: list[str]) -> Curve:
    run = entrant.run
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
            f"{entrant.name}: {result.unscored_traces:,} of {result.traces:,} samples are unscored, so its votes "
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
        for point in vote_points(entrant.name, counted)
    )
    return Curve(label=entrant.name, kind="vote", runs=(result.number,), points=tuple(points))


def _ballot(scores: Sequence[Score], gold: str, lettered: bool) -> tuple[list[str | None], str]:
    """The votes on a case and its gold answer: letters, or normalised texts. What is no option casts no vote."""
    if lettered:
        return [score.answer if score.choice is not None else None for score in scores], gold
    return [score.choice for score in scores], normalised(gold)


def _budgets(
    group: Sequence[Entrant], results: Mapping[str, RunResult], single: Mapping[str, CurvePoint]
) -> Iterator[Curve]:
    scored = [entrant for entrant in group if entrant.name in single]
    for family in families(scored, but_for=("strategy.budget.", "samples")):
        members = sorted(family, key=lambda entrant: single[entrant.name].tokens)
        if len({entrant.run.manifest.strategy.budget for entrant in members}) == 1:
            continue
        runs = [results[entrant.name] for entrant in members]
        labels = (f"{run.name}: {budget_in_words(run.budget)}" for run in runs)
        yield Curve(
            label=f"{runs[0].strategy}, growing budget",
            kind="budget",
            runs=tuple(run.number for run in runs),
            points=tuple(
                single[run.name].model_copy(update={"label": label})
                for run, label in zip(runs, labels, strict=True)
            ),
        )


def _lengths(
    samples: Mapping[str, Sequence[Sample]], results: Mapping[str, RunResult], seed: int
) -> Iterator[LengthProfile]:
    for name, own in samples.items():
        lengths = length_by_verdict(own, seed)
        if lengths is None:
            continue
        others = [rows for other, rows in samples.items() if other != name and rows]
        cases = len({sample.case for sample in own})
        bands = accuracy_by_length(own, LENGTH_BANDS, seed) if cases >= LENGTH_BANDS * _FEWEST_A_BAND else []
        hard = by_difficulty(own, difficulty_of_cases(others), seed) if others else []
        yield LengthProfile(
            run=results[name].number,
            name=name,
            tokens=lengths.every.value,
            tokens_correct=lengths.correct.value if lengths.correct else None,
            tokens_incorrect=lengths.incorrect.value if lengths.incorrect else None,
            by_length=tuple(
                Band.of(f"{band.low:,.0f} to {band.high:,.0f} tokens", band.tokens, band.accuracy)
                for band in bands
            ),
            by_difficulty=tuple(Band.of(band.difficulty, band.tokens, band.accuracy) for band in hard),
        )
