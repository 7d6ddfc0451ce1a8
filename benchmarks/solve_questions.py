"""Solve the first questions of a MedQA file on the model in force, and say what each traversal took.

    python benchmarks/solve_questions.py dev.jsonl --first 20 [--max-backtracks 3] [--out traces.jsonl]

MedQA's rows (`question`, `options`, `answer_idx`) become cases; the gold letter never does. Without
DDXGRAPH_BASE_URL the embedded engine is used. Prints a table on stderr and JSON on stdout; exits 1 if any
traversal ended without an option letter, without a stated reason or with an unreadable reply.
"""

import argparse
import json
import sys
from itertools import islice
from pathlib import Path

from medqa import cases

from ddxgraph import Budget, Trace, build_graph, connect, solve
from ddxgraph.batch.tracefile import append_trace


def whole(trace: Trace) -> bool:
    """Answered with an option's letter, no unreadable reply, every step there."""
    return (
        trace.outcome == "answered"
        and trace.answer in trace.case.options
        and trace.steps[-1].node == "conclude"
        and not any(step.failure for step in trace.steps)
    )


def row_of(trace: Trace) -> dict[str, object]:
    share = trace.usage.cache_share
    return {
        "case": trace.case.id,
        "answer": trace.answer,
        "ended": trace.ended,
        "calls": trace.usage.calls,
        "prompt_tokens": trace.usage.prompt_tokens,
        "cached_share": None if share is None else round(share, 3),
        "completion_tokens": trace.usage.completion_tokens,
        "backtracks": trace.backtracks,
        "repairs": sum(bool(step.attempts) for step in trace.steps),
        "seconds": round(trace.elapsed_s, 1),
        "whole": whole(trace),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--first", type=int, default=20)
    parser.add_argument("--max-backtracks", type=int, default=Budget().max_backtracks)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    graph = build_graph(connect(concurrency=1), budget=Budget(max_backtracks=args.max_backtracks))
    rows, prompt, cached = [], 0, 0
    for case in islice(cases(args.file), args.first):
        trace = solve(graph, case)
        if args.out:
            append_trace(args.out, trace)
        rows.append(row_of(trace))
        prompt += trace.usage.prompt_tokens
        cached += trace.usage.cached_tokens or 0
        if len(rows) == 1:
            print(" | ".join(rows[0]), file=sys.stderr)
        print(" | ".join(str(value) for value in rows[-1].values()), file=sys.stderr, flush=True)
    all_whole = all(row["whole"] for row in rows)
    print(json.dumps({"rows": rows, "all_whole": all_whole, "cached_share": round(cached / prompt, 3)}))
    return 0 if all_whole else 1


if __name__ == "__main__":
    sys.exit(main())
