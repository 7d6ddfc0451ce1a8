"""Many traversals: a strategy over cases and samples, bounded, streaming, saved as they end."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from langchain_core.language_models import BaseChatModel

from ddxgraph.batch.folder import RunFolder, open_run
from ddxgraph.batch.manifest import Selection, manifest
from ddxgraph.common.errors import BadInput, CaseTooLong, TooManyFailures
from ddxgraph.graph.strategy import GraphStrategy, Settled, Strategy
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.call.consultation import secrets_of
from ddxgraph.nodes.call.errorkind import in_one_line, kind_of
from ddxgraph.nodes.case import Case, CaseLike, as_case
from ddxgraph.nodes.failure import Failure, FailureKind

GRACE_S: Final = 5.0
"""Seconds that traversals in flight have to end once a run is told to stop."""


class Job(NamedTuple):
    """One traversal to do."""

    case: Case
    sample: int
    trace_id: str


class _Cases:
    """Cases in the forms in which callers hold them, read as often as they are asked for."""

    def __init__(self, given: Iterable[object]) -> None:
        if isinstance(given, str | Path):
            raise BadInput(f"cases is a path: give the cases of the file, `read_cases({str(given)!r})`")
        if isinstance(given, Case | Mapping):
            raise BadInput("cases is a single case: put it into a list")
        if not isinstance(given, Iterable):
            raise BadInput(f"cases is {type(given).__name__}: give a list of cases")
        self._given = given

    def __iter__(self) -> Iterator[Case]:
        return map(as_case, self._given)


def _checked(strategy: object) -> None:
    if isinstance(strategy, type):
        raise BadInput(
            f"the strategy is the class {strategy.__name__}: give an instance, {strategy.__name__}()"
        )
    if not callable(strategy) or not callable(getattr(strategy, "settle", None)):
        raise BadInput(
            f"{type(strategy).__name__} is no strategy: it needs the methods `settle` and `__call__` (see "
            "docs/strategies.md)"
        )


def jobs_of(cases: Iterable[Case], samples: int, settled: Settled) -> Iterator[Job]:
    """The traversals of a run, each once, the samples of a case together.

    Args:
        cases: the cases.
        samples: traversals of each case.
        settled: the strategy's settings, which name the traces.
    """
    seen: set[str] = set()
    for case in cases:
        for sample in range(samples):
            trace_id = settled.trace_id(case, sample)
            if trace_id not in seen:
                seen.add(trace_id)
                yield Job(case, sample, trace_id)


async def run(
    cases: Iterable[CaseLike],
    model: BaseChatModel,
    *,
    strategy: Strategy | None = None,
    selection: Selection | None = None,
    samples: int = 1,
    concurrency: int = 8,
    out: RunFolder | Path | str | None = None,
    fork: bool = False,
    stop: asyncio.Event | None = None,
    grace_s: float = GRACE_S,
    give_up_after: int | None = None,
) -> AsyncGenerator[Trace, None]:
    """Take cases to traces, many at a time; yields each trace as it ends, in no fixed order.

    With `out`, a trace is on the disk before it is yielded, and what the folder has already is neither done nor
    yielded again: the same call goes on where an earlier one was broken off, and tries again what failed
    (`read_traces(folder / "traces.jsonl")` gives them all). Memory does not grow with the traces.

    If you stop early, close the iterator (`contextlib.aclosing`): what is in flight is
    then cancelled, what has ended is saved, and the folder is free again.

    Args:
        cases: the cases, each in a form that `as_case` takes, such as what `read_cases` yields. With a folder
            they are read twice; an iterator is therefore kept in a list.
        model: the chat model.
        strategy: how to take a case to a trace; the graph with its default settings where None.
        selection: which cases of which benchmark these are (`Items.selection`), for the run's manifest.
        samples: traversals of each case; sample k adds k to the seed. Give the strategy a temperature.
        concurrency: traversals at a time.
        out: a run folder, made where it is missing (or one that `open_run` opened).
        fork: see `open_run`.
        stop: once set, nothing new is started.
        grace_s: seconds that the traversals in flight then have to end before they are dropped.
        give_up_after: failures in a row that end the run; by default twice the concurrency, and at least 16.

    Raises:
        RunFolderError, TraceFileError: see `open_run`.
        CaseConflict: two cases of different content have the same id.
        TooManyFailures: the engine, or the strategy, fails whatever it is given.
        BadInput: `samples` or `concurrency` is below 1; or cases, model or strategy are something else.
        Whatever `cases` raises, once what was in flight has been yielded.

    Example:
        >>> import asyncio
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> async def pilot() -> list[str | None]:
        ...     traces = run([case], ScriptedChatModel(), samples=2, out="runs/pilot")
        ...     return [trace.answer async for trace in traces]
        >>> asyncio.run(pilot())
        ['A', 'A']
    """
    if min(samples, concurrency) < 1:
        raise BadInput(f"samples and concurrency must be 1 at least, not {samples} and {concurrency}")
    strategy = strategy or GraphStrategy()
    _checked(strategy)
    twice = out is not None and not isinstance(out, RunFolder)  # for the ids and for the work
    read = _Cases(list(cases) if twice and isinstance(cases, Iterator) else cases)
    settled = strategy.settle(model)
    limit = give_up_after or max(16, 2 * concurrency)
    with ExitStack() as held:
        folder: RunFolder | None = None
        if isinstance(out, RunFolder):
            folder = out
        elif out is not None:
            folder = held.enter_context(
                open_run(
                    Path(out),
                    manifest(read, samples, settled, selection),
                    fork=fork,
                    ids=lambda: (job.trace_id for job in jobs_of(read, samples, settled)),
                )
            )
        jobs = jobs_of(read, samples, settled)
        todo = (job for job in jobs if folder is None or job.trace_id not in folder)
        taker = _Taker(strategy, model, settled)
        async with _Pool(todo, taker, concurrency, stop or asyncio.Event(), grace_s, folder) as pool:
            streak = _Streak(limit)
            while batch := await pool.batch():
                for trace in batch:
                    streak.add(trace)
                    yield trace
                streak.check()


def _is_its_own(failure: Failure) -> bool:
    """Whether a failure is the case's own, and says nothing about the engine."""
    return failure.boundary == "user" or failure.kind in {FailureKind.FILTERED, FailureKind.REFUSED}


