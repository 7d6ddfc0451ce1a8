"""Does a run keep its engine busy, and does the engine reuse what it has read?

1. The first cases of a MedQA file are run through the graph, so many at a time, into a run folder; the body of
   every request is recorded as it leaves.
2. The very same bodies are sent by plain async HTTP, so many conversations at a time, the requests of each in
   their order, those side by side that the run had side by side.

Without --base-url, both use an embedded engine, each its own (in the replay only the number of the slot is set to
the worker's own). With it, both use that server, such as vLLM; the requests of the replay carry a `cache_salt`,
and their schemas another title, so that they find nothing of the run's in the prefix cache and among the grammars
that were compiled.

With `--rounds`, the cases are taken in so many parts, each run and then replayed, so that a machine whose speed
drifts treats both alike; the engines stay up in between, and keep what they remember.

Prints JSON: wall times, their ratio (1 where the run loses nothing over the raw replay; the engine writes
nearly, not exactly, the same number of tokens twice, so the ratio of tokens a second is given too), the share of
its conversations' time in which the run had no request under way, and the share of the prompts' tokens that came
from the prefix cache.

    python benchmarks/saturation.py dev.jsonl [--first 40] [--concurrency 8] [--max-backtracks 0] [--rounds 1]
        [--base-url http://127.0.0.1:8000/v1] [--model NAME] [--brief]

Nothing else may run on the machine meanwhile: the engine's threads spin.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import OrderedDict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import httpx
from medqa import cases

from ddxgraph import Budget, Case, GraphStrategy, Limits, connect, read_traces, run
from ddxgraph.serving.connect import KEY_VARIABLE
from ddxgraph.serving.engine import EmbeddedEngine
from ddxgraph.serving.served import ServedChatModel
from ddxgraph.serving.weights import SMOLLM2, pull

OPENING_MESSAGES = 2
"""System message and case: the same in every request of a conversation."""

IDLE_S = 1.0
"""Seconds after which the replay opens a new connection. vLLM closes those that idle for 5 s, as httpx
does: a request that is sent at that moment is lost."""


@dataclass
class Phase:
    """Sums over the rounds."""

    seconds: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    client_cpu_s: float = 0.0
    """Of this process; an embedded engine's is counted in."""

    @property
    def written_per_s(self) -> float:
        return self.completion_tokens / self.seconds

    @property
    def cached_share(self) -> float:
        return round(self.cached_tokens / self.prompt_tokens, 3)

    def shown(self) -> dict[str, float]:
        return {
            "seconds": round(self.seconds, 1),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "completion_tokens_per_s": round(self.written_per_s, 1),
            "cached_share": self.cached_share,
            "client_cpu_s": round(self.client_cpu_s, 1),
        }


@dataclass
class Exchange:
    """A request's body, and when it was sent and answered."""

    body: bytes
    begun: float
    answered: float = 0.0


class Conversation(list[Exchange]):
    """The exchanges of one traversal, in the order of their start."""

    def waves(self) -> list[list[Exchange]]:
        """Exchanges that were under way together, by turns."""
        waves: list[list[Exchange]] = []
        for exchange in self:
            if waves and exchange.begun < max(e.answered for e in waves[-1]):
                waves[-1].append(exchange)
            else:
                waves.append([exchange])
        return waves

    @property
    def silent_s(self) -> float:
        """Seconds without a request under way."""
        waves = self.waves()
        return sum(then[0].begun - max(e.answered for e in before) for before, then in pairwise(waves))

    @property
    def whole_s(self) -> float:
        return max(e.answered for e in self) - self[0].begun


class Recorder:
    """Hooks of an HTTP client that keep the chat requests, apart by conversation, in the order of their start."""

    def __init__(self) -> None:
        self.conversations: OrderedDict[str, Conversation] = OrderedDict()

    def install(self, client: Any) -> None:
        client.event_hooks["request"].append(self._request)
        client.event_hooks["response"].append(self._response)

    def taken(self) -> list[Conversation]:
        """The conversations since the last call."""
        taken = list(self.conversations.values())
        self.conversations.clear()
        return taken

    async def _request(self, request: Any) -> None:
        messages = json.loads(request.content)["messages"]
        conversation = self.conversations.setdefault(json.dumps(messages[:OPENING_MESSAGES]), Conversation())
        exchange = Exchange(request.content, time.perf_counter())
        conversation.append(exchange)
        request.extensions["exchange"] = exchange

    async def _response(self, response: Any) -> None:
        await response.aread()
        response.request.extensions["exchange"].answered = time.perf_counter()


