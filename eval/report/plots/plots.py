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
from ddxgraph.eval.report.plots.picture import Picture, drawing

_SLUG: Final = re.compile(r"[^a-z0-9]+")


def plots(evaluation: Evaluation, progress: Progress | None = None) -> list[Picture]:
    """All plots that the runs have data for; `progress` is called after each."""
    planned = list(_planned(evaluation))
    drawn = []
    with drawing():
        for plot in planned:
            drawn.append(plot())
            if progress:
                progress(len(drawn), len(planned))
    return drawn


def _planned(evaluation: Evaluation) -> Iterator[Callable[[], Picture]]:
    ended = {run.number for run in evaluation.runs if run.unscored_traces < run.traces}
    if ended:
        yield partial(accuracy_plot, "accuracy", evaluation.runs)
    for place, models in enumerate(evaluation.models, 1):
        if any(ended.intersection(row.runs) for row in models.own):
            yield partial(model_plot, f"models-{_slug(place, models.items)}", models)
    for place, gains in enumerate(evaluation.gains, 1):
        if gains.drawable:
            yield partial(gain_plot, f"gains-{_slug(place, gains.items)}", gains)
    for place, curves in enumerate(evaluation.curves, 1):
        yield from _of_items(curves, _slug(place, curves.items), evaluation.runs)
    if evaluation.difficulty:
        yield partial(difficulty_plot, "difficulty", evaluation.difficulty)
    if evaluation.comparisons.made:
        yield partial(forest_plot, "differences", evaluation)


def _of_items(curves: CurveSet, slug: str, every: Sequence[RunResult]) -> Iterator[Callable[[], Picture]]:
    runs = [run for run in every if run.items == curves.items]
    if curves.scaling:
        yield partial(scaling_plot, f"scaling-{slug}", curves, runs)
    if any(profile.by_length for profile in curves.lengths):
        torn = [run.number for run in runs if run.incomplete]
        yield partial(length_plot, f"length-{slug}", curves, torn)
    if any(run.calibration for run in runs):
        yield partial(reliability_plot, f"reliability-{slug}", curves.items, runs)
        yield partial(coverage_plot, f"coverage-{slug}", curves.items, runs)


def _slug(place: int, items: str) -> str:
    """Which cases, as part of a file's name."""
    return f"{place}-{_SLUG.sub('-', items.lower()).strip('-')[:40]}"