class _Streak:
    """Failures in a row that say something about the next case too.

    A case that is itself to blame says nothing: it neither lengthens a streak nor ends it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failures = 0
        self._last = ""

    def add(self, trace: Trace) -> None:
        if trace.outcome != "error":
            self._failures = 0
        elif trace.failure is not None and not _is_its_own(trace.failure):
            self._failures += 1
            self._last = trace.failure.message

    def check(self) -> None:
        if self._failures >= self._limit:
            raise TooManyFailures(
                f"stopped after {self._failures} failures in a row (the last: {self._last})"
            )


class _Taker:
    """Takes a job to a trace, whatever happens."""

    def __init__(self, strategy: Strategy, model: BaseChatModel, settled: Settled) -> None:
        self._strategy, self._model, self._settled = strategy, model, settled

    async def take(self, job: Job) -> Trace:
        try:
            returned: object = await self._strategy(job.case, self._model, job.sample)
        except CaseTooLong as error:
            return self._failed(
                job, Failure(boundary="user", kind=FailureKind.CONTEXT_LENGTH, message=str(error))
            )
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            return self._blamed(job, "was cancelled from within")
        except Exception as error:  # a strategy is anybody's code: what it raises must not end the run
            return self._blamed(job, f"raised {type(error).__name__}: {error}", kind_of(error))
        wrong = _wrong_with(returned, job)
        return self._blamed(job, wrong) if wrong or not isinstance(returned, Trace) else returned

    def _blamed(self, job: Job, did: str, kind: FailureKind = FailureKind.OTHER) -> Trace:
        """The trace of a job with which the strategy did what it should not."""
        said = f"the strategy {self._settled.strategy.name!r} {in_one_line(did, secrets_of(self._model))}"
        return self._failed(job, Failure(boundary="strategy", kind=kind, message=said))

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


def _wrong_with(returned: object, job: Job) -> str:
    """What a strategy did wrong that returned this; empty where it did nothing wrong."""
    if not isinstance(returned, Trace):
        return f"returned {type(returned).__name__}, not a trace"
    if returned.id != job.trace_id:
        return f"returned a trace of the id {returned.id}, but had announced {job.trace_id}"
    return ""


def _is_being_cancelled() -> bool:
    """Whether somebody has cancelled this very task, rather than something that it awaits."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Pool:
    """Workers that share an iterator of jobs, and save what they finish a batch at a time.

    What a worker has finished is put where cancelling the worker does not reach it. Twice as many traversals as
    there are workers may be begun and not taken yet: so a slow disk or a slow consumer slows the workers down.
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
        self._places = asyncio.Semaphore(2 * concurrency)
        self._ended: deque[Trace] = deque()
        self._news = asyncio.Event()
        self._closing = False
        self._unwritable = False
        # Not the event loop's own threads: a strategy may keep those busy for as long as its traversals take.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ddxgraph-writer")

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        for worker in self._workers:
            worker.add_done_callback(lambda _: self._news.set())
        self._halting = asyncio.create_task(self._halt())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        for task in (self._halting, *self._workers):
            task.cancel()
        try:
            await _outlast([self._halting, *self._workers])
        finally:
            try:
                await self._save(self._taken())  # what was paid for
            finally:
                self._writer.shutdown()

    async def batch(self) -> list[Trace]:
        """The traces that have ended since the last call, one at least and on the disk; none at the end."""
        while not self._ended:
            if all(worker.done() for worker in self._workers):
                self._raise_what_ended_them()
                return []
            self._news.clear()
            await self._news.wait()
        batch = self._taken()
        await self._save(batch)
        return batch

    def _taken(self) -> list[Trace]:
        """What has ended and was not taken yet; gives its places free."""
        batch = list(self._ended)
        self._ended.clear()
        for _ in batch:
            self._places.release()
        return batch

    async def _save(self, batch: Sequence[Trace]) -> None:
        """Put traces on the disk; a cancellation comes through once they are there."""
        if self._folder is None or not batch or self._unwritable:
            return
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._writer, self._folder.append, batch)
        try:
            # Cancelling would not stop the thread, and the caller would close the files under it.
            await _outlast([writing])
        finally:
            if writing.exception():
                self._unwritable = True
                writing.result()

    def _raise_what_ended_them(self) -> None:
        for worker in self._workers:
            if not (worker.cancelled() and self._stop.is_set()):
                worker.result()

    async def _halt(self) -> None:
        """Once told to stop, give what is in flight some time, then drop it."""
        await self._stop.wait()
        await asyncio.wait(self._workers, timeout=self._grace_s)
        for worker in self._workers:
            worker.cancel()

    async def _work(self) -> None:
        for job in self._jobs:
            await self._places.acquire()
            # Asked also when closing: a strategy may have swallowed its cancellation.
            if self._stop.is_set() or self._closing:
                return
            self._ended.append(await self._taker.take(job))
            self._news.set()


async def _outlast(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Wait until all are done, however often that is cancelled meanwhile; then pass the cancellation on."""
    cancelled: asyncio.CancelledError | None = None
    while pending := [future for future in futures if not future.done()]:
        try:
            await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled = error
    for future in futures:
        if not future.cancelled():
            future.exception()  # looked at, so that asyncio does not report it as lost
    if cancelled:
        raise cancelled
