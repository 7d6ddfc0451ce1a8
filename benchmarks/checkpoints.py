"""What keeping a traversal step by step costs, and in which of LangGraph's durability modes it resumes.

Cost: a straight walk of a four-option case (8 calls) on an instant scripted model, bare and with a checkpointer,
timed in turn; a ratio is the median over the pairs. The store is the one that `open_checkpoints` gives, with
SQLite's `PRAGMA synchronous` NORMAL (as it is opened) and FULL; `langgraph_saver` is LangGraph's own
`AsyncSqliteSaver` on the same settings, for comparison. Bytes are those that one walk leaves in the database.

Resuming: a process is killed (SIGKILL) while each of the 8 calls is in flight; another process goes on and counts
the calls that it makes again although they had ended. On a parallel engine, and on one that takes the calls of a
case in turn. Prints JSON.

    python benchmarks/checkpoints.py [--pairs 15] [--walks 20]
"""

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from orchestration import CASE

from ddxgraph import asolve, build_graph
from ddxgraph.batch.checkpoints import open_checkpoints
from ddxgraph.graph.traversal import DURABILITY
from ddxgraph.nodes.call.consultation import SERIAL_KEY
from ddxgraph.testing import ScriptedChatModel

CALLS = 8
Mode = Literal["exit", "async", "sync"]
MODES: tuple[Mode, ...] = get_args(Mode)
SETTLE_S = 0.1
"""How long the call in flight has lasted when its process is killed; a real one lasts longer."""


async def milliseconds(walk: Callable[[], Awaitable[Any]], walks: int) -> float:
    start = time.perf_counter()
    for _ in range(walks):
        await walk()
    return (time.perf_counter() - start) / walks * 1e3


async def cost(
    saver: Any, size: Callable[[], Awaitable[int]], mode: Mode, pairs: int, walks: int
) -> dict[str, Any]:
    model, number = ScriptedChatModel(record=False), count()
    bare, kept = build_graph(model), build_graph(model, checkpointer=saver)

    async def keep() -> None:
        thread = {"configurable": {"thread_id": f"{mode} {next(number)}"}}
        await kept.ainvoke({"case": CASE}, thread, durability=mode)

    before = await size()
    timed = [
        (await milliseconds(keep, walks), await milliseconds(lambda: bare.ainvoke({"case": CASE}), walks))
        for _ in range(pairs + 1)
    ][1:]  # the first pair warms up
    return {
        "kept_ms": round(statistics.median(a for a, _ in timed), 2),
        "bare_ms": round(statistics.median(b for _, b in timed), 2),
        "ratio": round(statistics.median(a / b for a, b in timed), 2),
        "bytes_a_walk": (await size() - before) // (walks * (pairs + 1)),
    }


async def costs(folder: Path, pairs: int, walks: int) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    for sync in ("NORMAL", "FULL"):
        for mode in MODES:
            async with our_saver(folder / f"{sync}-{mode}.sqlite", sync) as (saver, size):
                measured.setdefault(f"synchronous_{sync}", {})[mode] = await cost(
                    saver, size, mode, pairs, walks
                )
    async with langgraphs_saver(folder / "langgraph.sqlite") as (saver, size):
        measured["langgraph_saver"] = {DURABILITY: await cost(saver, size, DURABILITY, pairs, walks)}
    return measured


SIZE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"


@asynccontextmanager
async def our_saver(path: Path, sync: str) -> AsyncIterator[tuple[Any, Callable[[], Awaitable[int]]]]:
    async with open_checkpoints(str(path)) as saver:
        connection = saver.inner.conn  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA synchronous={sync}")

        async def size() -> int:
            return int(connection.execute(SIZE).fetchone()[0])

        yield saver, size


@asynccontextmanager
async def langgraphs_saver(path: Path) -> AsyncIterator[tuple[Any, Callable[[], Awaitable[int]]]]:
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous=NORMAL")

        async def size() -> int:
            async with saver.conn.execute(SIZE) as cursor:
                row = await cursor.fetchone()
            return int(row[0]) if row else 0

        yield saver, size


class Counting(ScriptedChatModel):
    """Counts its calls; from a certain one on it does not answer."""

    last: int = CALLS
    made: int = 0

    async def ainvoke(self, *given: Any, **options: Any) -> Any:
        self.made += 1
        if self.made > self.last:
            await asyncio.sleep(SETTLE_S)
            print("in the call", flush=True)
            await asyncio.Event().wait()
        return await super().ainvoke(*given, **options)


async def walk_to_be_killed(path: str, mode: Mode, serial: bool) -> None:
    """Eight walks side by side, each in another call when all of them wait."""

    async def walk(good: int) -> None:
        model = Counting(last=good, record=False, metadata={SERIAL_KEY: serial})
        thread = {"configurable": {"thread_id": str(good)}}
        graph = build_graph(model, checkpointer=saver)
        await graph.ainvoke({"case": CASE}, thread, durability=mode)

    async with open_checkpoints(path) as saver:
        await asyncio.gather(*(walk(good) for good in range(CALLS)))


async def walk_on(path: str, serial: bool) -> list[int]:
    """Calls that are made again, by the number of those that had ended."""
    again = []
    async with open_checkpoints(path) as saver:
        for good in range(CALLS):
            model = Counting(record=False, metadata={SERIAL_KEY: serial})
            await asolve(build_graph(model, checkpointer=saver), CASE, thread=str(good))
            again.append(model.made - (CALLS - good))
    return again


def calls_made_again(folder: Path, mode: Mode, serial: bool) -> list[int]:
    path = str(folder / f"killed-{mode}-{serial}.sqlite")
    command = [sys.executable, __file__, "--killed", path, mode, str(int(serial))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for _ in range(CALLS):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    return asyncio.run(walk_on(path, serial))


def measure(pairs: int, walks: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        again = {
            mode: {
                kind: calls_made_again(folder, mode, serial)
                for kind, serial in (("parallel", False), ("serial", True))
            }
            for mode in MODES
        }
        measured = asyncio.run(costs(folder, pairs, walks))
    resuming = [mode for mode in MODES if not any(any(lost) for lost in again[mode].values())]
    cheapest = min(resuming, key=lambda mode: measured["synchronous_NORMAL"][mode]["ratio"], default=None)
    return {
        **measured,
        "calls_made_again_by_calls_ended": again,
        "cheapest_that_resumes": cheapest,
        "durability": DURABILITY,
    }


def main() -> None:
    if sys.argv[1:2] == ["--killed"]:
        _, _, path, mode, serial = sys.argv
        asyncio.run(walk_to_be_killed(path, next(m for m in MODES if m == mode), serial == "1"))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--walks", type=int, default=20)
    args = parser.parse_args()
    print(json.dumps({**measure(args.pairs, args.walks), **vars(args)}))


if __name__ == "__main__":
    main()
