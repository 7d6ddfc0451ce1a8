"""A walk with a checkpointer: interrupted, resumed, read back by another process, looked at in retrospect."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from journeys import AT_ONCE, CASE, STRAIGHT, answer, course, timeless
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.event_hooks import register_serde_event_listener
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from ddxgraph import Case, build_graph, solve, trace_of
from ddxgraph.testing import ScriptedChatModel

THREAD = {"configurable": {"thread_id": "ward 7"}}
STOPS = ["review_history", "generate_differential", "check_evidence", "reflect", "conclude"]


def graph_on(saver, script=STRAIGHT):
    return build_graph(ScriptedChatModel(script=script), patience=AT_ONCE, checkpointer=saver)


@pytest.fixture
def uninterrupted():
    return timeless(solve(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE))


@pytest.fixture
def complaints(caplog):
    """What LangGraph says about types that it would rather not read back, and any other warning that it logs."""
    said = []
    stop = register_serde_event_listener(lambda event: said.append(f"{event['kind']}: {event['name']}"))
    with caplog.at_level(logging.WARNING):
        yield lambda: sorted({*said, *(record.getMessage() for record in caplog.records)})
    stop()


@pytest.mark.parametrize("stop", STOPS)
def test_a_walk_interrupted_before_a_stop_resumes_to_the_same_trace(stop, uninterrupted):
    graph = graph_on(InMemorySaver())
    paused = graph.invoke({"case": CASE}, THREAD, interrupt_before=[stop])
    assert "conclusion" not in paused
    assert set(graph.get_state(THREAD).next) == {stop}
    assert timeless(trace_of(graph.invoke(None, THREAD))) == uninterrupted


def test_a_paused_walk_already_has_a_trace():
    graph = graph_on(InMemorySaver())
    graph.invoke({"case": CASE}, THREAD, interrupt_before=["conclude"])
    trace = trace_of(graph.get_state(THREAD).values)
    assert trace.ended == "interrupted"
    assert trace.answer is None
    assert course(trace)[-1] == "reflect -> conclude [self]"


def test_a_walk_compiled_to_pause_after_every_round_can_be_stepped_through(uninterrupted):
    graph = graph_on(InMemorySaver())
    state = graph.invoke({"case": CASE}, THREAD, interrupt_after="*")
    rounds = 1
    while graph.get_state(THREAD).next:
        state = graph.invoke(None, THREAD, interrupt_after="*")
        rounds += 1
    assert rounds == 5
    assert timeless(trace_of(state)) == uninterrupted


def test_a_past_checkpoint_can_be_continued_in_another_way():
    saver = InMemorySaver()
    graph_on(saver).invoke({"case": CASE}, THREAD)
    other = graph_on(saver, STRAIGHT | {"conclude": answer("A")})
    past = next(s for s in other.get_state_history(THREAD) if s.next == ("conclude",))
    again = trace_of(other.invoke(None, past.config))
    assert again.answer == "A"
    assert len(again.steps) == 8


def test_state_in_sqlite_survives_into_a_fresh_graph(tmp_path, uninterrupted, recwarn, complaints):
    path = str(tmp_path / "walks.sqlite")
    with SqliteSaver.from_conn_string(path) as saver:
        graph_on(saver).invoke({"case": CASE}, THREAD, interrupt_before=["check_evidence"])
    with SqliteSaver.from_conn_string(path) as saver:
        graph = graph_on(saver)
        assert graph.get_state(THREAD).next == ("check_evidence",) * 4
        assert timeless(trace_of(graph.invoke(None, THREAD))) == uninterrupted
    with SqliteSaver.from_conn_string(path) as saver:
        assert timeless(trace_of(graph_on(saver).get_state(THREAD).values)) == uninterrupted
    assert complaints() == []
    assert [str(warning.message) for warning in recwarn] == []


async def test_state_in_async_sqlite_survives_into_a_fresh_graph(
    tmp_path, uninterrupted, recwarn, complaints
):
    path = str(tmp_path / "walks.sqlite")
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await graph_on(saver).ainvoke({"case": CASE}, THREAD, interrupt_before=["check_evidence"])
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        graph = graph_on(saver)
        assert (await graph.aget_state(THREAD)).next == ("check_evidence",) * 4
        assert timeless(trace_of(await graph.ainvoke(None, THREAD))) == uninterrupted
    assert complaints() == []
    assert [str(warning.message) for warning in recwarn] == []


RESUME = """
import logging, sys
logging.basicConfig(level=logging.WARNING)
from ddxgraph import build_graph, trace_of
from ddxgraph.testing import ScriptedChatModel
from langgraph.checkpoint.sqlite import SqliteSaver
with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    model = ScriptedChatModel(script={"conclude": {"justification": "", "answer": "C"}})
    graph = build_graph(model, checkpointer=saver)
    print(trace_of(graph.invoke(None, {"configurable": {"thread_id": "ward 7"}})).to_json())
"""


@pytest.mark.parametrize("strict", ["false", "true"], ids=["permissive", "strict"])
def test_another_process_resumes_a_walk_without_a_complaint(tmp_path, strict):
    """`LANGGRAPH_STRICT_MSGPACK=true` is what LangGraph announces as its future default."""
    path = str(tmp_path / "walks.sqlite")
    with SqliteSaver.from_conn_string(path) as saver:
        graph_on(saver).invoke({"case": CASE}, THREAD, interrupt_before=["check_evidence"])
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", RESUME, path],
        env={"PYTHONPATH": str(source), "LANGGRAPH_STRICT_MSGPACK": strict},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"answer":"C"' in done.stdout
    assert done.stderr == ""


def test_threads_do_not_see_one_another():
    graph = graph_on(InMemorySaver())
    other = Case(vignette="Chest pain.", options={"A": "Infarction", "B": "Reflux"})
    graph.invoke({"case": CASE}, THREAD)
    trace = trace_of(graph.invoke({"case": other}, {"configurable": {"thread_id": "ward 8"}}))
    assert trace.case == other
    assert "cough" not in trace.opening


def test_a_second_case_in_the_same_thread_is_walked_from_its_own_beginning():
    graph = build_graph(model := ScriptedChatModel(), checkpointer=InMemorySaver())
    other = Case(vignette="Chest pain.", options={"A": "Infarction", "B": "Reflux"})
    graph.invoke({"case": CASE}, THREAD)
    model.requests.clear()
    trace = trace_of(graph.invoke({"case": other}, THREAD))
    assert all("Chest pain." in request.messages[1].content for request in model.requests)
    assert not any("cough" in request.messages[1].content for request in model.requests)
    assert trace.case == other
    assert len(trace.steps) == 6


def test_the_same_case_in_the_same_thread_can_be_walked_again():
    graph = graph_on(InMemorySaver())
    first = trace_of(graph.invoke({"case": CASE}, THREAD))
    assert timeless(trace_of(graph.invoke({"case": CASE}, THREAD))) == timeless(first)


def test_a_case_may_follow_one_that_failed_in_the_same_thread():
    saver = InMemorySaver()
    broken = trace_of(graph_on(saver, {"reflect": ConnectionError("refused")}).invoke({"case": CASE}, THREAD))
    assert broken.ended == "failure"
    assert trace_of(graph_on(saver).invoke({"case": CASE}, THREAD)).ended == "concluded"
