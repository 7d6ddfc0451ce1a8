"""A configuration: one way to answer (model, adapter, strategy, settings), with its run on each benchmark."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from ddxgraph.eval.report.comparison import Entrant, families
from ddxgraph.eval.report.published import CASES

BENCHMARK: Final = ("selection.benchmark", "selection.size", "selection.sha256")
"""In what the runs of a configuration may differ."""

Configuration: TypeAlias = Mapping[str, Entrant]
"""Benchmark to the run on it, in the published table's order of benchmarks; '' stands for a case file."""


def configurations(entrants: Sequence[Entrant]) -> list[Configuration]:
    """Runs that differ in nothing but the benchmark, together.

    A benchmark that was run twice in one way makes a second configuration: the same run again, in another folder.
    """
    found: list[dict[str, Entrant]] = []
    for family in families(entrants, but_for=BENCHMARK):
        lines: list[dict[str, Entrant]] = []
        for one in family:
            benchmark = benchmark_of(one)
            line = next((line for line in lines if benchmark not in line), None)
            if line is None:
                lines.append(line := {})
            line[benchmark] = one
        found += lines
    order = {name: place for place, name in enumerate(CASES)}
    return [dict(sorted(line.items(), key=lambda item: order.get(item[0], len(order)))) for line in found]


def benchmark_of(one: Entrant) -> str:
    """The benchmark that a run took; empty for a case file."""
    selection = one.run.manifest.selection
    return selection.benchmark if selection else ""


def weight_of(one: Entrant) -> int:
    """Cases of the whole benchmark, whatever part of it was run; the weight of the run in a mean."""
    selection = one.run.manifest.selection
    return selection.size if selection and selection.size else one.run.size


def items_of(line: Configuration) -> str:
    """The cases of a configuration, in words; equal for configurations on the same cases."""
    return "; ".join(one.items for one in line.values())


def may_stand_beside_published(line: Configuration) -> bool:
    """Whether its runs took benchmarks of the published table, with their four options."""
    chosen = [one.run.manifest.selection for one in line.values()]
    return all(
        selection is not None
        and selection.benchmark in CASES
        and not selection.five_options
        and not selection.free_form
        for selection in chosen
    )
