"""What LangGraph's users watch: plain input, streams, events and callback handlers."""

import asyncio
import sys
import threading

import pytest
from journeys import AT_ONCE, CASE, STRAIGHT, course, in_time, timeless
from langchain_core.callbacks import BaseCallbackHandler

from ddxgraph import build_graph, solve, trace_of
from ddxgraph.graph.visits.checks import Turns
from ddxgraph.nodes.call.consultation import BRANCH_KEY, NODE_KEY, SERIAL_KEY
from ddxgraph.testing import ScriptedChatModel

CALLS = [
    ("check_evidence", "A"),
    ("check_evidence", "B"),
    ("check_evidence", "C"),
    ("check_evidence", "D"),
    ("conclude", ""),
    ("generate_differential", ""),
    ("reflect", ""),
    ("review_history", ""),
]
"""Node and branch of the calls of a straight walk, sorted."""


def straight():
    return build_graph(ScriptedChatModel(script=STRAIGHT))


def called(metadata):
    return metadata[NODE_KEY], metadata.get(BRANCH_KEY, "")


class Listener(BaseCallbackHandler):
    """Notes which calls a handler gets to see."""

    def __init__(self):
        self.started, self.ended, self.failed = [], 0, 0

    def on_chat_model_start(self, serialized, messages, *, metadata=None, **_):
        self.started.append(called(metadata))

    def on_llm_end(self, response, **_):
        self.ended += 1

    def on_llm_error(self, error, **_):
        self.failed += 1


def test_a_case_may_be_a_plain_mapping():
    state = straight().invoke({"case": CASE.model_dump()})
    assert state["case"] == CASE
    assert timeless(trace_of(state)) == timeless(solve(straight(), CASE))


async def test_a_case_may_be_a_plain_mapping_on_an_event_loop():
    state = await straight().ainvoke({"case": CASE.model_dump(mode="json"), "sample": 2})
    assert trace_of(state) == trace_of(state).model_copy(update={"case": CASE, "sample": 2})


def test_updates_stream_a_step_a_stop():
    chunks = list(straight().stream({"case": CASE}, stream_mode="updates"))
    stops = [stop for chunk in chunks for stop in chunk]
    assert stops == [
        "review_history",
        "generate_differential",
        *["check_evidence"] * 4,
        "reflect",
        "conclude",
    ]
    steps = [step for chunk in chunks for update in chunk.values() for step in update["steps"]]
    assert [step.node for step in steps] == stops
    assert sorted(step.branch for step in steps if step.branch) == ["A", "B", "C", "D"]
    assert chunks[-1]["conclude"]["conclusion"].answer == "B"


async def test_values_stream_a_growing_journey():
    seen = [len(v.get("steps", [])) async for v in straight().astream({"case": CASE}, stream_mode="values")]
    assert seen == [0, 1, 2, 6, 7, 8]


def test_messages_stream_each_reply_with_its_stop():
    seen = sorted(called(about) for _, about in straight().stream({"case": CASE}, stream_mode="messages"))
    assert seen == CALLS


async def test_events_tell_of_every_call():
    events = [event async for event in straight().astream_events({"case": CASE}, version="v2")]
    ends = [event for event in events if event["event"] == "on_chat_model_end"]
    assert sorted(called(event["metadata"]) for event in ends) == CALLS
    assert all(event["data"]["output"].usage_metadata["total_tokens"] > 0 for event in ends)
    stops = {event["name"] for event in events if event["event"] == "on_chain_start"}
    assert {"review_history", "generate_differential", "check_evidence", "reflect", "conclude"} <= stops


def test_a_callback_handler_sees_every_call():
    listener = Listener()
    trace = trace_of(straight().invoke({"case": CASE}, {"callbacks": [listener]}))
    assert sorted(listener.started) == CALLS
    assert listener.ended == 8
    assert course(trace)[-1] == "conclude -> end [self]"


async def test_a_callback_handler_sees_every_call_on_an_event_loop():
    listener = Listener()
    await straight().ainvoke({"case": CASE}, {"callbacks": [listener]})
    assert sorted(listener.started) == CALLS
    assert listener.ended == 8


def test_a_callback_handler_sees_a_failure():
    listener = Listener()
    graph = build_graph(
        ScriptedChatModel(script=STRAIGHT | {"reflect": ConnectionError("refused")}), patience=AT_ONCE
    )
    state = graph.invoke({"case": CASE}, {"callbacks": [listener]})
    assert (listener.ended, listener.failed) == (6, 1)
    assert trace_of(state).ended == "failure"


def test_a_handler_of_the_model_itself_sees_every_call():
    listener = Listener()
    solve(build_graph(ScriptedChatModel(script=STRAIGHT, callbacks=[listener])), CASE)
    assert sorted(listener.started) == CALLS


def test_being_watched_changes_nothing():
    watched = trace_of(straight().invoke({"case": CASE}, {"callbacks": [Listener()]}))
    assert timeless(watched) == timeless(solve(straight(), CASE))


