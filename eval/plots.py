"""All plots of an evaluation."""

import re
from collections.abc import Iterator
from typing import Final

from ddxgraph.eval.accuracyplots import accuracy_plot, forest_plot
from ddxgraph.eval.calibrationplots import coverage_plot, reliability_plot
from ddxgraph.eval.curveplots import difficulty_plot, length_plot, scaling_plot
from ddxgraph.eval.evaluation import Evaluation
from ddxgraph.eval.picture import (
    Picture,
    drawing,
)

_SLUG: Final = re.compile(r"[^a-z0-9]+")


def plots(evaluation: Evaluation) -> list[Picture]:
    """All plots that the runs give something for."""
    with drawing():
        return list(_plots(evaluation))


def _plots(evaluation: Evaluation) -> Iterator[Picture]:
    if any(run.unscored_traces < run.traces for run in evaluation.runs):
        yield accuracy_plot("accuracy", evaluation.runs)
    for place, found in enumerate(evaluation.curves, 1):
        runs = [run for run in evaluation.runs if run.items == found.items]
        slug = f"{place}-{_SLUG.sub('-', found.items.lower()).strip('-')[:40]}"
        if found.scaling:
            yield scaling_plot(f"scaling-{slug}", found, runs)
        if any(profile.by_length for profile in found.lengths):
            yield length_plot(f"length-{slug}", found, [run.number for run in runs if run.incomplete])
        told = [run for run in runs if run.calibration]
        if told:
            yield reliability_plot(f"reliability-{slug}", found.items, told)
            yield coverage_plot(f"coverage-{slug}", found.items, told)
    if evaluation.difficulty:
        yield difficulty_plot("difficulty", evaluation.difficulty)
    if evaluation.comparisons.made:
        yield forest_plot("differences", evaluation)
