"""All plots of an evaluation."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from ddxgraph.eval.report.curves import CurveSet
from ddxgraph.eval.report.evaluation import Evaluation, Progress
from ddxgraph.eval.report.figures import RunResult
from ddxgraph.eval.report.plots.accuracy import accuracy_plot, forest_plot
from ddxgraph.eval.report.plots.calibration import coverage_plot, reliability_plot
from ddxgraph.eval.report.plots.curves import difficulty_plot, length_plot, scaling_plot
from ddxgraph.eval.report.plots.gain import gain_plot
from ddxgraph.eval.report.plots.model import model_plot
from ddxgraph.eval.report.plots.picture import (
    Picture,
    drawing,
)

_SLUG: Final = re.compile(r"[^a-z0-9]+")


def plots(evaluation: Evaluation, progress: Progress | None = None) -> list[Picture]:
    """All plots that the runs give something for; the progress is told after each."""
    planned = list(_planned(evaluation))
    drawn = []
    with drawing():
        for plot in planned:
            drawn.append(plot())
            if progress:
                progress(len(drawn), len(planned))
    return drawn


def _planned(evaluation: Evaluation) -> Iterator[Callable[[], Picture]]:
    if any(map(_ended, evaluation.runs)):
        yield partial(accuracy_plot, "accuracy", evaluation.runs)
    yield from _of_models(evaluation)
    for place, found in enumerate(evaluation.curves, 1):
        yield from _of_items(found, _slug(place, found.items), evaluation.runs)
    if evaluation.difficulty:
        yield partial(difficulty_plot, "difficulty", evaluation.difficulty)
    if evaluation.comparisons.made:
        yield partial(forest_plot, "differences", evaluation)


def _of_models(evaluation: Evaluation) -> Iterator[Callable[[], Picture]]:
    ended = {run.number for run in evaluation.runs if _ended(run)}
    for place, models in enumerate(evaluation.models, 1):
        if any(ended.intersection(one.runs) for one in models.own):
            yield partial(model_plot, f"models-{_slug(place, models.items)}", models)
    for place, gains in enumerate(evaluation.gains, 1):
        if gains.drawable:
            yield partial(gain_plot, f"gains-{_slug(place, gains.items)}", gains)


def _of_items(found: CurveSet, slug: str, every: Sequence[RunResult]) -> Iterator[Callable[[], Picture]]:
    runs = [run for run in every if run.items == found.items]
    if found.scaling:
        yield partial(scaling_plot, f"scaling-{slug}", found, runs)
    if any(profile.by_length for profile in found.lengths):
        torn = [run.number for run in runs if run.incomplete]
        yield partial(length_plot, f"length-{slug}", found, torn)
    told = [run for run in runs if run.calibration]
    if told:
        yield partial(reliability_plot, f"reliability-{slug}", found.items, told)
        yield partial(coverage_plot, f"coverage-{slug}", found.items, told)


def _ended(run: RunResult) -> bool:
    """Whether anything of a run is scored."""
    return run.unscored_traces < run.traces


def _slug(place: int, items: str) -> str:
    """Which cases, as part of a file's name."""
    return f"{place}-{_SLUG.sub('-', items.lower()).strip('-')[:40]}"
