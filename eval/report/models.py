"""Models side by side: accuracy by strategy (the paper's figure 2), gain of `cot` by model size (figure 4)."""

import re
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Final, NamedTuple

from ddxgraph.eval.report.comparison import (
    BENCHMARK,
    Configuration,
    ReportedRun,
    complete_in_both,
    configurations,
    families,
    items_of,
    may_stand_beside_published,
    obstacle,
    share_of,
)
from ddxgraph.eval.report.figures import Accuracy, Figures
from ddxgraph.eval.report.published import CASES, TOLERANCE, PublishedRow, published, weighted_mean
from ddxgraph.eval.report.runresult import shares
from ddxgraph.eval.report.table import settings_in_words
from ddxgraph.eval.statistics.interval import Estimate, Group, weighted_accuracy, weighted_difference
from ddxgraph.nodes.strategies import GRAPH, generation_names

WITHOUT: Final = "vanilla"
WITH: Final = "cot"

_OF_A_STRATEGY: Final = ("strategy.", "provenance.prompt_set", *BENCHMARK)
"""Fields of the manifest in which a `cot` and a `vanilla` run of one model differ."""
_SIZE: Final = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", re.IGNORECASE)
_MILLIONS_A_BILLION: Final = 1000


class ModelAccuracy(Figures):
    """A configuration: a model under a strategy."""

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


class PublishedAccuracy(Figures):
    """A row of the published table."""

    model: str
    """With its size, such as `Qwen2.5 7B`."""
    strategy: str
    accuracy: float
    """In 0..1, over the same benchmarks, recomputed from the row's own figures."""
    printed: str
    """The printed mean, in per cent, if the row's own figures do not give it; else empty."""


class ModelSet(Figures):
    """Configurations on the same cases, and the published rows of the same benchmarks."""

    items: str
    """Which cases, in words."""
    benchmarks: tuple[str, ...]
    own: tuple[ModelAccuracy, ...]
    """By model, then by strategy."""
    published: tuple[PublishedAccuracy, ...]
    """Of whole test splits. Empty if these cases are shown in another form: free-form, five options."""


class PromptGain(Figures):
    """A model of this report; differences in -1..1."""

    model: str
    adapter: str | None
    parameters: float | None
    """In billions, from the model's name; None if it states none."""
    vanilla: tuple[int, ...]
    """Numbers of the runs, one a benchmark."""
    cot: tuple[int, ...]
    names: tuple[str, ...]
    """Of the runs, such as `cot less vanilla`, one a benchmark."""
    n: int
    """Cases compared."""
    left_out: int
    """Cases with an unscored sample in either run."""
    difference: float
    """Accuracy of `cot` less accuracy of `vanilla` on the same cases, weighted by the benchmarks' sizes."""
    low: float
    high: float
    """95% interval, by the paired bootstrap over the cases of each benchmark."""


class PublishedGain(Figures):
    """A model of the published table."""

    model: str
    """With its size, such as `Qwen2.5 7B`."""
    parameters: int | None
    """In billions; None if it is not public."""
    difference: float
    """Of the two rows' means over the same benchmarks, each recomputed from its row, in -1..1."""


class GainSet(Figures):
    """Gains on the same cases, and the published gains on the same benchmarks."""

    items: str
    """Which cases, in words."""
    own: tuple[PromptGain, ...]
    published: tuple[PublishedGain, ...]
    """Of whole test splits. Empty if these cases are shown in another form, or are not a benchmark's."""

    @property
    def every(self) -> tuple[PromptGain | PublishedGain, ...]:
        """The report's own, then the published ones."""
        return (*self.own, *self.published)

    @property
    def drawable(self) -> bool:
        """Whether the size of any model is known."""
        return any(gain.parameters is not None for gain in self.every)


class _Pair(NamedTuple):
    """A model's runs on the benchmarks that it took both ways."""

    vanilla: Configuration
    cot: Configuration


def model_accuracies(runs: Sequence[ReportedRun], seed: int = 0) -> tuple[ModelSet, ...]:
    """Models under strategies, one set for each group of cases.

    Runs of case files are left out, since nothing is published for them.
    """
    groups: dict[str, list[Configuration]] = {}
    for line in configurations([run for run in runs if run.benchmark in CASES]):
        groups.setdefault(items_of(line), []).append(line)
    return tuple(_model_set(items, lines, seed) for items, lines in groups.items())


def _model_set(items: str, lines: Sequence[Configuration], seed: int) -> ModelSet:
    own = [_model_accuracy(line, seed) for line in lines]
    beside = may_stand_beside_published(lines[0])
    own.sort(key=lambda row: (row.model, row.adapter or "", place_of(row.strategy), row.runs))
    return ModelSet(
        items=items,
        benchmarks=tuple(lines[0]),
        own=tuple(own),
        published=tuple(published_accuracies(tuple(lines[0]))) if beside else (),
    )


