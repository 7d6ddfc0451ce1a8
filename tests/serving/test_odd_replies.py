"""Replies and errors of servers in the field, each through a whole traversal over HTTP."""

import asyncio
from contextlib import aclosing

import pytest
from faultserver import Odd, fault_server, said
from journeys import timeless
from odd_replies import REPLIES

from ddxgraph import Case, EndpointError, Patience, build_graph, connect, solve, trace_of
from ddxgraph.cli.serving.findings import travelled
from ddxgraph.nodes.call import tolerance
from ddxgraph.serving.doctor.doctor import examine
from ddxgraph.serving.doctor.finding import cannot_run

CASE = Case(
    id="calf",
    vignette="A 40-year-old gardener has had a swollen, warm, red calf since a long bus ride yesterday.",
    question="What is the most likely diagnosis?",
    options={"A": "Deep vein thrombosis", "B": "Erysipelas"},
)
PATIENCE = Patience(away_s=0.5, attempts=2, first_wait_s=0.01, longest_wait_s=0.02)


@pytest.fixture(scope="module")
def server():
    with fault_server() as started:
        yield started


@pytest.fixture(scope="module")
def chat(server):
    return connect(server.base_url, "fake")


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    tolerance._KNOWN.clear()


@pytest.fixture
def traced(server, chat):
    def walk(odd: Odd, model=chat):
        server.odd, server.requests = odd, []
        return solve(build_graph(model, patience=PATIENCE), CASE)

    return walk


@pytest.mark.parametrize("name", REPLIES)
def test_a_traversal_makes_of_it_what_it_is(name, server, traced):
    odd, outcome, kind, words, calls = REPLIES[name]
    trace = traced(odd)
    failure = trace.failure
    assert trace.outcome == outcome, failure
    assert (failure.kind if failure else "") == kind
    assert words in (failure.message if failure else "")
    if calls is not None:
        assert len(server.requests) == calls
    if outcome == "error":
        assert failure.boundary == "engine"
    for step in trace.steps:
        assert step.usage.prompt_tokens > 0 or not step.text


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_is_streamed_is_the_same(name, server, chat):
    odd, outcome, kind, words, _ = REPLIES[name]
    traces = []
    for mode in ("values", ["messages", "values"]):
        tolerance._KNOWN.clear()
        server.odd = odd
        graph = build_graph(chat, patience=PATIENCE)
        *_, state = graph.stream({"case": CASE}, stream_mode=mode)
        traces.append(trace_of(state[1] if isinstance(state, tuple) else state))
    plain, streamed = traces
    failure = streamed.failure
    assert streamed.outcome == outcome, failure
    assert (failure.kind if failure else "") == kind
    assert words in (failure.message if failure else "")
    if outcome != "error":  # the clients' own names of errors differ
        assert timeless(streamed) == timeless(plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", REPLIES)
def test_the_doctors_verdict_is_what_a_traversal_does(name, server, chat):
    odd, outcome, *_ = REPLIES[name]
    server.odd = odd

    async def look():
        async with aclosing(examine(chat, 20, lambda _: None, travelled)) as findings:
            return [finding async for finding in findings]

    found = asyncio.run(look())
    assert (cannot_run(found) == []) == (outcome == "answered"), [f for f in found if f.status == "missing"]


def test_why_a_reply_ended_is_in_the_trace(server, traced):
    for reason, told in [("content_filter", "content_filter"), ("length", "length"), ("stop", "")]:
        trace = traced(Odd(said('{"a', reason)))
        assert trace.steps[0].finish_reason == told


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("no system turn", ("system turn",)),
        ("no log-probabilities", ("logprobs",)),
        ("few log-probabilities", ("top_logprobs above 5",)),
        ("no temperature", ("temperature",)),
        ("no seed", ("seed",)),
        ("no max_completion_tokens", ("max_completion_tokens",)),
        ("no maxLength", ("maxLength",)),
        ("no response_format", ("response_format",)),
        ("no structured output, Groq", ("response_format",)),
    ],
)
def test_what_is_refused_is_left_out_once_and_said(name, left_out, server, caplog, traced):
    odd = REPLIES[name].odd
    trace = traced(odd)
    refused = [record for record in caplog.records if "refuses" in record.message]
    assert len(refused) == 1
    assert trace.steps[-1].left_out == left_out
    first = len(server.requests)
    again = traced(Odd())
    assert again.steps[-1].left_out == left_out, "remembered for the endpoint"
    assert len(server.requests) == first - 1


def test_a_server_that_reports_no_usage_of_streams_is_not_asked_for_it_again(server, chat):
    server.odd = Odd(
        {"error": {"message": "Unrecognized request argument supplied: stream_options"}},
        400,
        only_if="stream_options",
    )
    server.requests = []
    graph = build_graph(chat, patience=PATIENCE)
    *_, (_, state) = graph.stream({"case": CASE}, stream_mode=["messages", "values"])
    trace = trace_of(state)
    assert trace.outcome == "answered"
    assert trace.usage.estimated
    assert trace.steps[-1].left_out == ("stream_options",)
    assert sum("stream_options" in request for request in server.requests) == 1


@pytest.mark.parametrize("usage", [{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {}])
def test_usage_that_cannot_be_is_estimated_and_marked(usage, server, traced):
    trace = traced(Odd(said(usage=usage)))
    assert trace.usage.estimated
    assert trace.usage.prompt_tokens > 1_000


LISTS = {
    "a bare list": [{"id": "fake", "object": "model"}],
    "Ollama's own": {"models": [{"name": "fake", "model": "fake"}]},
    "names alone": {"data": ["fake"]},
    "none": {"data": []},
    "no path": 404,
    "not allowed": 405,
    "forbidden": 403,
    "a page": "<html>hello</html>",
    "text": '"hello"',
    "a name with a suffix": {"data": [{"id": "fake:latest"}]},
    "a name with its owner": {"data": [{"id": "someone/fake"}]},
    "the first of many pages": {"data": [{"id": "another"}], "has_more": True},
    "entries of another shape": {"data": [{"model_id": "fake"}]},
    "null": {"data": None},
}


@pytest.mark.parametrize("models", LISTS.values(), ids=LISTS)
def test_a_named_model_is_tried_whatever_the_list(models, server, traced):
    server.odd = Odd(models=models)
    assert traced(server.odd, connect(server.base_url, "fake")).outcome == "answered"


def test_a_name_that_a_whole_list_lacks_is_a_slip(server):
    server.odd = Odd(models={"data": [{"id": "qwen"}, {"id": "llama"}]})
    with pytest.raises(EndpointError, match="qwen, llama"):
        connect(server.base_url, "quen")
