"""Many traversals: each once, so many at a time, saved as they end, whatever breaks."""

import asyncio
import gc
import json
import resource
import threading
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from journeys import AT_ONCE, STRAIGHT
from langchain_core.exceptions import ModelConnectionError
from pydantic import SecretStr

from ddxgraph import (
    Case,
    GraphStrategy,
    Patience,
    Sampling,
    Strategy,
    TooManyFailures,
    Trace,
    read_traces,
    run,
)
from ddxgraph.batch.folder import RunFolder, open_run
from ddxgraph.batch.manifest import manifest
from ddxgraph.common.errors import CaseConflict, CaseTooLong, RunFolderError, TraceFileError
from ddxgraph.graph.trace import Provenance, StrategySettings
from ddxgraph.nodes.failure import Failure
from ddxgraph.testing import ScriptedChatModel

MODEL = ScriptedChatModel(record=False)
OPTIONS = {"A": "Influenza", "B": "Pneumonia"}

Act = Callable[[str], Awaitable[Any]]


def case(number: int | str) -> Case:
    return Case(id=f"c{number}", vignette=f"Fever for {number} days.", options=OPTIONS)


def cases(count: int) -> list[Case]:
    return [case(number) for number in range(count)]


def ids(count: int) -> list[str]:
    """The ids of the traces of `cases(count)`, one sample each."""
    return sorted(f"c{number}-0" for number in range(count))


class Terms:
    """What `Walker` settles."""

    strategy = StrategySettings(name="walker")
    provenance = Provenance(model="none")

    def trace_id(self, case: Case, sample: int = 0) -> str:
        return f"{case.id}-{sample}"


