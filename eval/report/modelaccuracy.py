"""The accuracy of each model under each strategy, over the benchmarks it was run on: the paper's figure 2."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from pydantic import BaseModel

from ddxgraph.eval.report.comparison import Entrant
from ddxgraph.eval.report.configuration import (
    Configuration,
    configurations,
    items_of,
    may_stand_beside_published,
    weight_of,
)
from ddxgraph.eval.report.published import CASES, TOLERANCE, published, weighted_mean
from ddxgraph.eval.report.published import PublishedRow as PrintedRow
from ddxgraph.eval.report.runresult import FROZEN, Accuracy, RunResult, shares
from ddxgraph.eval.report.table import settings_in_words
from ddxgraph.eval.statistics.interval import Estimate, Group, weighted_accuracy

STRATEGIES: Final = ("vanilla", "cot", "cot sft", "longstep", "longmonolog", "graph")
"""In the order in which a model's strategies are drawn; others come after them."""
_HUNDRED: Final = 100


class ModelAccuracy(BaseModel):
    """A configuration: a model under a strategy."""

    model_config = FROZEN

    runs: tuple[int, ...]
    """Numbers of its runs, one a benchmark."""
    names: tuple[str, ...]
    """Their names."""
    model: str
    adapter: str | None
    strategy: str
    settings: str
    """Samples, temperature, budget, in words."""
    accuracy: Accuracy
    """Over all its benchmarks, weighted by their sizes; of a single one, its own."""


class PublishedAccuracy(BaseModel):
    """A row of the published table."""

    model_config = FROZEN

    model: str
    """With its size, such as `Qwen2.5 7B`."""
    strategy: str
    accuracy: float
    """In 0..1, over the same benchmarks, recomputed from the row's own figures."""
    printed: str
    """The mean as printed, in per cent, where the row's own figures do not give it; else empty."""


class ModelSet(BaseModel):
    """Configurations on the same cases, and what is published of the same benchmarks."""

    model_config = FROZEN

    items: str
    """Which cases, in words."""
    benchmarks: tuple[str, ...]
    own: tuple[ModelAccuracy, ...]
    """By model, then by strategy."""
    published: tuple[PublishedAccuracy, ...]
    """Of whole test splits. Empty where these cases are shown otherwise than there: free-form, five options."""


def model_accuracies(
    entrants: Sequence[Entrant], results: Mapping[str, RunResult], *, seed: int = 0
) -> tuple[ModelSet, ...]:
    """Models under strategies, those on the same cases together.

    Args:
        entrants: the runs; those of case files are left out, for which nothing is published.
        results: their figures, by name.
        seed: of the bootstrap.
    """
    known = [one for one in entrants if results[one.name].benchmark in CASES]
    groups: dict[str, list[Configuration]] = {}
    for line in configurations(known):
        groups.setdefault(items_of(line), []).append(line)
    return tuple(_model_set(items, lines, results, seed) for items, lines in groups.items())


def _model_set(
    items: str, lines: Sequence[Configuration], results: Mapping[str, RunResult], seed: int
) -> ModelSet:
    own = [_model_accuracy(line, results, seed) for line in lines]
    beside = may_stand_beside_published(lines[0])
    return ModelSet(
        items=items,
        benchmarks=tuple(lines[0]),
        own=tuple(
            sorted(own, key=lambda one: (one.model, one.adapter or "", place_of(one.strategy), one.runs))
        ),
        published=tuple(published_accuracies(tuple(lines[0]))) if beside else (),
    )


def _model_accuracy(line: Configuration, results: Mapping[str, RunResult], seed: int) -> ModelAccuracy:
    found = [results[one.name] for one in line.values()]
    return ModelAccuracy(
        runs=tuple(one.number for one in found),
        names=tuple(one.name for one in found),
        model=found[0].model,
        adapter=found[0].adapter,
        strategy=found[0].strategy,
        settings=settings_in_words(found[0]),
        accuracy=found[0].accuracy if len(found) == 1 else _weighted(line, found, seed),
    )


def _weighted(line: Configuration, found: Sequence[RunResult], seed: int) -> Accuracy:
    torn = any(one.incomplete for one in found)
    low = _estimate(line, seed, unscored_right=False)
    high = _estimate(line, seed, unscored_right=True) if torn else low
    return Accuracy(
        value=low.value,
        low=low.interval.low,
        high=high.interval.high,
        n=low.n,
        method=low.method,
        bounds=(low.value, high.value) if torn else None,
    )


def _estimate(line: Configuration, seed: int, *, unscored_right: bool) -> Estimate:
    groups = [
        Group(shares(one.run, one.by_case, unscored_right=unscored_right), weight_of(one))
        for one in line.values()
    ]
    found = weighted_accuracy(groups, seed)
    assert found is not None  # noqa: S101 - a scored run has cases
    return found


def published_accuracies(benchmarks: Collection[str]) -> Iterator[PublishedAccuracy]:
    """The published rows over some benchmarks, a model's strategies together."""
    rows = published()
    first = {model_of(row): place for place, row in reversed(list(enumerate(rows)))}
    for row in sorted(rows, key=lambda row: (first[model_of(row)], place_of(row.strategy))):
        mean = weighted_mean(row, benchmarks)
        whole = set(benchmarks) == set(row.figures)
        yield PublishedAccuracy(
            model=model_of(row),
            strategy=row.strategy,
            accuracy=float(mean / _HUNDRED),
            printed=str(row.mean) if whole and abs(Fraction(row.mean) - mean) > TOLERANCE else "",
        )


def model_of(row: PrintedRow) -> str:
    """Family and size of a published row, such as `Qwen2.5 7B`."""
    return f"{row.family} {row.size}".rstrip()


def place_of(strategy: str) -> int:
    """Where a strategy stands among a model's."""
    return STRATEGIES.index(strategy) if strategy in STRATEGIES else len(STRATEGIES)
