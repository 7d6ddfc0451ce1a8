"""The curves of a report: accuracy against tokens, by votes and by budgets; length and difficulty."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

from pydantic import BaseModel

from ddxgraph.eval.report.comparison import Entrant, families
from ddxgraph.eval.report.runresult import FROZEN, Accuracy, RunResult
from ddxgraph.eval.scoring.rule import Score, normalised
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
"""Bands of about equal size into which a run's cases are put by length."""
_FEWEST_A_BAND: Final = 5
"""Cases a band below which bands say nothing."""


class CurvePoint(BaseModel):
    """An accuracy and what it cost."""

    model_config = FROZEN

    label: str
    """Such as `pilot, vote@4`."""
    tokens: float
    """Mean output tokens a case, over all samples that were used."""
    accuracy: float
    low: float
    high: float
    """95% interval."""
    incomplete: bool = False


class Curve(BaseModel):
    """Points that belong together: a run under growing votes, or one strategy under growing budgets."""

    model_config = FROZEN

    label: str
    kind: Literal["vote", "budget", "single"]
    runs: tuple[int, ...]
    """Numbers of the runs that it comes from."""
    points: tuple[CurvePoint, ...]
    """By growing cost."""


class Band(BaseModel):
    """Cases of a run that are about equally long, or equally hard."""

    model_config = FROZEN

    label: str
    """`easy`, `middle` or `hard`, or from how many to how many tokens."""
    cases: int
    tokens: float
    """Mean output tokens of a trace."""
    accuracy: float
    low: float
    high: float
    """95% interval of the accuracy."""


class LengthProfile(BaseModel):
    """How long a run's traces are, and whether the long ones are the hard ones; over what is scored."""

    model_config = FROZEN

    run: int
    name: str
    tokens: float
    """Mean output tokens of a trace."""
    tokens_correct: float | None
    """Of the correct ones; None where there are none."""
    tokens_incorrect: float | None
    by_length: tuple[Band, ...]
    """Empty where there are too few cases."""
    by_difficulty: tuple[Band, ...]
    """By the share of the report's other runs on the same cases that fail; empty without another run."""


class CurveSet(BaseModel):
    """The curves of the runs on one set of cases."""

    model_config = FROZEN

    items: str
    scaling: tuple[Curve, ...]
    lengths: tuple[LengthProfile, ...]
    notes: tuple[str, ...]
    """What is not drawn or drawn in part, and why."""


class DifficultyPoint(BaseModel):
    """A configuration on one benchmark."""

    model_config = FROZEN

    run: int
    items: str
    tokens: float
    """Mean output tokens of a trace."""
    accuracy: Accuracy


class DifficultyLine(BaseModel):
    """One configuration on several benchmarks: do harder ones take longer chains?"""

    model_config = FROZEN

    label: str
    points: tuple[DifficultyPoint, ...]
    """Hardest first."""


def curves(
    entrants: Sequence[Entrant], results: Mapping[str, RunResult], *, seed: int = 0
) -> tuple[CurveSet, ...]:
    """Curves of all runs, those on the same cases together.

    Args:
        entrants: the runs.
        results: their figures, by name.
        seed: of the bootstrap.
    """
    groups: dict[str, list[Entrant]] = {}
    for one in entrants:
        groups.setdefault(one.items, []).append(one)
    return tuple(_curve_set(items, group, results, seed) for items, group in groups.items())


def difficulty(entrants: Sequence[Entrant], results: Mapping[str, RunResult]) -> tuple[DifficultyLine, ...]:
    """Configurations that were run on several benchmarks.

    Args:
        entrants: the runs.
        results: their figures, by name.
    """
    found = []
    for family in families(entrants, but_for=["selection"]):
        told = [results[one.name] for one in family if results[one.name].cost]
        if len({one.benchmark for one in told}) > 1:
            found.append(_line(told))
    return tuple(found)


def _line(told: Sequence[RunResult]) -> DifficultyLine:
    ranked = sorted(told, key=lambda one: one.accuracy.value)
    return DifficultyLine(
        label=f"{told[0].model}, {told[0].strategy}",
        points=tuple(
            DifficultyPoint(
                run=one.number, items=one.items, tokens=one.cost.output_tokens.mean, accuracy=one.accuracy
            )
            for one in ranked
            if one.cost
        ),
    )


def _curve_set(items: str, group: Sequence[Entrant], results: Mapping[str, RunResult], seed: int) -> CurveSet:
    notes: list[str] = []
    samples = {one.name: _samples(one) for one in group}
    single = {
        one.name: point for one in group if (point := _single(results[one.name], samples[one.name], seed))
    }
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


def _samples(one: Entrant) -> list[Sample]:
    return [
        Sample(score.case, score.correct, score.completion_tokens)
        for score in one.run.scores
        if score.correct is not None
    ]


