"""The gain of prompting for steps: accuracy under `cot` less under `vanilla`, by model: the paper's figure 4."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from pydantic import BaseModel

from ddxgraph.eval.report.comparison import Entrant, complete_in_both, families, obstacle, share_of
from ddxgraph.eval.report.configuration import (
    BENCHMARK,
    Configuration,
    configurations,
    items_of,
    may_stand_beside_published,
    weight_of,
)
from ddxgraph.eval.report.modelaccuracy import model_of
from ddxgraph.eval.report.modelsize import parameters_in
from ddxgraph.eval.report.published import published, weighted_mean
from ddxgraph.eval.report.runresult import FROZEN, RunResult
from ddxgraph.eval.statistics.interval import Group, weighted_difference

WITHOUT: Final = "vanilla"
WITH: Final = "cot"
_OF_A_STRATEGY: Final = ("strategy.", "provenance.prompt_set", *BENCHMARK)
"""In what a `cot` and a `vanilla` run of one model differ."""
_HUNDRED: Final = 100


class PromptGain(BaseModel):
    """A model of this report; differences in -1..1."""

    model_config = FROZEN

    model: str
    adapter: str | None
    parameters: float | None
    """In billions, from the model's name; None where it states none."""
    vanilla: tuple[int, ...]
    """Numbers of the runs, one a benchmark."""
    cot: tuple[int, ...]
    names: tuple[str, ...]
    """Of the runs, such as `cot less vanilla`, one a benchmark."""
    n: int
    """Cases compared."""
    left_out: int
    """Cases of which either run has an unscored sample."""
    difference: float
    """Accuracy of `cot` less accuracy of `vanilla` on the same cases, weighted by the benchmarks' sizes."""
    low: float
    high: float
    """95% interval, by the paired bootstrap over the cases of each benchmark."""


class PublishedGain(BaseModel):
    """A model of the published table."""

    model_config = FROZEN

    model: str
    """With its size, such as `Qwen2.5 7B`."""
    parameters: int | None
    """In billions; None where it is not public."""
    difference: float
    """Of the two rows' means over the same benchmarks, each recomputed from its row, in -1..1."""


class GainSet(BaseModel):
    """Gains on the same cases, and what is published of the same benchmarks."""

    model_config = FROZEN

    items: str
    """Which cases, in words."""
    own: tuple[PromptGain, ...]
    published: tuple[PublishedGain, ...]
    """Of whole test splits. Empty where these cases are shown otherwise than there, or are no benchmark's."""

    @property
    def every(self) -> tuple[PromptGain | PublishedGain, ...]:
        """The report's own, then the published ones."""
        return (*self.own, *self.published)

    @property
    def drawable(self) -> bool:
        """Whether a size is known of any model."""
        return any(one.parameters is not None for one in self.every)


class _Pair(NamedTuple):
    """A model's runs on the benchmarks that it took both ways."""

    vanilla: Configuration
    cot: Configuration


def prompt_gains(
    entrants: Sequence[Entrant], results: Mapping[str, RunResult], *, seed: int = 0
) -> tuple[GainSet, ...]:
    """The gains of all models that were run both ways, those on the same cases together.

    Args:
        entrants: the runs.
        results: their figures, by name.
        seed: of the bootstrap.
    """
    groups: dict[str, list[_Pair]] = {}
    for pair in _pairs(entrants):
        groups.setdefault(items_of(pair.cot), []).append(pair)
    found = []
    for items, pairs in groups.items():
        own = [gain for pair in pairs if (gain := _gain(pair, results, seed))]
        beside = all(map(may_stand_beside_published, pairs[0]))
        if own:
            told = tuple(published_gains(tuple(pairs[0].cot))) if beside else ()
            found.append(GainSet(items=items, own=tuple(own), published=told))
    return tuple(found)


def _pairs(entrants: Sequence[Entrant]) -> Iterator[_Pair]:
    """Runs of one model both ways. Each run stands in one pair at most, the first that it fits."""
    known = [one for one in entrants if one.run.manifest.strategy.name in {WITHOUT, WITH}]
    for family in families(known, but_for=_OF_A_STRATEGY):
        free, wanted = (
            configurations([one for one in family if one.run.manifest.strategy.name == name])
            for name in (WITHOUT, WITH)
        )
        for cot in wanted:
            for place, vanilla in enumerate(free):
                shared = [name for name in cot if name in vanilla and _same_cases(vanilla[name], cot[name])]
                if shared:
                    del free[place]
                    yield _Pair(*({name: line[name] for name in shared} for line in (vanilla, cot)))
                    break


def _same_cases(a: Entrant, b: Entrant) -> bool:
    return obstacle(a.run, b.run) is None


def _gain(pair: _Pair, results: Mapping[str, RunResult], seed: int) -> PromptGain | None:
    """None where a benchmark has no case that both have scored."""
    both = list(zip(pair.vanilla.values(), pair.cot.values(), strict=True))
    groups = [
        Group([share_of(b, case) - share_of(a, case) for case in complete_in_both(a, b)], weight_of(b))
        for a, b in both
    ]
    found = weighted_difference(groups, seed)
    if found is None:
        return None
    one = results[both[0][1].name]
    return PromptGain(
        model=one.model,
        adapter=one.adapter,
        parameters=parameters_in(one.model),
        vanilla=tuple(results[a.name].number for a, _ in both),
        cot=tuple(results[b.name].number for _, b in both),
        names=tuple(f"{b.name} less {a.name}" for a, b in both),
        n=found.n,
        left_out=sum(b.run.size for _, b in both) - found.n,
        difference=found.value,
        low=found.interval.low,
        high=found.interval.high,
    )


def published_gains(benchmarks: Collection[str]) -> Iterator[PublishedGain]:
    """The published models with a row for either way, over some benchmarks."""
    rows = {(model_of(row), row.strategy): row for row in published()}
    for (model, strategy), row in rows.items():
        other = rows.get((model, WITH))
        if strategy == WITHOUT and other:
            gain = weighted_mean(other, benchmarks) - weighted_mean(row, benchmarks)
            yield PublishedGain(model=model, parameters=row.parameters, difference=float(gain / _HUNDRED))
