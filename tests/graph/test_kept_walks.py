"""Walks kept under a name: broken off in every way, they go on from their last step to the same trace."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path

import pytest
from journeys import AT_ONCE, CASE, FREE, STRAIGHT, answer, timeless
from langgraph.checkpoint.sqlite import SqliteSaver

from ddxgraph import Case, GraphStrategy, Sampling, Traversal, asolve, build_graph, run, solve
from ddxgraph.batch.checkpoints import open_checkpoints
from ddxgraph.common.errors import CheckpointError
from ddxgraph.nodes.call.consultation import SERIAL_KEY
from ddxgraph.testing import ScriptedChatModel

ROOT = Path(__file__).parents[2]
CALLS = [
    "review_history",
    "generate_differential",
    "check_evidence:B",
    "check_evidence:A",
    "check_evidence:C",
    "check_evidence:D",
    "reflect",
    "conclude",
]
ENGINES = pytest.mark.parametrize("serial", [False, True], ids=["parallel", "serial"])
"""An engine that takes a case's calls all at once, and one that takes them in turn."""


class PlugPulledError(BaseException):
    """No failure that anything types or catches."""


class Fragile(ScriptedChatModel):
    """Answers a number of calls; what comes of the next is for a test to say."""

    good: int

    async def ainvoke(self, *given, **options):
        self.good -= 1
        if self.good < 0:
            await self.break_off()
        return await super().ainvoke(*given, **options)

    async def break_off(self):
        await asyncio.sleep(0.05)  # a call lasts; what had ended before it is written meanwhile
        raise PlugPulledError


class Silent(Fragile):
    async def break_off(self):
        await asyncio.Event().wait()


def metadata(serial):
    return {SERIAL_KEY: True} if serial else {}


def graph_on(saver, script=STRAIGHT, *, serial=False):
    model = ScriptedChatModel(script=script, metadata=metadata(serial))
    return build_graph(model, patience=AT_ONCE, checkpointer=saver), model


@pytest.fixture
def whole():
    """What an uninterrupted walk gives."""
    return timeless(solve(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE))


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "walks.sqlite")


def rows(store, thread="%"):
    with closing(sqlite3.connect(store)) as database:
        counts = [
            database.execute(f"SELECT count(*) FROM {table} WHERE thread_id LIKE ?", [thread]).fetchone()[0]
            for table in ("checkpoints", "writes")
        ]
    return sum(counts)


KILLED = """
import asyncio, os, signal, sys
from journeys import AT_ONCE, CASE, STRAIGHT
from ddxgraph import asolve, build_graph
from ddxgraph.batch.checkpoints import open_checkpoints
from ddxgraph.nodes.call.consultation import SERIAL_KEY
from ddxgraph.testing import ScriptedChatModel

class Silent(ScriptedChatModel):
    thread: int
    good: int
    async def ainvoke(self, *given, **options):
        self.good -= 1
        if self.good < 0:
            await asyncio.sleep(0.1)
            print(self.thread, flush=True)
            await asyncio.Event().wait()
        return await super().ainvoke(*given, **options)

async def walk(good):
    metadata = {SERIAL_KEY: True} if sys.argv[2] == "True" else {}
    model = Silent(script=STRAIGHT, thread=good, good=good, metadata=metadata)
    async with open_checkpoints(sys.argv[1]) as saver:
        await asolve(build_graph(model, patience=AT_ONCE, checkpointer=saver), CASE, thread=str(good))

async def main():
    await asyncio.gather(*(walk(good) for good in range(8)))

asyncio.run(main())
"""


async def test_a_new_store_that_another_process_is_about_to_write_is_waited_for(store, whole, monkeypatch):
    with closing(sqlite3.connect(store, isolation_level=None, check_same_thread=False)) as other:
        # SQLite then refuses the write-ahead log at once, whatever the timeout.
        other.execute("BEGIN IMMEDIATE")
        setup, refused = SqliteSaver.setup, []

        def told(saver):
            try:
                setup(saver)
            except sqlite3.OperationalError as error:
                refused.append(error.sqlite_errorname)
                other.rollback()
                raise

        monkeypatch.setattr(SqliteSaver, "setup", told)
        async with open_checkpoints(store) as saver:
            graph, _ = graph_on(saver)
            assert timeless(await asolve(graph, CASE, thread="1")) == whole
    assert refused == ["SQLITE_BUSY"]


