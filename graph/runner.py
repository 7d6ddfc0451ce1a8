"""Many traversals: a strategy over cases and samples, bounded, streaming, saved as they end."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from langchain_core.language_models import BaseChatModel

from ddxgraph.graph.manifest import manifest
from ddxgraph.graph.plan import CaseTooLong
from ddxgraph.graph.runfolder import RunFolder, open_run
from ddxgraph.graph.strategy import GraphStrategy, Settled, Strategy
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import Failure, FailureKind

GRACE_S = 5.0
"""Seconds that traversals in flight have to end once a run is told to stop."""


class TooManyFailures(RuntimeError):  # noqa: N818 - reads as what happened
    """So many traversals failed one after another that the rest would too; all of them are on record."""


class Job(NamedTuple):
    """One traversal to do."""

    case: Case
    sample: int
    trace_id: str


def jobs_of(cases: Iterable[Case], samples: int, settled: Settled) -> Iterator[Job]:
    """The traversals of a run, each once, the samples of a case together."""
    seen: set[str] = set()
    for case in cases:
        for sample in range(samples):
            trace_id = settled.trace_id(case, sample)
            if trace_id not in seen:
                seen.add(trace_id)
                yield Job(case, sample, trace_id)


async def run(
    cases: Iterable[Case],
    model: BaseChatModel,
    *,
    strategy: Strategy | None = None,
    samples: int = 1,
    concurrency: int = 8,
    out: RunFolder | Path | str | None = None,
    fork: bool = False,
    stop: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
    give_up_after: int | None = None,
) -> AsyncIterator[Trace]:
    """Take cases to traces, many at a time; yields each trace as it ends, in no fixed order.

    With `out`, a trace is on the disk before it is yielded, and what the folder has already is neither done nor
    yielded again: the same call goes on where an earlier one was broken off, and tries again what failed
    (`read_traces(folder / "traces.jsonl")` gives them all). Memory does not grow with the traces.

    Args:
        cases: the cases. With a folder they are read twice; an iterator is therefore kept in a list.
        model: the chat model.
        strategy: how to take a case to a trace; the graph with its default settings where None.
        samples: traversals of each case; sample k adds k to the seed. Give the strategy a temperature.
        concurrency: traversals at a time.
        out: a run folder, made where it is missing (or one that `open_run` opened).
        fork: see `open_run`.
        stop: once set, nothing new is started.
        grace_s: seconds that the traversals in flight then have to end before they are dropped.
        give_up_after: failures in a row that end the run; by default twice the concurrency, and at least 16.

    Raises:
        RunFolderError, TraceFileError: see `open_run`.
        TooManyFailures: the engine, or the strategy, fails whatever it is given.
    """
    strategy = strategy or GraphStrategy()
    settled = strategy.settle(model)
    limit = give_up_after or max(16, 2 * concurrency)
    with ExitStack() as held:
        folder: RunFolder | None = None
        if isinstance(out, RunFolder):
            folder = out
        elif out is not None:
            cases = list(cases) if isinstance(cases, Iterator) else cases
            kept = cases
            folder = held.enter_context(
                open_run(
                    Path(out),
                    manifest(kept, samples, settled),
                    fork=fork,
                    ids=lambda: (job.trace_id for job in jobs_of(kept, samples, settled)),
                )
            )
        jobs = jobs_of(cases, samples, settled)
        todo = (job for job in jobs if folder is None or job.trace_id not in folder)
        taker = _Taker(strategy, model, settled)
        async with _Pool(todo, taker, concurrency, stop or asyncio.Event(), grace_s, folder) as pool:
            failures = 0
            while batch := await pool.batch():
                for trace in batch:
                    failures = failures + 1 if _is_trouble(trace) else 0
                    yield trace
                if failures >= limit and trace.failure:
                    raise TooManyFailures(
                        f"stopped after {failures} failures in a row (the last: {trace.failure.message})"
                    )


def _is_trouble(trace: Trace) -> bool:
    """A failure that says something about the next case too."""
    return trace.failure is not None and trace.outcome == "error" and trace.failure.boundary != "user"


class _Taker:
    """Takes a job to a trace, whatever happens."""

    def __init__(self, strategy: Strategy, model: BaseChatModel, settled: Settled) -> None:
        self._strategy, self._model, self._settled = strategy, model, settled

    async def take(self, job: Job) -> Trace:
        try:
            trace = await self._strategy(job.case, self._model, job.sample)
        except CaseTooLong as error:
            return self._failed(
                job, Failure(boundary="user", kind=FailureKind.CONTEXT_LENGTH, message=str(error))
            )
        except Exception as error:  # a strategy is anybody's code: what it raises must not end the run
            said = f"the strategy {self._settled.strategy.name!r} raised {type(error).__name__}: {error}"
            return self._failed(job, Failure(boundary="strategy", kind=FailureKind.OTHER, message=said))
        if trace.id == job.trace_id:
            return trace
        said = f"the strategy gave a trace of the id {trace.id}, but had announced {job.trace_id}"
        return self._failed(job, Failure(boundary="strategy", kind=FailureKind.OTHER, message=said))

    def _failed(self, job: Job, failure: Failure) -> Trace:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return Trace(
            id=job.trace_id,
            case=job.case,
            sample=job.sample,
            strategy=self._settled.strategy,
            provenance=self._settled.provenance.model_copy(update={"started_at": now}),
            outcome="error",
            ended="failure",
            failure=failure,
        )


class _Pool:
    """Workers that share an iterator of jobs, and save what they finish a batch at a time.

    The queue between them is bounded, so that a slow disk or a slow consumer slows the workers down.
    """

    def __init__(
        self,
        jobs: Iterator[Job],
        taker: _Taker,
        concurrency: int,
        stop: asyncio.Event,
        grace_s: float,
        folder: RunFolder | None,
    ) -> None:
        self._jobs, self._taker, self._stop, self._grace_s, self._folder = jobs, taker, stop, grace_s, folder
        self._concurrency = concurrency
        self._ended: asyncio.Queue[Trace | None] = asyncio.Queue(maxsize=concurrency)
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        self._supervisor = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.cancel()
        await asyncio.gather(self._supervisor, return_exceptions=True)
        left = self._waiting()
        if self._folder is not None and left and not isinstance(error, OSError | ValueError):
            self._folder.append(left)  # what was paid for

    async def batch(self) -> list[Trace]:
        """The traces that have ended since the last call, one at least and on the disk; none at the end."""
        first = await self._ended.get()
        if first is None:
            if self._error:
                raise self._error
            return []
        batch = [first, *self._waiting()]
        if self._folder is not None:
            await asyncio.shield(asyncio.to_thread(self._folder.append, batch))
        return batch

    def _waiting(self) -> list[Trace]:
        """What has ended and was not taken yet."""
        waiting = []
        while not self._ended.empty():
            trace = self._ended.get_nowait()
            if trace is None:
                self._ended.put_nowait(None)
                break
            waiting.append(trace)
        return waiting

    async def _supervise(self) -> None:
        workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        halt = asyncio.create_task(self._halt(workers))
        try:
            for end in await asyncio.gather(*workers, return_exceptions=True):
                if isinstance(end, Exception):
                    self._error = self._error or end
        finally:
            halt.cancel()
            for worker in workers:
                worker.cancel()
            await asyncio.gather(halt, *workers, return_exceptions=True)
        await self._ended.put(None)

    async def _halt(self, workers: list[asyncio.Task[None]]) -> None:
        """Once told to stop, give what is in flight some time, then drop it."""
        await self._stop.wait()
        await asyncio.wait(workers, timeout=self._grace_s)
        for worker in workers:
            worker.cancel()

    async def _work(self) -> None:
        for job in self._jobs:
            if self._stop.is_set():
                return
            await self._ended.put(await self._taker.take(job))
