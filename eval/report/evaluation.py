"""The evaluation of a set of runs: the whole report as data."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

from pydantic import Field

from ddxgraph.common.errors import EvaluationError
from ddxgraph.common.words import bounds, interval, percent, plain
from ddxgraph.eval.report.comparison import SIGNIFICANT, Comparison, Comparisons, ReportedRun, compare
from ddxgraph.eval.report.curves import CurveSet, DifficultyLine, curves, difficulty
from ddxgraph.eval.report.figures import Figures, RunResult
from ddxgraph.eval.report.models import GainSet, ModelSet, model_accuracies, prompt_gains
from ddxgraph.eval.report.runresult import items_in_words, run_result
from ddxgraph.eval.report.table import SummaryTable, published_beside, summary_rows
from ddxgraph.eval.scoring.rule import MATCH, SCORER
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.graph.trace import code_version

EVALUATION_VERSION: Final = 1
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the parts done and the parts in total."""
_PARTS: Final = 5
"""Parts besides the runs: comparisons, table, models, gains, curves."""
_NAMED: Final = 3
"""Runs on the same cases that the headline names one by one; of more, only the highest and the lowest."""


class Evaluation(Figures):
    """The content of a report. Shares are in 0..1, intervals are 95%; nothing depends on when it was made."""

    version: Literal[1] = EVALUATION_VERSION
    scorer: str = SCORER
    """Version of the scoring rule."""
    match: str = MATCH
    """Version of the rule by which free-form answers are matched."""
    code_version: str = Field(default_factory=code_version)
    seed: int
    """Of the bootstrap."""
    baseline: str | None
    """The run that all others were compared with; None if every two were."""
    runs: tuple[RunResult, ...]
    comparisons: Comparisons
    table: SummaryTable
    curves: tuple[CurveSet, ...]
    difficulty: tuple[DifficultyLine, ...]
    models: tuple[ModelSet, ...] = ()
    """Accuracy by model and strategy, with the published rows."""
    gains: tuple[GainSet, ...] = ()
    """`cot` less `vanilla`, by model."""

    @property
    def incomplete(self) -> tuple[RunResult, ...]:
        """Runs of which something is unscored."""
        return tuple(run for run in self.runs if run.incomplete)

    @property
    def headline(self) -> tuple[str, ...]:
        """The result in a few sentences: accuracies, tests, what is incomplete."""
        groups: dict[str, list[RunResult]] = {}
        for run in self.runs:
            groups.setdefault(run.items, []).append(run)
        accuracies = [_accuracies(items, group) for items, group in groups.items()]
        return (*accuracies, *_tests(self.comparisons.made), *_incomplete(self.incomplete))


