"""Does a run keep the embedded engine busy, and does the engine reuse what it has read?

1. The first cases of a MedQA file are run through the graph on a fresh embedded engine, so many at a time, into
   a run folder; the body of every request is recorded as it leaves.
2. The very same bodies are sent to another fresh engine by plain async HTTP, so many conversations at a time,
   each conversation's requests in their order (only the number of the slot is set to the worker's own).

Prints JSON: wall times, their ratio (1 where the run loses nothing over the raw replay; the engine writes
nearly, not exactly, the same number of tokens twice, so the ratio of tokens a second is given too), and the
share of the prompts' tokens that came from the prefix cache.

    python benchmarks/saturation.py dev.jsonl [--first 40] [--concurrency 8] [--max-backtracks 0]

Nothing else may run on the machine meanwhile: the engine's threads spin.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from medqa import cases

from ddxgraph import Budget, Case, GraphStrategy, connect, read_traces, run
from ddxgraph.serving.embedded import EmbeddedChatModel, EmbeddedEngine
from ddxgraph.serving.weights import SMOLLM2, pull

Bodies = list[bytes]
OPENING_MESSAGES = 2
"""System message and case: the same in every request of a conversation."""


class Phase(NamedTuple):
    seconds: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @property
    def written_per_s(self) -> float:
        return self.completion_tokens / self.seconds

    def shown(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 1),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "completion_tokens_per_s": round(self.written_per_s, 1),
            "cached_share": round(self.cached_tokens / self.prompt_tokens, 3),
        }


class Recorder:
    """Keeps the bodies of chat requests, apart by conversation, in the order in which they began."""

    def __init__(self) -> None:
        self.conversations: OrderedDict[str, Bodies] = OrderedDict()

    async def __call__(self, request: Any) -> None:
        if request.url.path.endswith("/chat/completions"):
            messages = json.loads(request.content)["messages"]
            key = json.dumps(messages[:OPENING_MESSAGES])
            self.conversations.setdefault(key, []).append(request.content)


async def run_batch(
    questions: list[Case], concurrency: int, max_backtracks: int, folder: Path
) -> tuple[Phase, list[Bodies]]:
    model = connect(concurrency=concurrency)
    assert isinstance(model, EmbeddedChatModel)
    recorder = Recorder()
    model.root_async_client._client.event_hooks["request"].append(recorder)
    strategy = GraphStrategy(budget=Budget(max_backtracks=max_backtracks))
    start = time.perf_counter()
    async for trace in run(questions, model, strategy=strategy, concurrency=concurrency, out=folder):
        print(f"{trace.case.id} {trace.outcome} {trace.elapsed_s:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    model.close()
    traces = list(read_traces(folder / "traces.jsonl"))
    sent = [len(bodies) for bodies in recorder.conversations.values()]
    assert sum(sent) == sum(trace.usage.calls for trace in traces), "a request was not recorded, or failed"
    usage = [trace.usage for trace in traces]
    return Phase(
        seconds,
        sum(u.prompt_tokens for u in usage),
        sum(u.cached_tokens or 0 for u in usage),
        sum(u.completion_tokens for u in usage),
    ), list(recorder.conversations.values())


async def replay(conversations: list[Bodies], concurrency: int) -> Phase:
    engine = EmbeddedEngine(pull(SMOLLM2), concurrency, SMOLLM2.context_tokens)
    headers = {"Authorization": f"Bearer {engine.api_key}", "Content-Type": "application/json"}
    waiting = iter(conversations)
    usages: list[dict[str, Any]] = []

    async def work(client: httpx.AsyncClient, slot: int) -> None:
        for bodies in waiting:
            for body in with_slot(bodies, slot):
                reply = await client.post("/chat/completions", content=body)
                reply.raise_for_status()
                usages.append(reply.json()["usage"])

    async with httpx.AsyncClient(base_url=engine.base_url, headers=headers, timeout=600) as client:
        start = time.perf_counter()
        await asyncio.gather(*(work(client, slot) for slot in range(concurrency)))
        seconds = time.perf_counter() - start
    engine.close()
    return Phase(
        seconds,
        sum(u["prompt_tokens"] for u in usages),
        sum(u["prompt_tokens_details"]["cached_tokens"] for u in usages),
        sum(u["completion_tokens"] for u in usages),
    )


def with_slot(bodies: Bodies, slot: int) -> Iterator[bytes]:
    for body in bodies:
        yield json.dumps({**json.loads(body), "id_slot": slot}).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--first", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--max-backtracks", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the run folder here")
    args = parser.parse_args()
    questions = list(islice(cases(args.file), args.first))
    with tempfile.TemporaryDirectory() as room:
        batch, conversations = asyncio.run(
            run_batch(questions, args.concurrency, args.max_backtracks, args.out or Path(room) / "run")
        )
    raw = asyncio.run(replay(conversations, args.concurrency))
    print(
        json.dumps(
            {
                "cases": len(conversations),
                "requests": sum(map(len, conversations)),
                "concurrency": args.concurrency,
                "run": batch.shown(),
                "raw_replay": raw.shown(),
                "throughput_ratio": round(raw.seconds / batch.seconds, 3),
                "tokens_per_s_ratio": round(batch.written_per_s / raw.written_per_s, 3),
                "cached_share": batch.shown()["cached_share"],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