def _model_accuracy(line: Configuration, seed: int) -> ModelAccuracy:
    runs = [run.result for run in line.values()]
    first, torn = runs[0], any(run.incomplete for run in runs)
    accuracy = first.accuracy
    if len(runs) > 1:
        low = _estimate(line, seed, unscored_right=False)
        high = _estimate(line, seed, unscored_right=True) if torn else low
        accuracy = Accuracy.between(low, high, incomplete=torn)
    return ModelAccuracy(
        runs=tuple(run.number for run in runs),
        names=tuple(run.name for run in runs),
        model=first.model,
        adapter=first.adapter,
        strategy=first.strategy,
        settings=settings_in_words(first),
        accuracy=accuracy,
    )


def _estimate(line: Configuration, seed: int, *, unscored_right: bool) -> Estimate | None:
    groups = [Group(shares(row.run, unscored_right=unscored_right), row.weight) for row in line.values()]
    return weighted_accuracy(groups, seed)


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
            accuracy=float(mean / 100),
            printed=str(row.mean) if whole and abs(Fraction(row.mean) - mean) > TOLERANCE else "",
        )


def prompt_gains(runs: Sequence[ReportedRun], seed: int = 0) -> tuple[GainSet, ...]:
    """The gains of all models that were run both ways, one set for each group of cases."""
    groups: dict[str, list[_Pair]] = {}
    for pair in _pairs(runs):
        groups.setdefault(items_of(pair.cot), []).append(pair)
    sets = []
    for items, pairs in groups.items():
        own = [gain for pair in pairs if (gain := _gain(pair, seed))]
        if own:
            beside = all(map(may_stand_beside_published, pairs[0]))
            known = tuple(published_gains(tuple(pairs[0].cot))) if beside else ()
            sets.append(GainSet(items=items, own=tuple(own), published=known))
    return tuple(sets)


def _pairs(runs: Sequence[ReportedRun]) -> Iterator[_Pair]:
    """Runs of one model both ways. Each run is in one pair at most, the first that it fits."""
    known = [run for run in runs if run.result.strategy in {WITHOUT, WITH}]
    for family in families(known, but_for=_OF_A_STRATEGY):
        vanillas, cots = (
            configurations([run for run in family if run.result.strategy == name]) for name in (WITHOUT, WITH)
        )
        for cot in cots:
            for place, vanilla in enumerate(vanillas):
                shared = [
                    name for name in cot if name in vanilla and not obstacle(vanilla[name].run, cot[name].run)
                ]
                if shared:
                    del vanillas[place]
                    yield _Pair(*({name: line[name] for name in shared} for line in (vanilla, cot)))
                    break


def _gain(pair: _Pair, seed: int) -> PromptGain | None:
    """None if a benchmark has no case that both have scored."""
    both = list(zip(pair.vanilla.values(), pair.cot.values(), strict=True))
    groups = [
        Group([share_of(b, case) - share_of(a, case) for case in complete_in_both(a, b)], b.weight)
        for a, b in both
    ]
    gain = weighted_difference(groups, seed)
    if gain is None:
        return None
    first = both[0][1].result
    return PromptGain(
        model=first.model,
        adapter=first.adapter,
        parameters=parameters_in(first.model),
        vanilla=tuple(a.result.number for a, _ in both),
        cot=tuple(b.result.number for _, b in both),
        names=tuple(f"{b.name} less {a.name}" for a, b in both),
        n=gain.n,
        left_out=sum(b.run.size for _, b in both) - gain.n,
        difference=gain.value,
        low=gain.interval.low,
        high=gain.interval.high,
    )


def published_gains(benchmarks: Collection[str]) -> Iterator[PublishedGain]:
    """The published models with a row for both ways, over some benchmarks."""
    rows = {(model_of(row), row.strategy): row for row in published()}
    for (model, strategy), row in rows.items():
        other = rows.get((model, WITH))
        if strategy == WITHOUT and other:
            gain = weighted_mean(other, benchmarks) - weighted_mean(row, benchmarks)
            yield PublishedGain(model=model, parameters=row.parameters, difference=float(gain / 100))


def model_of(row: PublishedRow) -> str:
    """Family and size of a published row, such as `Qwen2.5 7B`."""
    return f"{row.family} {row.size}".rstrip()


def place_of(strategy: str) -> tuple[int, bool]:
    """Sort key of a model's strategies: the registry's order, with the graph and unknown ones last.

    The published `cot sft` follows `cot`.
    """
    known, base = (*generation_names(), GRAPH), strategy.removesuffix(" sft")
    return known.index(base) if base in known else len(known), base != strategy


def parameters_in(name: str) -> float | None:
    """Parameters in billions, from a model's name: 7 for `Qwen/Qwen2.5-7B-Instruct`, 0.135 for `SmolLM2-135M`.

    Of a path or a repository's name the last part counts. Nothing is guessed.

    Returns:
        None if the name states no size, counts experts (`8x7B`), states only active or effective parameters
        (`A3B`, `E4B`), or has two sizes.
    """
    stated = _SIZE.findall(name.rstrip("/").rpartition("/")[2])
    sizes = {float(count) / (_MILLIONS_A_BILLION if unit in "mM" else 1) for count, unit in stated}
    return sizes.pop() if len(sizes) == 1 and min(sizes) > 0 else None
