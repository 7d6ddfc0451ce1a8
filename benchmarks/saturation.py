"""Does a run keep the embedded engine busy, and does the engine reuse what it has read?

1. The first cases of a MedQA file are run through the graph on an embedded engine, so many at a time, into a run
   folder; the body of every request is recorded as it leaves.
2. The very same bodies are sent to another such engine by plain async HTTP, so many conversations at a time,
   each conversation's requests in their order (only the number of the slot is set to the worker's own).

With `--rounds`, the cases are taken in so many parts, each run and then replayed, so that a machine whose speed
drifts treats both alike; the engines stay up in between, and keep what they remember.

Prints JSON: wall times, their ratio (1 where the run loses nothing over the raw replay; the engine writes
nearly, not exactly, the same number of tokens twice, so the ratio of tokens a second is given too), the share of
its conversations' time in which the run had no request under way, and the share of the prompts' tokens that came
from the prefix cache.

    python benchmarks/saturation.py dev.jsonl [--first 40] [--concurrency 8] [--max-backtracks 0] [--rounds 1]

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
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from medqa import cases

from ddxgraph import Budget, Case, GraphStrategy, connect, read_traces, run
from ddxgraph.serving.embedded import EmbeddedChatModel, EmbeddedEngine
from ddxgraph.serving.weights import SMOLLM2, pull

OPENING_MESSAGES = 2
"""System message and case: the same in every request of a conversation."""


@dataclass
class Phase:
    """Sums over the rounds."""

    seconds: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

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
        }


@dataclass
class Conversation:
    """The requests of one traversal: their bodies, and when each began and was answered."""

    bodies: list[bytes] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    @property
    def silent_s(self) -> float:
        """Seconds between an answer and the next request."""
        return sum(then - before for before, then in zip(self.answered, self.begun[1:], strict=False))

    @property
    def whole_s(self) -> float:
        return self.answered[-1] - self.begun[0]


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

    def _of(self, request: Any) -> Conversation:
        messages = json.loads(request.content)["messages"]
        return self.conversations.setdefault(json.dumps(messages[:OPENING_MESSAGES]), Conversation())

    async def _request(self, request: Any) -> None:
        conversation = self._of(request)
        conversation.bodies.append(request.content)
        conversation.begun.append(time.perf_counter())

    async def _response(self, response: Any) -> None:
        self._of(response.request).answered.append(time.perf_counter())


class Replay:
    """An engine, and a plain client that sends it recorded bodies."""

    def __init__(self, concurrency: int) -> None:
        self.phase = Phase()
        self._engine = EmbeddedEngine(pull(SMOLLM2), concurrency, SMOLLM2.context_tokens)
        self._slots = range(concurrency)

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._engine.api_key}", "Content-Type": "application/json"}
        return httpx.AsyncClient(base_url=self._engine.base_url, headers=headers, timeout=600)

    async def send(self, client: httpx.AsyncClient, conversations: list[Conversation]) -> None:
        waiting = iter(conversations)

        async def work(slot: int) -> None:
            for conversation in waiting:
                for body in with_slot(conversation.bodies, slot):
                    reply = await client.post("/chat/completions", content=body)
                    reply.raise_for_status()
                    usage = reply.json()["usage"]
                    self.phase.prompt_tokens += usage["prompt_tokens"]
                    self.phase.cached_tokens += usage["prompt_tokens_details"]["cached_tokens"]
                    self.phase.completion_tokens += usage["completion_tokens"]

        start = time.perf_counter()
        await asyncio.gather(*map(work, self._slots))
        self.phase.seconds += time.perf_counter() - start


def with_slot(bodies: list[bytes], slot: int) -> Iterator[bytes]:
    for body in bodies:
        yield json.dumps({**json.loads(body), "id_slot": slot}).encode()


async def run_part(
    questions: list[Case], model: EmbeddedChatModel, strategy: GraphStrategy, concurrency: int, folder: Path
) -> Phase:
    start = time.perf_counter()
    async for trace in run(questions, model, strategy=strategy, concurrency=concurrency, out=folder):
        print(f"{trace.case.id} {trace.outcome} {trace.elapsed_s:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    usage = [trace.usage for trace in read_traces(folder / "traces.jsonl")]
    return Phase(
        seconds,
        sum(u.prompt_tokens for u in usage),
        sum(u.cached_tokens or 0 for u in usage),
        sum(u.completion_tokens for u in usage),
    )


async def measure(questions: list[Case], args: argparse.Namespace, room: Path) -> dict[str, Any]:
    model = connect(concurrency=args.concurrency)
    assert isinstance(model, EmbeddedChatModel)
    recorder = Recorder()
    recorder.install(model.root_async_client._client)
    strategy = GraphStrategy(budget=Budget(max_backtracks=args.max_backtracks))
    replay, ours, conversations = Replay(args.concurrency), Phase(), list[Conversation]()
    shares = []
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
            await replay.send(client, recorded)
            conversations += recorded
    return {
        "cases": len(conversations),
        "requests": sum(len(c.bodies) for c in conversations),
        "concurrency": args.concurrency,
        "run": ours.shown(),
        "raw_replay": replay.phase.shown(),
        "throughput_ratio": round(replay.phase.seconds / ours.seconds, 3),
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
    parser.add_argument("--out", type=Path, help="keep the run folders in this one")
    args = parser.parse_args()
    questions = list(islice(cases(args.file), args.first))
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(asyncio.run(measure(questions, args, args.out or Path(name)))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
