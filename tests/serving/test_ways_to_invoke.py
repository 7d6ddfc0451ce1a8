"""Every way in which LangGraph's users run a graph, on a real engine: in its time, with the same trace.

`tests/graph/test_streams.py` has the same on a scripted model, mode by mode.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from journeys import in_time, timeless
from loggingproxy import LoggingProxy, logging_proxy

from ddxgraph import Budget, Case, Limits, build_graph, connect, trace_of
from ddxgraph.graph.trace import Trace
from ddxgraph.serving.embedded import EmbeddedChatModel
from ddxgraph.serving.llamacpp import LlamaCppChatModel

pytestmark = pytest.mark.alone

CASE = Case(id="short", vignette="Fever, cough and crackles.", options={"A": "Pneumonia", "B": "Gout"})
SHORTEST = Limits(
    reasoning_chars=20,
    note_chars=20,
    quote_chars=20,
    findings=1,
    others=0,
    hypotheses=2,
    weights=1,
    refutations=1,
)
MODES = ["values", "updates", "messages", "custom", "debug", "tasks", "checkpoints"]
INPUT: Any = {"case": CASE}


def last_state(chunks: list[Any]) -> Any:
    """The last state among what a stream gave; every mode that has something to say is there."""
    assert {mode for mode, _ in chunks} == set(MODES) - {"custom", "checkpoints"}
    return [state for mode, state in chunks if mode == "values"][-1]


def streamed(graph: Any) -> Any:
    return last_state(list(graph.stream(INPUT, stream_mode=MODES)))


def streamed_on_a_loop(graph: Any) -> Any:
    async def listed() -> list[Any]:
        return [chunk async for chunk in graph.astream(INPUT, stream_mode=MODES)]

    return last_state(asyncio.run(listed()))


def events(graph: Any) -> Any:
    async def listed() -> list[Any]:
        return [event async for event in graph.astream_events(INPUT, version="v2")]

    seen = asyncio.run(listed())
    assert sum(event["event"] == "on_chat_model_stream" for event in seen) > 20, "no reply came in pieces"
    return seen[-1]["data"]["output"]


WAYS: dict[str, Callable[[Any], Any]] = {
    "ainvoke": lambda graph: asyncio.run(graph.ainvoke(INPUT)),
    "stream": streamed,
    "astream": streamed_on_a_loop,
    "astream_events": events,
    "batch": lambda graph: graph.batch([INPUT])[0],
}


@pytest.fixture(scope="module")
def proxy() -> Iterator[LoggingProxy]:
    """Named by the environment throughout; nothing may reach it, since all is on loopback."""
    with pytest.MonkeyPatch.context() as patch, logging_proxy() as running:
        for name, value in running.environment().items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def embedded(proxy: LoggingProxy) -> Iterator[EmbeddedChatModel]:
    model = connect(concurrency=1)
    assert isinstance(model, EmbeddedChatModel)
    yield model
    model.close()


@pytest.fixture(scope="module")
def over_http(embedded: EmbeddedChatModel) -> LlamaCppChatModel:
    """The same engine as any llama.cpp server: by its address and its key."""
    at = embedded._engine
    model = connect(at.base_url, embedded.model_name, at.api_key, temperature=0, seed=embedded.seed)
    assert isinstance(model, LlamaCppChatModel)
    assert model._slots, "the server does not tell its slots"
    return model


def graph_on(model: Any) -> Any:
    return build_graph(model, budget=Budget(max_backtracks=0), limits=SHORTEST)


@pytest.fixture(scope="module")
def expected(embedded: EmbeddedChatModel) -> Trace:
    """What `invoke` gives once the engine is warm: a prompt that it computes anew may round otherwise."""
    graph = graph_on(embedded)
    graph.invoke(INPUT)
    trace = trace_of(graph.invoke(INPUT))
    assert trace.outcome == "answered"
    assert trace.distribution_from == "logprobs"
    assert not trace.usage.estimated
    assert trace.usage.cached_tokens
    return trace


@pytest.mark.parametrize("served", ["embedded", "over_http"])
@pytest.mark.parametrize("way", WAYS)
def test_it_ends_in_its_time_with_the_same_trace(way, served, expected, proxy, request):
    """Words, tokens, cached tokens and log-probabilities: a reply that comes in pieces loses nothing."""
    graph = graph_on(request.getfixturevalue(served))
    trace = trace_of(in_time(lambda: WAYS[way](graph)))
    assert timeless(trace) == timeless(expected)
    assert proxy.seen == []
