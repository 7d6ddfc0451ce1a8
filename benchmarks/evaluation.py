"""What scoring and reporting cost: run folders as the graph writes them, then `score_run` to report.

The traces are one real walk on a scripted model, written again and again with other cases, answers and lengths,
so a line has a real line's size and shape. Scoring, evaluating and writing the report are timed in a process of
its own, whose peak memory is told beside. Prints JSON. While it runs the folders take some 10 kB a trace.

    python benchmarks/evaluation.py [--traces 50000] [--runs 5] [--samples 4]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from driver import MIB, peak_mib
from orchestration import CASE

from ddxgraph import Case, Gold, GraphStrategy, Trace
from ddxgraph.batch.manifest import manifest
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.eval.report.evaluation import evaluate
from ddxgraph.eval.report.write import write_report
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.testing import ScriptedChatModel

LETTERS = "ABCD"


@dataclass(frozen=True)
class Cases:
    """So many cases, made one at a time as they are read."""

    count: int

    def __iter__(self) -> Iterator[CaseEntry]:
        for number in range(self.count):
            case = CASE.model_copy(
                update={"id": f"case-{number}", "vignette": f"Patient {number}. {CASE.vignette}"}
            )
            yield CaseEntry(case, Gold(case=case.id, answer=LETTERS[Random(number).randrange(4)]))


def write_run(folder: Path, cases: Cases, samples: int, strategy: GraphStrategy, seed: int) -> None:
    """A run folder with one trace a case and sample, right about every other time."""
    model = ScriptedChatModel(record=False)
    settled = strategy.settle(model)
    folder.mkdir()
    known = manifest((entry.case for entry in cases), samples, settled)
    (folder / "run.json").write_text(known.model_dump_json())
    walk: Trace = asyncio.run(strategy(CASE, model))
    luck = Random(seed)
    with (folder / "traces.jsonl").open("w", encoding="utf-8") as out:
        for case, gold in cases:
            assert gold
            for sample in range(samples):
                out.write(_line(walk, case, sample, gold.answer, luck, settled.trace_id(case, sample)))


def _line(walk: Trace, case: Case, sample: int, gold: str, luck: Random, trace_id: str) -> str:
    answer = gold if luck.random() < 1 / 2 else luck.choice(LETTERS)
    sure = luck.uniform(0.3, 0.9)
    changed = {
        "id": trace_id,
        "case": case,
        "sample": sample,
        "answer": answer,
        "distribution": {letter: sure if letter == answer else (1 - sure) / 3 for letter in LETTERS},
        "usage": walk.usage.model_copy(update={"completion_tokens": luck.randrange(300, 1500)}),
        "elapsed_s": luck.uniform(5, 60),
    }
    return walk.model_copy(update=changed).to_json() + "\n"


def timed(folders: list[Path], cases: Cases, report: Path) -> dict[str, Any]:
    """Score, evaluate and report."""
    start = time.perf_counter()
    runs = [score_run(folder, cases) for folder in folders]
    scored = time.perf_counter()
    found = evaluate(runs)
    evaluated = time.perf_counter()
    page = write_report(found, report)
    end = time.perf_counter()
    return {
        "score_s": round(scored - start, 1),
        "evaluate_s": round(evaluated - scored, 1),
        "report_s": round(end - evaluated, 1),
        "total_s": round(end - start, 1),
        "peak_mib": round(peak_mib()),
        "page_kib": round(page.stat().st_size / 1024),
        "accuracies": [round(run.accuracy.value, 3) for run in found.runs],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--traces", type=int, default=50_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cases = Cases(args.traces // args.runs // args.samples)
    if args.folder:
        folders = sorted(path for path in args.folder.iterdir() if path.is_dir())
        print(json.dumps(timed(folders, cases, args.folder / "report")))
        return
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        for number in range(args.runs):
            write_run(room / f"run-{number}", cases, args.samples, GraphStrategy(), number)
        size = sum(path.stat().st_size for path in room.rglob("traces.jsonl"))
        settings = ["--traces", str(args.traces), "--runs", str(args.runs), "--samples", str(args.samples)]
        child = subprocess.run(
            [sys.executable, __file__, *settings, "--folder", name],
            check=True,
            capture_output=True,
            text=True,
        )
    told = json.loads(child.stdout)
    traces = cases.count * args.samples * args.runs
    print(json.dumps({"traces": traces, "cases": cases.count, "folders_mib": round(size / MIB), **told}))


if __name__ == "__main__":
    main()