class Replay:
    """A plain client that sends recorded bodies to a server, or to an embedded engine of its own."""

    def __init__(self, concurrency: int, base_url: str | None, api_key: str | None) -> None:
        self.phase = Phase()
        self._workers = range(concurrency)
        self._base_url, self._api_key = base_url, api_key
        self._engine = None
        if base_url is None:
            self._engine = EmbeddedEngine(pull(SMOLLM2), concurrency, SMOLLM2.context_tokens)
            self._base_url, self._api_key = self._engine.base_url, self._engine.api_key

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._api_key}", "Content-Type": "application/json"}
        kept = httpx.Limits(keepalive_expiry=IDLE_S)
        return httpx.AsyncClient(
            base_url=self._base_url, headers=headers, timeout=600, limits=kept, trust_env=False
        )

    async def send(self, client: httpx.AsyncClient, conversations: list[Conversation]) -> float:
        """Send them all; gives the seconds that it took."""
        waiting = iter(conversations)

        async def ask(body: bytes) -> None:
            reply = await client.post("/chat/completions", content=body)
            reply.raise_for_status()
            usage = reply.json()["usage"]
            self.phase.prompt_tokens += usage["prompt_tokens"]
            self.phase.cached_tokens += usage["prompt_tokens_details"]["cached_tokens"]
            self.phase.completion_tokens += usage["completion_tokens"]

        async def work(worker: int) -> None:
            for conversation in waiting:
                for wave in conversation.waves():
                    await asyncio.gather(*(ask(self._body(exchange.body, worker)) for exchange in wave))

        start, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*map(work, self._workers))
        seconds = time.perf_counter() - start
        self.phase.seconds += seconds
        self.phase.client_cpu_s += time.process_time() - cpu
        return seconds

    def _body(self, body: bytes, worker: int) -> bytes:
        told = json.loads(body)
        if self._engine:
            told["id_slot"] = worker
        else:
            told["cache_salt"] = "replay"
            told["response_format"]["json_schema"]["schema"]["title"] = "Replay"
        return json.dumps(told).encode()


async def run_part(
    questions: list[Case], model: ServedChatModel, strategy: GraphStrategy, concurrency: int, folder: Path
) -> Phase:
    start, cpu = time.perf_counter(), time.process_time()
    async for trace in run(questions, model, strategy=strategy, concurrency=concurrency, out=folder):
        print(f"{trace.case.id} {trace.outcome} {trace.elapsed_s:.0f} s", file=sys.stderr, flush=True)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    usage = [trace.usage for trace in read_traces(folder / "traces.jsonl")]
    return Phase(
        seconds,
        sum(u.prompt_tokens for u in usage),
        sum(u.cached_tokens or 0 for u in usage),
        sum(u.completion_tokens for u in usage),
        cpu,
    )


async def measure(questions: list[Case], args: argparse.Namespace, room: Path) -> dict[str, Any]:
    model = connect(args.base_url, args.model, concurrency=args.concurrency)
    assert isinstance(model, ServedChatModel)
    recorder = Recorder()
    recorder.install(model.root_async_client._client)
    limits = Limits.brief() if args.brief else None
    strategy = GraphStrategy(budget=Budget(max_backtracks=args.max_backtracks), limits=limits)
    replay = Replay(args.concurrency, args.base_url, os.environ.get(KEY_VARIABLE))
    ours, conversations = Phase(), list[Conversation]()
    shares, seconds = [], []
    async with AsyncExitStack() as held:
        client = await held.enter_async_context(replay.client())
        size = -(-len(questions) // args.rounds)
        for number, start in enumerate(range(0, len(questions), size)):
            part = questions[start : start + size]
            done = await run_part(part, model, strategy, args.concurrency, room / f"run-{number}")
            shares.append(done.cached_share)
            for name, value in vars(done).items():
                setattr(ours, name, getattr(ours, name) + value)
            recorded = recorder.taken()
            replayed = await replay.send(client, recorded)
            seconds.append((done.seconds, replayed))
            conversations += recorded
    return {
        "cases": len(conversations),
        "requests": sum(map(len, conversations)),
        "concurrency": args.concurrency,
        "run": ours.shown(),
        "raw_replay": replay.phase.shown(),
        "throughput_ratio": round(replay.phase.seconds / ours.seconds, 3),
        "throughput_ratio_by_round": [round(replayed / run, 3) for run, replayed in seconds],
        "seconds_by_round": [(round(run, 2), round(replayed, 2)) for run, replayed in seconds],
        "tokens_per_s_ratio": round(ours.written_per_s / replay.phase.written_per_s, 3),
        "silent_share": round(
            sum(c.silent_s for c in conversations) / sum(c.whole_s for c in conversations), 4
        ),
        "cached_share": ours.cached_share,
        "cached_share_by_round": shares,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--first", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--max-backtracks", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument(
        "--brief", action="store_true", help="limits for a small model, as the embedded one has"
    )
    parser.add_argument("--out", type=Path, help="keep the run folders in this one")
    args = parser.parse_args()
    questions = list(islice(cases(args.file), args.first))
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asyncio.run(measure(questions, args, args.out or Path(name)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
