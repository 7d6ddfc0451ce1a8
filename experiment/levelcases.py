"""The cases of a level, with their gold answers, which no strategy is ever handed."""

from ddxgraph.batch.manifest import Selection
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.training.loop.cases import LoopCases


def level_cases(split: str, level: int, count: int, seed: int = 0) -> LoopCases:
    """The first cases of a sample of a level of ddxlab.

    Args:
        split: of the benchmark.
        level: its number.
        count: how many.
        seed: draws another sample.

    Raises:
        BenchmarkError: the benchmark is not on this machine.
    """
    wanted = Selection(benchmark="ddxlab", split=split, subset=f"level-{level}", limit=count, limit_seed=seed)
    items = load(wanted)
    return LoopCases(items.entries, items.selection)