def _single(found: RunResult, samples: Sequence[Sample], seed: int) -> CurvePoint | None:
    point = run_point(found.name, samples, seed)
    if point is None:
        return None
    return CurvePoint(
        label=point.label,
        tokens=point.tokens,
        accuracy=found.accuracy.value,
        low=found.accuracy.low,
        high=found.accuracy.high,
        incomplete=found.incomplete,
    )


def _votes(
    group: Sequence[Entrant], results: Mapping[str, RunResult], seed: int, notes: list[str]
) -> Iterator[Curve]:
    for one in group:
        found = results[one.name]
        if found.samples == 1:
            continue
        if found.judge is not None:
            notes.append(
                f"{one.name}: no votes, since a judge calls texts equal that a vote would tell apart"
            )
            continue
        curve = _vote(one, found, seed, notes)
        if curve.points:
            yield curve


def _vote(one: Entrant, found: RunResult, seed: int, notes: list[str]) -> Curve:
    scores = {
        case: [score for score in its if score.correct is not None] for case, its in one.by_case.items()
    }
    counted = vote_curve(
        [
            _ballot(its, one.run.golds[case].answer, bool(one.run.options[case]))
            for case, its in scores.items()
        ],
        sizes(found.samples),
        tokens=[[float(score.completion_tokens) for score in its] for its in scores.values()],
        seed=seed,
    )
    if found.incomplete:
        notes.append(
            f"{one.name}: {found.unscored_traces:,} of {found.traces:,} samples are unscored, so its votes are "
            f"over at most {counted.samples} samples of a case, leave out {counted.unscored + one.run.absent} "
            "cases without a scored sample, and are marked incomplete"
        )
    return Curve(
        label=one.name,
        kind="vote",
        runs=(found.number,),
        points=tuple(
            CurvePoint(
                label=point.label,
                tokens=point.tokens,
                accuracy=point.accuracy.value,
                low=point.accuracy.interval.low,
                high=point.accuracy.interval.high,
                incomplete=found.incomplete,
            )
            for point in vote_points(one.name, counted)
        ),
    )


def _ballot(scores: Sequence[Score], gold: str, lettered: bool) -> tuple[list[str | None], str]:
    """The votes on a case and its gold answer: letters, or normalised texts. What is no option casts no vote."""
    if lettered:
        return [score.answer if score.choice is not None else None for score in scores], gold
    return [score.choice for score in scores], normalised(gold)


def _budgets(
    group: Sequence[Entrant], results: Mapping[str, RunResult], single: Mapping[str, CurvePoint]
) -> Iterator[Curve]:
    told = [one for one in group if one.name in single]
    for family in families(told, but_for=("strategy.budget.", "samples")):
        members = sorted(family, key=lambda one: single[one.name].tokens)
        if len({one.run.manifest.strategy.budget for one in members}) == 1:
            continue
        found = [results[one.name] for one in members]
        yield Curve(
            label=f"{found[0].strategy}, growing budget",
            kind="budget",
            runs=tuple(one.number for one in found),
            points=tuple(
                single[one.name].model_copy(update={"label": f"{one.name}: {budget_in_words(one.budget)}"})
                for one in found
            ),
        )


def budget_in_words(budget: Mapping[str, int]) -> str:
    """Such as `8,000 tokens, 64 calls, 3 backtracks`."""
    return (
        f"{budget['max_tokens']:,} tokens, {budget['max_calls']} calls, {budget['max_backtracks']} backtracks"
    )


def _lengths(
    samples: Mapping[str, Sequence[Sample]], results: Mapping[str, RunResult], seed: int
) -> Iterator[LengthProfile]:
    for name, own in samples.items():
        found = length_by_verdict(own, seed)
        if found is None:
            continue
        others = [rows for other, rows in samples.items() if other != name and rows]
        cases = len({sample.case for sample in own})
        bands = accuracy_by_length(own, LENGTH_BANDS, seed) if cases >= LENGTH_BANDS * _FEWEST_A_BAND else []
        hard = by_difficulty(own, difficulty_of_cases(others), seed) if others else []
        yield LengthProfile(
            run=results[name].number,
            name=name,
            tokens=found.every.value,
            tokens_correct=found.correct.value if found.correct else None,
            tokens_incorrect=found.incorrect.value if found.incorrect else None,
            by_length=tuple(
                Band(
                    label=f"{band.low:,.0f} to {band.high:,.0f} tokens",
                    cases=band.accuracy.n,
                    tokens=band.tokens.value,
                    accuracy=band.accuracy.value,
                    low=band.accuracy.interval.low,
                    high=band.accuracy.interval.high,
                )
                for band in bands
            ),
            by_difficulty=tuple(
                Band(
                    label=band.difficulty,
                    cases=band.accuracy.n,
                    tokens=band.tokens.value,
                    accuracy=band.accuracy.value,
                    low=band.accuracy.interval.low,
                    high=band.accuracy.interval.high,
                )
                for band in hard
            ),
        )