def evaluate(
    runs: Sequence[ScoredRun],
    *,
    baseline: ScoredRun | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate scored runs together.

    Args:
        runs: the runs, in the order of the report.
        baseline: one of them; the others are then compared only with it.
        seed: of the bootstrap. The same runs and seed give the same evaluation.
        progress: called after each run and each part.

    Returns:
        The evaluation.

    Raises:
        EvaluationError: there is no run, one has no case, or the baseline is none of them.
    """
    if not runs:
        raise EvaluationError("nothing to evaluate: name at least one run folder")
    for run in runs:
        if not run.golds:
            raise EvaluationError(
                f"the run {run.name!r} has no case with a gold answer, so nothing can be scored"
            )
    if baseline is not None and not any(run is baseline for run in runs):
        raise EvaluationError(f"the baseline {baseline.name!r} is none of the runs; name it among them too")
    step = _Steps(progress, len(runs) + _PARTS)
    reported = []
    for number, (run, name, items) in enumerate(
        zip(runs, distinct_names(runs), distinct_items(runs), strict=True), 1
    ):
        result = step.done(run_result(run, number, name, seed=seed).model_copy(update={"items": items}))
        reported.append(ReportedRun(name, items, run, result))
    first = next((run.name for run in reported if run.run is baseline), None)
    return Evaluation(
        seed=seed,
        baseline=first,
        runs=tuple(run.result for run in reported),
        comparisons=step.done(compare(reported, baseline=first, seed=seed)),
        table=step.done(published_beside(summary_rows(reported, seed))),
        models=step.done(model_accuracies(reported, seed)),
        gains=step.done(prompt_gains(reported, seed)),
        curves=step.done(curves(reported, seed)),
        difficulty=difficulty(reported),
    )


class _Steps:
    """Reports each part to the progress callback."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def done(self, result: T) -> T:
        """Count a part and pass its result on."""
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
        return result


def distinct_names(runs: Sequence[ScoredRun]) -> list[str]:
    """Names that tell runs apart: the folder's, with as many of its parent folders as needed."""
    names = [plain(run.name) for run in runs]
    for depth in range(2, 1 + max(len(run.path.absolute().parts) for run in runs)):
        twice = {name for name, count in Counter(names).items() if count > 1}
        if not twice:
            return names
        names = [
            plain("/".join(run.path.absolute().parts[-depth:])) if name in twice else name
            for run, name in zip(runs, names, strict=True)
        ]
    seen: Counter[str] = Counter()
    for place, name in enumerate(names):  # the same folder twice, or equal names once made plain
        seen[name] += 1
        names[place] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return names


def distinct_items(runs: Sequence[ScoredRun]) -> list[str]:
    """The cases of each run in words; equal only for runs on the same cases."""
    keys: dict[tuple[str, frozenset[str]], str] = {}
    used: Counter[str] = Counter()
    items = []
    for run in runs:
        words = items_in_words(run)
        key = (words, frozenset(run.golds))
        if key not in keys:
            used[words] += 1
            keys[key] = words if used[words] == 1 else f"{words} (set {used[words]})"
        items.append(keys[key])
    return items


def _accuracies(items: str, group: Sequence[RunResult]) -> str:
    ranked = sorted(group, key=lambda run: -run.accuracy.value)
    whole = [run for run in ranked if not run.incomplete]
    if len(ranked) > _NAMED and whole:
        which = "runs" if len(whole) == len(ranked) else f"runs, {len(whole)} of them complete"
        accuracies = f"{len(ranked)} {which}, from {_accuracy(whole[-1])} to {_accuracy(whole[0])}"
    else:
        accuracies = "; ".join(map(_accuracy, ranked))
    first, floors = ranked[0], []
    if first.majority is not None:
        floors.append(f"always answering {first.majority_letter} {percent(first.majority)}")
    if first.chance is not None:
        floors.append(f"guessing {percent(first.chance)}")
    return f"{items}: {accuracies}." + (f" For comparison: {', '.join(floors)}." if floors else "")


def _accuracy(run: RunResult) -> str:
    if run.accuracy.bounds:
        return f"{run.name} INCOMPLETE, between {bounds(run.accuracy)} correct"
    # A strategy that states no answer differs from one that answers wrongly.
    silent = f"; {run.unparsed:,} of {run.traces:,} unparsed" if run.unparsed else ""
    silent += f"; prompts cut by the server in {run.cut:,} of {run.traces:,}" if run.cut else ""
    judge = f"; judged by {run.judge.model}" if run.judge else ""
    within = f"95% interval {interval(run.accuracy)}"
    return f"{run.name} {percent(run.accuracy.value)} correct ({within}{silent}{judge})"


def _tests(made: Sequence[Comparison]) -> list[str]:
    if not made:
        return []
    held = sum(comparison.significant for comparison in made)
    which = f"{held or 'None'} of {len(made)} differences between runs {'is' if held < 2 else 'are'}"  # noqa: PLR2004
    if len(made) == 1:
        which = f"The difference between them is{'' if held else ' not'}"
    return [f"{which} significant at {SIGNIFICANT} (paired tests, adjusted by Holm's rule)."]


def _incomplete(runs: Sequence[RunResult]) -> list[str]:
    return [
        f"INCOMPLETE: of {run.name}, {run.unscored_traces:,} of {run.traces:,} traces are unscored "
        f"({reasons(run)}): they are neither right nor wrong, and the true figure lies within the bounds."
        for run in runs
    ]


def reasons(run: RunResult) -> str:
    """Why traces are unscored, the most frequent reason first."""
    ranked = sorted(run.unscored.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in ranked)
