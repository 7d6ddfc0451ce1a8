"""What the driver of a run costs: thousands of cases on an instant scripted model, into a run folder.

Four figures, printed as JSON:
- a run of `--cases` cases: traces a second, peak memory and memory while it runs (sampled every tenth);
- the same kind of run in short pieces, each timed against a bare LangGraph of the same topology and the same
  concurrency (see `orchestration.py`): ratio of the time, and of the CPU time of all threads, which a busy
  neighbour lengthens less; medians over the pairs. The bare graph keeps no trace and writes nothing to disk.
  What it costs depends on how its nodes are written: plain functions, which LangGraph runs in threads; async
  functions; async functions that each call the same instant model once;
- resume: nine tenths of the traces are left in a folder, and a fresh process goes on with it. Seconds from its
  start to its first new trace, and to its end.

    python benchmarks/driver.py [--cases 10000] [--pairs 10] [--piece 200] [--concurrency 8]
"""

import argparse
import asyncio
import gc
import json
import operator
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from langchain_core.messages import HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send
from orchestration import CASE, BareCheck, BareState, bare_graph

from ddxgraph import Case, run
from ddxgraph.testing import ScriptedChatModel

MIB = 1 << 20


@dataclass(frozen=True)
class Cases:
    """So many cases, made one at a time as they are read."""

    count: int

    def __iter__(self) -> Iterator[Case]:
        for number in range(self.count):
            yield Case(
                id=f"case-{number}",
                vignette=f"Patient {number}. {CASE.vignette}",
                question=CASE.question,
                options=CASE.options,
            )


class TellingState(BareState, total=False):
    texts: Annotated[list[str], operator.add]


def telling_graph(model: ScriptedChatModel) -> Any:
    """The bare graph, each node of which calls the model once and keeps the text."""

    async def ask(state: Any) -> list[str]:
        reply = await model.ainvoke([HumanMessage("What now?")], {"metadata": {}}, max_tokens=100)
        return [str(reply.text)]

    async def review_history(state: TellingState) -> Command[Any]:
        return Command(update={"texts": await ask(state)}, goto="generate_differential")

    async def generate_differential(state: TellingState) -> Command[Any]:
        checks = [Send("check_evidence", {"hypothesis": key}) for key in state["case"].letters]
        return Command(update={"texts": await ask(state)}, goto=checks)

    async def check_evidence(check: BareCheck) -> Any:
        return {"texts": await ask(check)}

    async def reflect(state: TellingState) -> Command[Any]:
        return Command(update={"texts": await ask(state)}, goto="conclude")

    async def conclude(state: TellingState) -> Command[Any]:
        return Command(update={"texts": await ask(state)}, goto=END)

    graph = StateGraph(TellingState)
    for node in (review_history, generate_differential, check_evidence, reflect, conclude):
        reads = BareCheck if node is check_evidence else TellingState
        graph.add_node(node.__name__, node, input_schema=reads)
    graph.add_edge(START, "review_history")
    graph.add_edge("check_evidence", "reflect")
    return graph.compile()


async def walk_bare(graph: Any, cases: Iterator[Case], concurrency: int) -> None:
    """Walk cases through a graph with so many workers; nothing is kept."""

    async def work() -> None:
        for case in cases:
            await graph.ainvoke({"case": case})

    await asyncio.gather(*(work() for _ in range(concurrency)))


def resident_mib() -> float:
    """Memory of this process that is in RAM now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / MIB


def peak_mib() -> float:
    """The most memory that this program had in RAM: `ru_maxrss` counts its parent's too, from before it began."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