def test_a_users_metadata_and_tags_reach_the_calls():
    seen = []

    class Tagged(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, *, metadata=None, tags=None, **_):
            seen.append((metadata["ward"], tags))

    config = {"callbacks": [Tagged()], "metadata": {"ward": 7}, "tags": ["night"]}
    straight().invoke({"case": CASE}, config)
    assert len(seen) == 8
    assert all(ward == 7 and "night" in tags for ward, tags in seen)


@pytest.mark.parametrize("given", [{}, {"case": CASE, "sample": 0}], ids=["no sample", "sample 0"])
def test_the_sample_is_zero_unless_said(given):
    assert trace_of(straight().invoke({"case": CASE, **given})).sample == 0


MODES = ["values", "updates", "messages", "custom", "debug", "tasks", "checkpoints"]


def served(serial):
    return build_graph(ScriptedChatModel(script=STRAIGHT, metadata={SERIAL_KEY: True} if serial else {}))


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "parallel"])
@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_stream_ends_with_the_same_trace(mode, subgraphs, serial):
    expected = timeless(solve(straight(), CASE))
    settings = {"stream_mode": [mode, "values"], "subgraphs": subgraphs}
    chunks = in_time(lambda: list(served(serial).stream({"case": CASE}, **settings)))

    async def listed():
        return [chunk async for chunk in served(serial).astream({"case": CASE}, **settings)]

    for seen in (chunks, in_time(lambda: asyncio.run(listed()))):
        states = [chunk for *_, kind, chunk in seen if kind == "values"]
        assert timeless(trace_of(states[-1])) == expected


async def events(graph):
    return [event async for event in graph.astream_events({"case": CASE}, version="v2")][-1]["data"]["output"]


@pytest.mark.parametrize("serial", [True, False], ids=["serial", "parallel"])
@pytest.mark.parametrize(
    "way",
    [
        lambda graph: graph.invoke({"case": CASE}),
        lambda graph: asyncio.run(graph.ainvoke({"case": CASE})),
        lambda graph: asyncio.run(events(graph)),
        lambda graph: graph.batch([{"case": CASE}] * 3)[1],
        lambda graph: asyncio.run(graph.abatch([{"case": CASE}] * 3))[1],
    ],
    ids=["invoke", "ainvoke", "events", "batch", "abatch"],
)
def test_every_other_way_ends_with_it_too(way, serial):
    assert timeless(trace_of(in_time(lambda: way(served(serial))))) == timeless(solve(straight(), CASE))


@pytest.mark.parametrize("mode", ["messages", "custom", ["updates", "messages"]])
def test_a_users_own_limit_of_one_hangs_no_stream(mode):
    chunks = in_time(
        lambda: list(straight().stream({"case": CASE}, {"max_concurrency": 1}, stream_mode=mode))
    )
    assert bool(chunks) is (mode != "custom")


def test_a_serial_engine_is_asked_in_turn_while_its_words_are_streamed():
    asked, at_once = [], []
    together = threading.Event()

    class Slow(ScriptedChatModel):
        """A call waits until another one begins, or for a moment: long enough for one that may."""

        def invoke(self, *given, **settings):
            asked.append(1)
            at_once.append(len(asked))
            together.wait(0.02)
            reply = super().invoke(*given, **settings)
            asked.pop()
            return reply

    model = Slow(script=STRAIGHT, metadata={SERIAL_KEY: True})
    graph = build_graph(model)
    in_time(lambda: list(graph.stream({"case": CASE}, stream_mode="messages", subgraphs=True)))
    assert set(at_once) == {1}
    assert [request.branch for request in model.requests if request.branch] == ["B", "A", "C", "D"]


def test_the_checks_keep_their_order_however_the_threads_take_turns():
    """A thread that ends one check must not overtake the thread that waits with the one before."""

    class Slow(ScriptedChatModel):
        def invoke(self, *given, **settings):
            threading.Event().wait(0.002)  # a call takes a while, in which the other threads come to wait
            return super().invoke(*given, **settings)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(20):
            model = Slow(script=STRAIGHT, metadata={SERIAL_KEY: True})
            graph = build_graph(model)
            in_time(
                lambda graph=graph: list(graph.stream({"case": CASE}, stream_mode="messages", subgraphs=True))
            )
            assert [request.branch for request in model.requests if request.branch] == ["B", "A", "C", "D"]
    finally:
        sys.setswitchinterval(before)


def test_a_check_that_nobody_waits_for_takes_its_turn_at_once():
    """After a crash, a round goes on in another process, without the checks that have ended."""
    turns, ended = Turns(["B", "A"]), []
    with turns.of("H1"):
        ended.append("H1")
    later = threading.Thread(target=lambda: _one_turn(turns, "A", ended))
    later.start()
    _one_turn(turns, "B", ended)
    later.join(10)
    assert ended == ["H1", "B", "A"]
    assert turns.over
    with pytest.raises(ZeroDivisionError), turns.of("A"):
        1 / 0  # noqa: B018
    _one_turn(turns, "A", ended)


def _one_turn(turns, key, ended):
    with turns.of(key):
        ended.append(key)