@ENGINES
async def test_a_killed_process_has_lost_no_call_that_had_ended(store, whole, serial):
    """Eight walks of one process, each in another of its eight calls when the process is killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, store, str(serial)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        on_their_way = set(range(8))
        while on_their_way:  # a walk whose checks are asked at once says so several times
            on_their_way.discard(int(child.stdout.readline()))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=20)
        child.stdout.close()
    async with open_checkpoints(store) as saver:
        for good in range(8):
            graph, model = graph_on(saver, serial=serial)
            trace = await asolve(graph, CASE, thread=str(good))
            # Checks of a parallel engine are all asked at once: which of them had ended differs.
            assert len(model.requests) == 8 - good
            assert timeless(trace) == whole


@ENGINES
@pytest.mark.parametrize("good", range(8), ids=CALLS)
async def test_a_walk_that_an_exception_broke_off_goes_on_from_its_last_step(good, store, whole, serial):
    broken = Fragile(script=STRAIGHT, good=good, metadata=metadata(serial))
    async with open_checkpoints(store) as saver:
        with pytest.raises(PlugPulledError):
            await asolve(build_graph(broken, checkpointer=saver), CASE, thread="walk")
    async with open_checkpoints(store) as saver:
        graph, model = graph_on(saver, serial=serial)
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == 8 - good


@pytest.mark.parametrize("good", [1, 2, 6, 7])
async def test_a_kill_between_a_round_s_writes_and_its_checkpoint_loses_nothing(good, store, whole):
    """The last checkpoint is taken out, as if the process had ended before it was written."""
    async with open_checkpoints(store) as saver:
        with pytest.raises(PlugPulledError):
            await asolve(
                build_graph(Fragile(script=STRAIGHT, good=good), checkpointer=saver), CASE, thread="walk"
            )
    with closing(sqlite3.connect(store)) as database:
        last = database.execute("SELECT max(checkpoint_id) FROM checkpoints").fetchone()
        database.execute("DELETE FROM checkpoints WHERE checkpoint_id = ?", last)
        database.execute("DELETE FROM writes WHERE checkpoint_id = ?", last)
        database.commit()
    async with open_checkpoints(store) as saver:
        graph, model = graph_on(saver)
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == 8 - good


@ENGINES
@pytest.mark.parametrize("good", range(8), ids=CALLS)
async def test_a_cancelled_walk_goes_on_from_its_last_step(good, store, whole, serial):
    asked = asyncio.Event()

    class Waiting(Silent):
        async def break_off(self):
            asked.set()
            await super().break_off()

    silent = Waiting(script=STRAIGHT, good=good, metadata=metadata(serial))
    async with open_checkpoints(store) as saver:
        walk = asyncio.create_task(asolve(build_graph(silent, checkpointer=saver), CASE, thread="walk"))
        await asked.wait()
        walk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walk
    async with open_checkpoints(store) as saver:
        graph, model = graph_on(saver, serial=serial)
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == 8 - good


@pytest.mark.parametrize(
    ("stop", "again"),
    [
        ("review_history", 8),
        ("generate_differential", 7),
        ("check_evidence:C", 6),
        ("reflect", 2),
        ("conclude", 1),
    ],
)
async def test_a_walk_that_the_engine_failed_goes_on_from_before_the_failure(
    stop, again, store, whole, caplog
):
    async with open_checkpoints(store) as saver:
        for _ in range(3):  # a failure may repeat
            graph, _ = graph_on(saver, STRAIGHT | {stop: ConnectionError("refused")})
            failed = await asolve(graph, CASE, thread="walk")
            assert (failed.outcome, failed.failure.node) == ("error", stop.partition(":")[0])
        graph, model = graph_on(saver)
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == again
    assert caplog.messages == []


async def test_a_walk_that_ended_is_not_walked_again(store, whole):
    async with open_checkpoints(store) as saver:
        first, _ = graph_on(saver)
        await asolve(first, CASE, thread="walk")
        again, model = graph_on(saver, STRAIGHT | {"conclude": answer("A")})
        assert timeless(await asolve(again, CASE, thread="walk")) == whole
        walk = Traversal(again, CASE, thread="walk")
        assert [step.index async for step in walk] == list(range(8))
        assert timeless(walk.trace()) == whole
    assert model.requests == []


@ENGINES
async def test_a_traversal_shows_what_is_kept_first_and_each_step_once(store, whole, serial):
    broken = Fragile(script=STRAIGHT, good=4, metadata=metadata(serial))
    async with open_checkpoints(store) as saver:
        with pytest.raises(PlugPulledError):
            await asolve(build_graph(broken, checkpointer=saver), CASE, thread="walk")
        graph, model = graph_on(saver, serial=serial)
        walk = Traversal(graph, CASE, thread="walk")
        seen = []
        async for step in walk:
            seen.append(f"{step.node}:{step.branch}" if step.branch else step.node)
            if len(seen) <= 4:
                assert model.requests == []
    assert sorted(seen) == sorted(CALLS)
    assert timeless(walk.trace()) == whole
    assert walk.trace().elapsed_s == pytest.approx(sum(step.latency_s for step in walk.trace().steps))


async def test_a_traversal_left_early_goes_on_from_there(store, whole):
    async with open_checkpoints(store) as saver:
        graph, _ = graph_on(saver)
        steps = aiter(Traversal(graph, CASE, thread="walk"))
        assert (await anext(steps)).node == "review_history"
        await steps.aclose()
        graph, model = graph_on(saver)
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == 7


@pytest.mark.parametrize(("other", "sample"), [(FREE, 0), (CASE, 1)], ids=["case", "sample"])
async def test_a_name_that_keeps_another_walk_is_refused_and_left_as_it_was(other, sample, store, whole):
    async with open_checkpoints(store) as saver:
        graph, model = graph_on(saver)
        await asolve(graph, CASE, thread="walk")
        with pytest.raises(CheckpointError, match="'walk' is of another case or sample"):
            await asolve(graph, other, sample, thread="walk")
        with pytest.raises(CheckpointError, match="another case or sample"):
            await anext(aiter(Traversal(graph, other, sample, thread="walk")))
        assert timeless(await asolve(graph, CASE, thread="walk")) == whole
    assert len(model.requests) == 8


def many(count):
    return [
        Case(id=f"case {n}", vignette=f"{CASE.vignette} Bed {n}.", options=CASE.options) for n in range(count)
    ]


async def test_many_walks_at_a_time_share_a_file_and_do_not_mix(store):
    cases, sampling = many(12), Sampling(temperature=0.7)
    model = ScriptedChatModel(script=STRAIGHT)
    bare = {
        (t.case.id, t.sample): timeless(t)
        async for t in run(cases, model, strategy=GraphStrategy(sampling=sampling), samples=2)
    }
    async with open_checkpoints(store) as saver:
        strategy = GraphStrategy(sampling=sampling, checkpointer=saver)
        kept = {
            (t.case.id, t.sample): timeless(t)
            async for t in run(cases, model, strategy=strategy, samples=2, concurrency=8)
        }
    assert len(kept) == 24
    assert kept == bare


async def test_a_run_that_was_broken_off_goes_on_inside_its_walks(store):
    cases = many(8)
    broken = Fragile(script=STRAIGHT, good=40)
    async with open_checkpoints(store) as saver:
        with pytest.raises(PlugPulledError):
            async for _ in run(cases, broken, strategy=GraphStrategy(checkpointer=saver), concurrency=8):
                pass
    async with open_checkpoints(store) as saver:
        model = ScriptedChatModel(script=STRAIGHT)
        strategy = GraphStrategy(checkpointer=saver)
        traces = [trace async for trace in run(cases, model, strategy=strategy, concurrency=8)]
    assert sorted(trace.case.id for trace in traces) == [case.id for case in cases]
    assert {trace.answer for trace in traces} == {"B"}
    assert len(model.requests) == 8 * 8 - 40


async def test_a_file_does_not_grow_where_ended_walks_are_taken_out(store):
    async with open_checkpoints(store) as saver:
        graph, _ = graph_on(saver)
        for n in range(60):
            await asolve(graph, CASE, thread=f"walk {n}")
            await saver.adelete_thread(f"walk {n}")
    assert rows(store) == 0
    assert Path(store).stat().st_size < 1_000_000


def test_a_graph_on_such_a_saver_can_be_walked_without_an_event_loop(store, whole):
    async def opened():
        async with open_checkpoints(store) as saver:
            graph, _ = graph_on(saver)
            thread = {"configurable": {"thread_id": "walk"}}
            paused = await asyncio.to_thread(
                graph.invoke, {"case": CASE}, thread, interrupt_before=["conclude"]
            )
            assert "conclusion" not in paused
            await asyncio.to_thread(graph.invoke, None, thread)
            return timeless(await asolve(graph, CASE, thread="walk"))

    assert asyncio.run(opened()) == whole


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (".", "unable to open database file"),
        ("text.sqlite", "file is not a database"),
        ("text.sqlite/walks.sqlite", "text.sqlite"),
        ("mysql://ward:s3cret@127.0.0.1/x", "SQLite file or at a postgresql:// URL"),
        ("POSTGRESQL://ward:s3cret@127.0.0.1:1/x", "SQLite file or at a postgresql:// URL"),
        ("postgresql://ward:s3cret@127.0.0.1:1/x", "PostgreSQL database: connection failed"),
        ("postgresql://ward:s3cret%zz@127.0.0.1/x", "percent-encoded"),
        ("postgresql://ward:s3cret/x@127.0.0.1/x", "PostgreSQL database"),
        ("postgresql://ward:s3cret@[::1/x", "PostgreSQL database"),
    ],
)
async def test_a_place_that_cannot_keep_walks_is_named_without_its_password(
    where, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("text.sqlite").write_text("no database at all, but a text of some length " * 50)
    with pytest.raises(CheckpointError, match=re.escape(said)) as refused:
        async with open_checkpoints(where):
            pass
    told = "".join(traceback.format_exception(refused.value))
    assert "s3cret" not in told
    assert "\n" not in str(refused.value)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["text.sqlite"]


async def test_a_file_that_can_only_be_read_is_refused(store):
    async with open_checkpoints(store):
        pass
    Path(store).chmod(0o444)
    if os.access(store, os.W_OK):
        pytest.skip("this user may write what is read-only")
    with pytest.raises(CheckpointError, match="readonly"):
        async with open_checkpoints(store):
            pass


async def test_a_store_that_breaks_in_the_middle_of_a_walk_says_so_in_one_sentence(store):
    async with open_checkpoints(store) as saver:
        with closing(sqlite3.connect(store)) as other:
            other.execute("DROP TABLE checkpoints")
        graph, _ = graph_on(saver)
        with pytest.raises(CheckpointError, match=r"walks.sqlite: no such table: checkpoints"):
            await asolve(graph, CASE, thread="walk")