async def whole_run(cases: Cases, concurrency: int, folder: Path) -> dict[str, Any]:
    """Run all cases, watching memory."""
    every = max(cases.count // 10, 1)
    samples = []
    start = time.perf_counter()
    done = 0
    async for _ in run(cases, ScriptedChatModel(record=False), concurrency=concurrency, out=folder):
        done += 1
        if done % every == 0:
            samples.append(round(resident_mib(), 1))
    seconds = time.perf_counter() - start
    return {
        "cases": done,
        "seconds": round(seconds, 2),
        "traces_per_s": round(done / seconds, 1),
        "peak_mib": round(peak_mib(), 1),
        "resident_mib_every_tenth": samples,
        "growth_mib_from_second_tenth_to_end": round(samples[-1] - samples[1], 1),
        "folder_mib": round(sum(f.stat().st_size for f in folder.iterdir()) / MIB, 1),
    }


class Spent(NamedTuple):
    """What a piece took, in seconds."""

    wall: float
    cpu: float
    """Of all threads of this process."""


async def spent_by(work: Callable[[], Awaitable[None]]) -> Spent:
    start, cpu = time.perf_counter(), time.process_time()
    await work()
    return Spent(time.perf_counter() - start, time.process_time() - cpu)


async def ratios(piece: int, pairs: int, concurrency: int, room: Path) -> dict[str, dict[str, float]]:
    """Pieces of a run against pieces of bare walks, in turn."""
    model = ScriptedChatModel(record=False)
    bare = {
        "plain_functions": bare_graph(asynchronous=False),
        "async_functions": bare_graph(asynchronous=True),
        "async_functions_calling_the_model": telling_graph(model),
    }

    async def ours(number: int) -> None:
        async for _ in run(Cases(piece), model, concurrency=concurrency, out=room / f"piece-{number}"):
            pass

    # What was imported is no garbage of either side: else who happens to set off the collector pays for both.
    gc.collect()
    gc.freeze()
    timed: dict[str, list[tuple[Spent, Spent]]] = {name: [] for name in bare}
    for number in range(pairs + 1):
        mine = await spent_by(lambda number=number: ours(number))
        for name, graph in bare.items():
            theirs = await spent_by(lambda graph=graph: walk_bare(graph, iter(Cases(piece)), concurrency))
            timed[name].append((mine, theirs))
    return {name: compared(times[1:], piece) for name, times in timed.items()}


def compared(times: list[tuple[Spent, Spent]], piece: int) -> dict[str, float]:
    """Our pieces against the others, a pair at a time and the best of each."""
    return {
        "ddxgraph_ms": round(statistics.median(a.wall for a, _ in times) / piece * 1e3, 3),
        "bare_langgraph_ms": round(statistics.median(b.wall for _, b in times) / piece * 1e3, 3),
        "ratio": round(statistics.median(a.wall / b.wall for a, b in times), 3),
        "ratio_min": round(min(a.wall / b.wall for a, b in times), 3),
        "ratio_max": round(max(a.wall / b.wall for a, b in times), 3),
        # Of the best pieces: whatever else the machine does only ever adds to a piece.
        "ratio_of_best": round(min(a.wall for a, _ in times) / min(b.wall for _, b in times), 3),
        "cpu_ratio": round(statistics.median(a.cpu / b.cpu for a, b in times), 3),
        "cpu_ratio_of_best": round(min(a.cpu for a, _ in times) / min(b.cpu for _, b in times), 3),
    }


def resumed(cases: Cases, concurrency: int, whole: Path, room: Path) -> dict[str, Any]:
    """Leave nine tenths of a finished run in a folder and let a fresh process go on."""
    folder = room / "broken-off"
    folder.mkdir()
    (folder / "run.json").write_bytes((whole / "run.json").read_bytes())
    kept = cases.count * 9 // 10
    with (whole / "traces.jsonl").open("rb") as lines, (folder / "traces.jsonl").open("wb") as out:
        out.writelines(islice(lines, kept))
    start = time.time()
    settings = ["--cases", str(cases.count), "--concurrency", str(concurrency)]
    child = subprocess.run(
        [sys.executable, __file__, "--go-on", str(folder), *settings],
        check=True,
        capture_output=True,
        text=True,
    )
    told = json.loads(child.stdout)
    with (folder / "traces.jsonl").open("rb") as lines:
        ids = [line[len(b'{"version":1,"id":"') :][:16] for line in lines]
    return {
        "kept": kept,
        "done_again_or_lost": cases.count - len(set(ids)) + len(ids) - len(set(ids)),
        "done": told["done"],
        "seconds_to_first_new_trace": round(told["first"] - start, 2),
        "seconds_to_end": round(told["end"] - start, 2),
    }


async def go_on(cases: Cases, concurrency: int, folder: Path) -> dict[str, Any]:
    """What the fresh process does."""
    first, done = 0.0, 0
    async for _ in run(cases, ScriptedChatModel(record=False), concurrency=concurrency, out=folder):
        first = first or time.time()
        done += 1
    return {"done": done, "first": first, "end": time.time()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--piece", type=int, default=200)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--go-on", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cases = Cases(args.cases)
    if args.go_on:
        print(json.dumps(asyncio.run(go_on(cases, args.concurrency, args.go_on))))
        return
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        whole = asyncio.run(whole_run(cases, args.concurrency, room / "whole"))
        resume = resumed(cases, args.concurrency, room / "whole", room)
        paired = asyncio.run(ratios(args.piece, args.pairs, args.concurrency, room))
    print(json.dumps({"run": whole, "resume": resume, "ratio_to_bare_langgraph": paired}))


if __name__ == "__main__":
    main()
