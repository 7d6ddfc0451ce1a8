"""Which of vLLM's flags matter to the graph?

Starts vLLM once for each set of flags, takes the first cases of a MedQA file through the graph, and prints a line
of JSON: wall time, prompt tokens and the share of them that came from the prefix cache, completion tokens, and
seconds until the engine answered.

    python benchmarks/serving_flags.py dev.jsonl --python .venv-vllm/bin/python [--first 16] [--concurrency 8]
        [--model smollm2] [--only NAME ...] [-- further flags of vLLM's]

On a CPU give `-- --enforce-eager`, and let nothing else run on the machine.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from medqa import cases

from ddxgraph import Budget, Case, GraphStrategy, Limits, connect, run, serve
from ddxgraph.nodes.call.usage import total_usage

FREE_BLANKS: Final = json.dumps({"backend": "xgrammar", "disable_any_whitespace": False})
VARIANTS: Final[Mapping[str, Sequence[str]]] = {
    "as served": (),
    "no prefix cache": ("--no-enable-prefix-caching",),
    "free white space": ("--structured-outputs-config", FREE_BLANKS),
    "blocks of 16": ("--block-size", "16"),
    "blocks of 128": ("--block-size", "128"),
}


async def walk(questions: list[Case], base_url: str, model: str, concurrency: int) -> dict[str, Any]:
    strategy = GraphStrategy(budget=Budget(max_backtracks=0), limits=Limits.brief())
    chat = connect(base_url, model)
    start = time.perf_counter()
    traces = [t async for t in run(questions, chat, strategy=strategy, concurrency=concurrency)]
    seconds = time.perf_counter() - start
    usage = total_usage([trace.usage for trace in traces])
    return {
        "seconds": round(seconds, 1),
        "prompt_tokens": usage.prompt_tokens,
        "cached_share": round((usage.cached_tokens or 0) / usage.prompt_tokens, 3),
        "completion_tokens": usage.completion_tokens,
        "answered": sum(trace.outcome == "answered" for trace in traces),
    }


def measure(flags: Sequence[str], questions: list[Case], args: argparse.Namespace) -> dict[str, Any]:
    start = time.perf_counter()
    with serve(args.model, python=args.python, extra=[*args.extra, *flags]) as endpoint:
        ready = time.perf_counter() - start
        found = asyncio.run(walk(questions, endpoint.base_url, endpoint.model, args.concurrency))
    return {**found, "ready_s": round(ready, 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--first", type=int, default=16)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    told = sys.argv[1:]
    ours = told.index("--") if "--" in told else len(told)
    args = parser.parse_args(told[:ours])
    args.extra = told[ours + 1 :]
    questions = list(islice(cases(args.file), args.first))
    for name in args.only:
        print(json.dumps({"flags": name, **measure(VARIANTS[name], questions, args)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
