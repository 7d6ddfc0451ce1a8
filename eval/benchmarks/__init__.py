"""Benchmarks: rows in, cases with gold answers out; checked by hash and row by row.

- `registry`: names and how to look them up; the names alone import nothing heavy. `register` adds your own.
- `benchmark`: what a benchmark is. `medqa`, `medbullets`, `jama`, `ddxlab`: one module each.
- `rawfile`: rows of a published file, their digests, and what differs from them.
- `items`: the cases of a selection. `store`: fetches raw files into the data folder and checks what is there.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.common.errors import BenchmarkError as BenchmarkError
    from ddxgraph.eval.benchmarks.benchmark import Benchmark as Benchmark
    from ddxgraph.eval.benchmarks.benchmark import Split as Split
    from ddxgraph.eval.benchmarks.items import Items as Items
    from ddxgraph.eval.benchmarks.items import load as load
    from ddxgraph.eval.benchmarks.rawfile import RawFile as RawFile
    from ddxgraph.eval.benchmarks.rawfile import Row as Row
    from ddxgraph.eval.benchmarks.registry import BENCHMARKS as BENCHMARKS
    from ddxgraph.eval.benchmarks.registry import find as find
    from ddxgraph.eval.benchmarks.registry import register as register
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "BENCHMARKS": "ddxgraph.eval.benchmarks.registry",
            "Benchmark": "ddxgraph.eval.benchmarks.benchmark",
            "BenchmarkError": "ddxgraph.common.errors",
            "Items": "ddxgraph.eval.benchmarks.items",
            "RawFile": "ddxgraph.eval.benchmarks.rawfile",
            "Row": "ddxgraph.eval.benchmarks.rawfile",
            "Split": "ddxgraph.eval.benchmarks.benchmark",
            "find": "ddxgraph.eval.benchmarks.registry",
            "load": "ddxgraph.eval.benchmarks.items",
            "register": "ddxgraph.eval.benchmarks.registry",
        },
    )