class Walker:
    """A strategy of the test's own: awaits `act(trace id)`, and keeps book of what began, ran and was cancelled.

    `act` may raise; what it returns other than None is returned instead of an answered trace.
    """

    def __init__(self, act: Act | None = None) -> None:
        self.act = act
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.running = self.most = 0

    def settle(self, model: Any) -> Terms:
        return Terms()

    async def __call__(self, case: Case, model: Any, sample: int = 0) -> Any:
        trace = answered(case, sample)
        self.begun.append(trace.id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            said = await self.act(trace.id) if self.act else await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled.append(trace.id)
            raise
        finally:
            self.running -= 1
        self.ended.append(trace.id)
        return trace if said is None else said


def answered(case: Case, sample: int = 0) -> Trace:
    return Trace(
        id=f"{case.id}-{sample}",
        case=case,
        sample=sample,
        strategy=Terms.strategy,
        provenance=Terms.provenance,
        answer="A",
        outcome="answered",
        ended="concluded",
    )


def broken(case: Case, boundary: str = "engine") -> Trace:
    """A trace that an engine's failure (or the user) ended."""
    failure = Failure(boundary=boundary, kind="connection", message=f"refused {case.id}")
    return answered(case).model_copy(
        update={"answer": None, "outcome": "error", "ended": "failure", "failure": failure}
    )


class Gates:
    """An `act` that waits until the test opens the trace's gate."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Event] = {}

    def gate(self, trace_id: str) -> asyncio.Event:
        return self._open.setdefault(trace_id, asyncio.Event())

    def open(self, *trace_ids: str) -> None:
        for trace_id in trace_ids:
            self.gate(trace_id).set()

    async def __call__(self, trace_id: str) -> None:
        await self.gate(trace_id).wait()


async def until(condition: Callable[[], Any]) -> None:
    """Let the event loop turn until something is so."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0)


async def turns(count: int = 200) -> None:
    """Let the event loop turn so often that whatever could go on has gone on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def taken(traces: AsyncIterator[Trace]) -> list[str]:
    return sorted([trace.id async for trace in traces])


async def take_into(got: list[str], traces: AsyncIterator[Trace]) -> None:
    """Note the ids of traces as they come; those before an error too."""
    async for trace in traces:
        got.append(trace.id)  # noqa: PERF401 - a comprehension would lose them


def saved(folder: Path, name: str = "traces.jsonl") -> list[str]:
    return sorted(trace.id for trace in read_traces(folder / name))


def is_free(folder: Path, count: int) -> bool:
    """Whether another run could write there."""
    with open_run(folder, manifest(cases(count), 1, Terms())):
        return True


@pytest.fixture(autouse=True)
async def _nothing_is_left_behind() -> AsyncIterator[None]:
    """No task survives a run, and asyncio has nothing to report, such as an exception that nobody looked at."""
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    before = asyncio.all_tasks()
    yield
    gc.collect(1)
    assert asyncio.all_tasks() - before <= {asyncio.current_task()}
    await turns(3)
    assert reported == []
    assert [t.name for t in threading.enumerate() if "ddxgraph-writer" in t.name and t.is_alive()] == []


# --- what is done, and how much at a time


@pytest.mark.parametrize("concurrency", [1, 4, 50])
@pytest.mark.parametrize(("count", "samples"), [(7, 1), (5, 3), (1, 9), (0, 2)])
async def test_every_case_is_taken_as_often_as_wanted_and_each_sample_once(count, samples, concurrency):
    walker = Walker()
    wanted = sorted(f"c{number}-{sample}" for number in range(count) for sample in range(samples))
    traces = run(cases(count), MODEL, strategy=walker, samples=samples, concurrency=concurrency)
    assert await taken(traces) == wanted
    assert sorted(walker.begun) == wanted


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (3, 3), (12, 12), (40, 20)])
async def test_so_many_traversals_run_at_a_time_and_never_more(concurrency, most):
    gates = Gates()
    walker = Walker(gates)
    traces = asyncio.create_task(taken(run(cases(20), MODEL, strategy=walker, concurrency=concurrency)))
    await until(lambda: walker.running == most)
    await turns()
    assert walker.running == most
    for number in range(20):
        gates.open(f"c{number}-0")
        await until(lambda: f"c{number}-0" in walker.ended)  # noqa: B023 - awaited at once
        left = 19 - number
        await until(lambda: walker.running == min(most, left))  # noqa: B023
    assert await traces == ids(20)
    assert walker.most == most


@pytest.mark.parametrize(("samples", "concurrency"), [(0, 1), (1, 0), (1, -1)])
async def test_less_than_one_sample_or_traversal_at_a_time_is_refused(samples, concurrency):
    with pytest.raises(ValueError, match="1 at least"):
        await taken(run(cases(1), MODEL, strategy=Walker(), samples=samples, concurrency=concurrency))


async def test_a_trace_is_yielded_while_later_cases_are_not_even_begun():
    gates = Gates()
    walker = Walker(gates)
    async with aclosing(run(cases(10), MODEL, strategy=walker, concurrency=2)) as traces:
        gates.open("c1-0")
        assert (await anext(traces)).id == "c1-0"
        assert set(walker.begun) <= {"c0-0", "c1-0", "c2-0"}


@pytest.mark.parametrize("folder", [None, "run"])
async def test_a_slow_consumer_holds_the_workers_back_and_then_gets_everything(folder, tmp_path):
    walker = Walker()
    out = folder and tmp_path / folder
    async with aclosing(run(cases(300), MODEL, strategy=walker, concurrency=3, out=out)) as traces:
        got = [(await anext(traces)).id]
        await turns(1_000)
        assert len(walker.begun) <= 1 + 4 * 3
        got += [trace.id async for trace in traces]
    assert sorted(got) == ids(300)


async def test_cases_are_read_as_they_are_needed():
    read: list[int] = []

    def endless() -> Iterator[Case]:
        for number in range(10**9):
            read.append(number)
            yield case(number)

    async with aclosing(run(endless(), MODEL, strategy=Walker(), concurrency=2)) as traces:
        for _ in range(5):
            await anext(traces)
    assert len(read) < 30


async def test_a_case_that_stands_twice_is_done_once(tmp_path):
    walker = Walker()
    twice = [case(1), case(2), case(1)]
    assert await taken(run(twice, MODEL, strategy=walker, out=tmp_path / "r", concurrency=1)) == [
        "c1-0",
        "c2-0",
    ]
    assert await taken(run(twice, MODEL, strategy=walker)) == ["c1-0", "c2-0"]
    assert len(walker.begun) == 4


async def test_two_different_cases_of_one_id_are_refused_before_anything_is_begun(tmp_path):
    walker = Walker()
    other = case(1).model_copy(update={"vignette": "Cough."})
    with pytest.raises(CaseConflict, match="c1"):
        await taken(run([case(1), other], MODEL, strategy=walker, out=tmp_path / "r"))
    assert walker.begun == []


async def test_memory_does_not_grow_with_the_traces(tmp_path):
    blob = "x" * 10_000

    async def heavy(trace_id: str) -> Trace:
        return answered(case(trace_id[1:-2])).model_copy(update={"opening": blob + trace_id})

    lazy = (case(number) for number in range(3_000))
    with open_run(tmp_path / "r", manifest(cases(3_000), 1, Terms())) as folder:
        tracemalloc.start()
        try:
            count = early = 0
            async for _ in run(lazy, MODEL, strategy=Walker(heavy), concurrency=16, out=folder):
                count += 1
                if count == 500:
                    early = tracemalloc.get_traced_memory()[0]
                    tracemalloc.reset_peak()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert count == 3_000
    assert peak - early < 5_000_000, "2,500 traces of 10 kB are 25 MB"


# --- strategies


async def test_the_graph_is_a_strategy_and_the_samples_differ_in_their_seed():
    model = ScriptedChatModel(script=STRAIGHT)
    strategy = GraphStrategy(sampling=Sampling(seed=7))
    found = [trace async for trace in run(cases(2), model, strategy=strategy, samples=3)]
    assert {(trace.case.id, trace.sample) for trace in found} == {
        (c, s) for c in ("c0", "c1") for s in range(3)
    }
    assert {request.options["seed"] for request in model.requests} == {7, 8, 9}
    settled = strategy.settle(model)
    assert all(trace.id == settled.trace_id(trace.case, trace.sample) for trace in found)
    assert all(trace.outcome == "answered" for trace in found)


async def test_without_a_strategy_the_graph_is_taken():
    [trace] = [trace async for trace in run(cases(1), MODEL)]
    assert trace.strategy.name == "graph"
    assert trace.steps


async def test_any_callable_that_settles_is_a_strategy():
    walker = Walker()
    assert isinstance(walker, Strategy)
    [trace] = [trace async for trace in run(cases(1), MODEL, strategy=walker)]
    assert trace == answered(case(0))


async def test_an_engine_that_fails_on_one_case_fails_that_case_alone(tmp_path):
    def reply(request):
        refused = "Fever for 3 days" in str(request.messages[1].content)
        return ModelConnectionError("refused") if refused else "no"

    model = ScriptedChatModel(script={"reflect": reply})
    found = [t async for t in run(cases(6), model, strategy=GraphStrategy(patience=AT_ONCE), out=tmp_path)]
    by_id = {trace.case.id: trace for trace in found}
    failed = by_id.pop("c3")
    assert (failed.outcome, failed.failure.boundary, failed.failure.kind) == ("error", "engine", "connection")
    assert {trace.outcome for trace in by_id.values()} == {"answered"}
    assert len(saved(tmp_path)) == 5
    assert saved(tmp_path, "errors.jsonl") == [failed.id]


async def test_a_case_too_long_for_the_window_fails_alone_and_is_the_users():
    long = Case(id="long", vignette="Fever. " * 14_000, options=OPTIONS)
    strategy = GraphStrategy(context_window=16_000)
    found = {t.case.id: t async for t in run([case(0), long, case(1)], MODEL, strategy=strategy)}
    assert (found["c0"].outcome, found["c1"].outcome) == ("answered", "answered")
    failed = found["long"]
    assert (failed.outcome, failed.ended, failed.answer) == ("error", "failure", None)
    assert (failed.failure.boundary, failed.failure.kind) == ("user", "context_length")
    assert "shorten the vignette" in failed.failure.message
    assert failed.id == strategy.settle(MODEL).trace_id(long)
    assert failed.provenance.started_at


async def _cancelled_from_within(trace_id: str) -> None:
    inner = asyncio.ensure_future(asyncio.sleep(60))
    inner.cancel()
    await inner


async def _raises(trace_id: str) -> None:
    raise KeyError("no such field")


async def _raises_timeout(trace_id: str) -> None:
    async with asyncio.timeout(0):
        await asyncio.sleep(60)


async def _raises_half_a_pair(trace_id: str) -> None:
    raise ValueError("what is \ud83d?")


async def _returns_another(trace_id: str) -> Trace:
    return answered(case("other"))


async def _returns_text(trace_id: str) -> str:
    return "B"


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        (_raises, "other", "raised KeyError: 'no such field'"),
        (_raises_timeout, "timeout", "raised TimeoutError"),
        (_raises_half_a_pair, "other", "raised ValueError: what is ?"),
        (_cancelled_from_within, "other", "was cancelled from within"),
        (_returns_another, "other", "of the id cother-0, but had announced c1-0"),
        (_returns_text, "other", "returned str, not a trace"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_strategy_that_misbehaves_fails_that_case_alone(act, kind, said, concurrency, tmp_path):
    async def sometimes(trace_id: str) -> Any:
        return await act(trace_id) if trace_id == "c1-0" else None

    walker = Walker(sometimes)
    found = {
        t.id: t async for t in run(cases(5), MODEL, strategy=walker, concurrency=concurrency, out=tmp_path)
    }
    assert sorted(found) == ids(5)
    failed = found.pop("c1-0")
    assert (failed.outcome, failed.case, failed.strategy.name) == ("error", case(1), "walker")
    assert (failed.failure.boundary, failed.failure.kind) == ("strategy", kind)
    assert said in failed.failure.message
    assert {trace.outcome for trace in found.values()} == {"answered"}
    assert saved(tmp_path) == sorted(found)
    assert saved(tmp_path, "errors.jsonl") == ["c1-0"]


async def test_what_a_strategy_raises_is_kept_short_and_without_the_models_key():
    class Keyed(ScriptedChatModel):
        api_key: SecretStr = SecretStr("sk-secret")

    async def leaks(trace_id: str) -> None:
        raise RuntimeError("refused sk-secret\n" + "<html> " * 10_000)

    [trace] = [trace async for trace in run(cases(1), Keyed(), strategy=Walker(leaks))]
    assert "refused ***" in trace.failure.message
    assert "sk-secret" not in trace.to_json()
    assert "\n" not in trace.failure.message
    assert len(trace.failure.message) < 600


# --- the folder


@pytest.mark.parametrize("concurrency", [1, 5])
async def test_a_trace_is_on_the_disk_before_it_is_yielded(concurrency, tmp_path):
    walker = Walker()
    async for trace in run(cases(12), MODEL, strategy=walker, concurrency=concurrency, out=tmp_path / "r"):
        assert trace.id in saved(tmp_path / "r")
    assert saved(tmp_path / "r") == ids(12)


async def test_a_run_that_was_broken_off_goes_on_with_the_rest_alone(tmp_path):
    first, second, third = Walker(), Walker(), Walker()
    async with aclosing(run(cases(30), MODEL, strategy=first, concurrency=2, out=tmp_path)) as traces:
        for _ in range(7):
            await anext(traces)
    there = saved(tmp_path)
    assert 7 <= len(there) < 30
    rest = sorted(set(ids(30)) - set(there))
    assert await taken(run(cases(30), MODEL, strategy=second, concurrency=2, out=tmp_path)) == rest
    assert sorted(second.begun) == rest
    assert saved(tmp_path) == ids(30)
    assert await taken(run(cases(30), MODEL, strategy=third, out=tmp_path)) == []
    assert third.begun == []


async def test_what_failed_is_tried_again_and_its_errors_stay_on_record(tmp_path):
    async def down(trace_id: str) -> Trace | None:
        return broken(case(2)) if trace_id == "c2-0" else None

    again = Walker()
    assert await taken(run(cases(4), MODEL, strategy=Walker(down), out=tmp_path)) == ids(4)
    assert saved(tmp_path) == ["c0-0", "c1-0", "c3-0"]
    assert await taken(run(cases(4), MODEL, strategy=again, out=tmp_path)) == ["c2-0"]
    assert again.begun == ["c2-0"]
    assert saved(tmp_path) == ids(4)
    assert saved(tmp_path, "errors.jsonl") == ["c2-0"]


async def test_an_iterator_of_cases_may_be_given_with_a_folder(tmp_path):
    assert await taken(run(iter(cases(5)), MODEL, strategy=Walker(), out=tmp_path)) == ids(5)
    assert json.loads((tmp_path / "run.json").read_text())["cases"]["count"] == 5
    assert await taken(run((c for c in cases(5)), MODEL, strategy=Walker(), out=tmp_path)) == []


async def test_a_folder_that_the_caller_opened_stays_open(tmp_path):
    with open_run(tmp_path / "r", manifest(cases(4), 1, Terms())) as folder:
        assert await taken(run(cases(4), MODEL, strategy=Walker(), out=folder)) == ids(4)
        assert "c3-0" in folder
        folder.append([answered(case("more"))])
    assert "cmore-0" in saved(tmp_path / "r")


async def test_two_runs_share_an_event_loop_but_not_a_folder(tmp_path):
    async with aclosing(run(cases(9), MODEL, strategy=Walker(), out=tmp_path / "a")) as first:
        await anext(first)
        with pytest.raises(RunFolderError, match="being written by process"):
            await taken(run(cases(9), MODEL, strategy=Walker(), out=tmp_path / "a"))
        assert await taken(run(cases(9), MODEL, strategy=Walker(), out=tmp_path / "b")) == ids(9)
        async for _ in first:
            pass
    assert saved(tmp_path / "a") == saved(tmp_path / "b") == ids(9)


async def test_two_runs_side_by_side_each_keep_their_own(tmp_path):
    both = (taken(run(cases(40), MODEL, strategy=Walker(), out=tmp_path / name)) for name in "ab")
    assert await asyncio.gather(*both) == [ids(40), ids(40)]
    assert saved(tmp_path / "a") == saved(tmp_path / "b") == ids(40)


@contextmanager
def disk_full_beyond(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_ends_the_run_and_leaves_whole_lines(tmp_path):
    walker = Walker()
    got: list[str] = []
    line = len(answered(case(1)).to_json()) + 1
    traces = run(cases(500), MODEL, strategy=walker, concurrency=2, out=tmp_path)
    with disk_full_beyond(5 * line + line // 2):
        with pytest.raises(TraceFileError, match="cannot write"):
            await take_into(got, traces)
        assert len(walker.begun) < 30
        assert walker.running == 0
    assert saved(tmp_path) == sorted(got)
    rest = sorted(set(ids(500)) - set(got))
    assert await taken(run(cases(500), MODEL, strategy=Walker(), out=tmp_path)) == rest


async def test_a_disk_that_is_full_when_the_consumer_leaves_is_reported(tmp_path):
    gates = Gates()
    walker = Walker(gates)
    line = len(answered(case(1)).to_json()) + 1
    traces = run(cases(4), MODEL, strategy=walker, concurrency=4, out=tmp_path)
    gates.open("c0-0")
    with disk_full_beyond(line + line // 2):
        await anext(traces)
        gates.open("c1-0")
        await until(lambda: "c1-0" in walker.ended)
        with pytest.raises(TraceFileError, match="cannot write"):
            await traces.aclose()
    assert saved(tmp_path) == ["c0-0"]
    assert is_free(tmp_path, 4)


async def test_an_error_in_the_cases_comes_through_once_what_ended_is_saved(tmp_path):
    def torn() -> Iterator[Case]:
        yield from cases(5)
        raise LookupError("line 6 is no case")

    walker = Walker()
    got: list[str] = []
    with open_run(tmp_path / "r", manifest(cases(5), 1, Terms())) as folder:
        traces = run(torn(), MODEL, strategy=walker, concurrency=3, out=folder)
        with pytest.raises(LookupError, match="line 6"):
            await take_into(got, traces)
    assert sorted(got) == saved(tmp_path / "r") == ids(5)


# --- failures in a row


def dead(boundary: str = "engine", alive: Sequence[str] = ()) -> Act:
    """An `act` under which every trace fails, but for some."""

    async def act(trace_id: str) -> Trace | None:
        return None if trace_id in alive else broken(case(trace_id[1:-2]), boundary)

    return act


@pytest.mark.parametrize("boundary", ["engine", "strategy"])
@pytest.mark.parametrize(
    ("concurrency", "settings", "limit"), [(1, {}, 16), (2, {"give_up_after": 5}, 5), (20, {}, 40)]
)
async def test_a_run_that_fails_all_the_time_gives_up_with_all_of_it_on_record(
    concurrency, settings, limit, boundary, tmp_path
):
    walker = Walker(dead(boundary))
    got: list[str] = []
    traces = run(cases(5_000), MODEL, strategy=walker, concurrency=concurrency, out=tmp_path, **settings)
    with pytest.raises(TooManyFailures, match=r"\d+ failures in a row \(the last: refused c\d+\)"):
        await take_into(got, traces)
    assert limit <= len(got) <= limit + 3 * concurrency
    assert set(got) <= set(saved(tmp_path, "errors.jsonl")) == set(walker.ended)
    assert saved(tmp_path) == []


async def test_a_success_now_and_then_keeps_a_run_going():
    alive = [f"c{number}-0" for number in range(0, 100, 5)]
    traces = run(cases(100), MODEL, strategy=Walker(dead(alive=alive)), concurrency=1, give_up_after=5)
    assert await taken(traces) == ids(100)


async def test_failures_are_counted_across_batches():
    walker = Walker(dead(alive=["c0-0"]))
    with pytest.raises(TooManyFailures, match="stopped after 7 failures"):
        await taken(run(cases(100), MODEL, strategy=walker, concurrency=1, give_up_after=7))


async def test_cases_that_are_too_long_do_not_make_a_run_give_up():
    async def too_long(trace_id: str) -> None:
        raise CaseTooLong("it needs about 90000 tokens")

    assert await taken(run(cases(60), MODEL, strategy=Walker(too_long), concurrency=1)) == ids(60)


async def test_cases_that_are_too_long_do_not_hide_that_all_others_fail():
    async def act(trace_id: str) -> Trace:
        if int(trace_id[1:-2]) % 2:
            raise CaseTooLong("it needs about 90000 tokens")
        return broken(case(trace_id[1:-2]))

    with pytest.raises(TooManyFailures, match=r"stopped after 5 failures in a row .*refused"):
        await taken(run(cases(300), MODEL, strategy=Walker(act), concurrency=1, give_up_after=5))


# --- stopping


async def test_told_to_stop_a_run_starts_nothing_new_and_keeps_what_ends_in_time(tmp_path):
    gates, stop = Gates(), asyncio.Event()
    walker = Walker(gates)
    traces = asyncio.create_task(
        taken(run(cases(50), MODEL, strategy=walker, concurrency=4, out=tmp_path, stop=stop, grace_s=30))
    )
    await until(lambda: walker.running == 4)
    stop.set()
    await turns()
    gates.open(*walker.begun)
    assert await asyncio.wait_for(traces, 10) == saved(tmp_path) == ids(4)
    assert sorted(walker.begun) == ids(4)
    assert walker.cancelled == []
    assert is_free(tmp_path, 50)


async def test_what_does_not_end_in_time_is_cancelled_and_not_recorded(tmp_path):
    gates, stop = Gates(), asyncio.Event()
    walker = Walker(gates)
    traces = asyncio.create_task(
        taken(run(cases(50), MODEL, strategy=walker, concurrency=4, out=tmp_path, stop=stop, grace_s=0.05))
    )
    await until(lambda: walker.running == 4)
    stop.set()
    gates.open("c2-0")
    assert await asyncio.wait_for(traces, 10) == saved(tmp_path) == ["c2-0"]
    assert sorted(walker.cancelled) == ["c0-0", "c1-0", "c3-0"]
    assert saved(tmp_path, "errors.jsonl") == []


async def test_a_run_that_is_stopped_before_it_starts_does_nothing():
    stop, walker = asyncio.Event(), Walker()
    stop.set()
    assert await taken(run(cases(50), MODEL, strategy=walker, stop=stop)) == []
    assert walker.begun == []


async def test_a_stop_during_the_last_traversals_loses_none():
    stop = asyncio.Event()
    walker = Walker()
    async for _ in run(cases(4), MODEL, strategy=walker, concurrency=4, stop=stop):
        stop.set()
    assert sorted(walker.ended) == ids(4)


async def test_what_has_ended_is_yielded_even_where_a_slow_consumer_comes_late(tmp_path):
    stop, walker = asyncio.Event(), Walker()
    traces = run(cases(100), MODEL, strategy=walker, concurrency=3, out=tmp_path, stop=stop, grace_s=0)
    got = [(await anext(traces)).id]
    await turns()
    stop.set()
    await turns()
    got += [trace.id async for trace in traces]
    assert sorted(got) == saved(tmp_path) == sorted(walker.ended)
    assert len(got) > 3


async def _leave_by_break(traces: AsyncIterator[Trace]) -> None:
    async for _ in traces:
        break


async def _leave_by_closing(traces: Any) -> None:
    async with aclosing(traces):
        await anext(traces)


async def _leave_by_raising(traces: Any) -> None:
    with suppress(ZeroDivisionError):
        async with aclosing(traces):
            async for _ in traces:
                1 / 0  # noqa: B018


async def _leave_by_cancellation(traces: Any) -> None:
    met = asyncio.Event()

    async def consume() -> None:
        async with aclosing(traces):
            async for _ in traces:
                met.set()

    task = asyncio.create_task(consume())
    await met.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "leave", [_leave_by_break, _leave_by_closing, _leave_by_raising, _leave_by_cancellation]
)
async def test_a_consumer_that_leaves_cancels_the_rest_and_frees_the_folder(leave, tmp_path):
    gates = Gates()
    walker = Walker(gates)
    gates.open("c0-0")
    await leave(run(cases(50), MODEL, strategy=walker, concurrency=4, out=tmp_path))
    await until(lambda: walker.running == 0)
    await until(lambda: len(asyncio.all_tasks()) == 1)
    assert set(walker.cancelled) == set(walker.begun) - {"c0-0"}
    assert saved(tmp_path) == ["c0-0"]
    assert is_free(tmp_path, 50)


async def test_what_ended_but_was_not_yet_taken_is_saved_when_the_consumer_leaves(tmp_path):
    walker = Walker()
    traces = run(cases(200), MODEL, strategy=walker, concurrency=4, out=tmp_path)
    await anext(traces)
    await turns()
    await traces.aclose()
    assert walker.cancelled == []
    assert saved(tmp_path) == sorted(walker.ended)
    assert len(walker.ended) > 4


@pytest.mark.parametrize("late", range(0, 60, 3))
async def test_a_run_may_be_cancelled_at_any_moment_and_loses_nothing_that_ended(late, tmp_path):
    walker = Walker()
    got: list[str] = []
    traces = run(cases(40), MODEL, strategy=walker, concurrency=3, out=tmp_path)
    task = asyncio.create_task(take_into(got, traces))
    await turns(late)
    if late > 30:
        await until(lambda: len(got) > late // 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert set(got) <= set(walker.ended)
    assert (saved(tmp_path) if walker.ended else []) == sorted(walker.ended)
    assert await taken(run(cases(40), MODEL, strategy=Walker(), out=tmp_path)) == sorted(
        set(ids(40)) - set(walker.ended)
    )


class SlowFolder(RunFolder):
    """A run's folder on a disk that takes its time: a write lasts until the test lets it end."""

    def __init__(self, path: Path, count: int) -> None:
        super().__init__(path, manifest(cases(count), 1, Terms()), lambda record: None)
        self.writes = threading.Semaphore(0)
        self.writing = threading.Event()

    def append(self, traces: Sequence[Trace]) -> None:
        self.writing.set()
        assert self.writes.acquire(timeout=10)
        super().append(traces)


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_a_run_that_is_cancelled_while_it_writes_waits_for_the_disk(cancellations, tmp_path):
    folder = SlowFolder(tmp_path, 20)
    walker = Walker()
    task = asyncio.create_task(taken(run(cases(20), MODEL, strategy=walker, concurrency=2, out=folder)))
    await until(folder.writing.is_set)
    for _ in range(cancellations):
        task.cancel()
        await turns()
    assert not task.done()
    for _ in range(2):
        folder.writes.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    folder.close()
    assert saved(tmp_path) == sorted(walker.ended)


async def test_workers_go_on_while_a_batch_is_written(tmp_path):
    folder = SlowFolder(tmp_path, 20)
    gates = Gates()
    walker = Walker(gates)
    task = asyncio.create_task(taken(run(cases(20), MODEL, strategy=walker, concurrency=2, out=folder)))
    gates.open("c0-0")
    await until(folder.writing.is_set)
    gates.open(*ids(20))
    await until(lambda: len(walker.ended) >= 4)
    for _ in range(20):
        folder.writes.release()
    assert await task == ids(20)
    folder.close()


async def test_strategies_that_fill_the_loops_threads_do_not_hold_up_the_disk(tmp_path):
    held = threading.Event()

    async def blocking(trace_id: str) -> None:
        if trace_id != "c0-0":
            await asyncio.to_thread(held.wait, 10)

    traces = run(cases(64), MODEL, strategy=Walker(blocking), concurrency=64, out=tmp_path)
    try:
        assert (await asyncio.wait_for(anext(traces), 5)).id == "c0-0"
    finally:
        held.set()
        await traces.aclose()


async def test_a_strategy_that_swallows_its_cancellation_does_not_go_on_with_the_next_case(tmp_path):
    gates = Gates()

    async def stubborn(trace_id: str) -> None:
        with suppress(asyncio.CancelledError):
            await gates(trace_id)

    walker = Walker(stubborn)
    gates.open("c0-0")
    traces = run(cases(1_000), MODEL, strategy=walker, concurrency=2, out=tmp_path)
    await anext(traces)
    await until(lambda: walker.running == 2)
    await traces.aclose()
    assert sorted(walker.begun) == saved(tmp_path) == ids(3)


async def test_patience_belongs_to_the_strategy_and_not_to_the_identity_of_a_trace():
    hasty, patient = GraphStrategy(patience=AT_ONCE), GraphStrategy(patience=Patience(away_s=600))
    assert hasty.settle(MODEL).trace_id(case(1)) == patient.settle(MODEL).trace_id(case(1))
