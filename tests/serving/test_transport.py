"""Requests to loopback go through no proxy; a chat model serves one event loop after another."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from faultserver import Odd, fault_server
from journeys import AT_ONCE, CASE, STRAIGHT
from loggingproxy import logging_proxy
from scripted_server import scripted_server

from ddxgraph import Patience, asolve, build_graph, connect, solve
from ddxgraph.common.errors import EndpointError, ServerError
from ddxgraph.serving.address import is_loopback
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.served import ServedChatModel
from ddxgraph.serving.transport import chat_clients, proxy_for, reach

MODEL_LIST = "GET http://model.example/v1/models"


@pytest.fixture
def proxy(monkeypatch):
    with logging_proxy() as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def server():
    with scripted_server(STRAIGHT, keep_alive=True) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "scheme"),
    [("127.0.0.1", "http"), ("localhost", "socks5"), ("127.1", "socks5h"), ("0.0.0.0", "nonsense")],
)
def test_a_traversal_on_loopback_stays_there(proxy, server, monkeypatch, host, scheme):
    for name, value in proxy.environment(scheme).items():
        monkeypatch.setenv(name, value)
    model = connect(server.base_url.replace("127.0.0.1", host))
    graph = build_graph(model)
    assert solve(graph, CASE).answer == "B"
    assert asyncio.run(asolve(graph, CASE)).answer == "B"
    assert proxy.seen == []


def test_the_commands_keep_loopback_to_themselves(proxy, server, tmp_path):
    case = tmp_path / "case.json"
    case.write_text(CASE.model_dump_json(), encoding="utf-8")
    environment = {**os.environ, "DDXGRAPH_BASE_URL": server.base_url}
    for command in (["solve", str(case)], ["doctor"], ["run", str(case), "--out", str(tmp_path / "run")]):
        done = subprocess.run(
            [sys.executable, "-m", "ddxgraph", *command], env=environment, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert proxy.seen == [], command
    assert json.loads((tmp_path / "run" / "traces.jsonl").read_text(encoding="utf-8"))["answer"] == "B"


def test_another_host_is_reached_through_the_proxy_which_errors_name(proxy):
    with pytest.raises(EndpointError, match=rf"model\.example/v1 \(through the proxy {proxy.url}\)"):
        connect("http://model.example/v1", "m")
    assert proxy.seen[0].decode().startswith(MODEL_LIST)


def test_a_proxy_that_is_away_is_named(proxy, monkeypatch):
    monkeypatch.setenv("OPENAI_PROXY", "http://user:secret@127.0.0.1:9")  # nothing listens there
    with pytest.raises(ServerError, match=r"through the proxy http://127\.0\.0\.1:9\).*NO_PROXY") as caught:
        ServerApi("http://model.example/v1", None, "").get("/models")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "nonsense://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_refused_in_words(proxy, monkeypatch, value):
    monkeypatch.setenv("OPENAI_PROXY", value)
    with pytest.raises(ServerError, match=r"cannot use the proxy .*model\.example to NO_PROXY"):
        ServerApi("http://model.example/v1", None, "").get("/models")


def test_no_proxy_is_obeyed(proxy, monkeypatch):
    monkeypatch.delenv("OPENAI_PROXY")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "model.example")
    assert proxy_for("http://model.example/v1") == ""
    assert proxy_for("http://other.example/v1") == proxy.url


def test_openai_s_own_proxy_is_for_other_hosts_alone():
    environment = {"OPENAI_PROXY": "http://gate:8080"}
    assert reach("http://model.example/v1", environment) == {"proxy": "http://gate:8080"}
    assert reach("http://127.0.0.1:8000/v1", environment) == {"trust_env": False}
    assert reach("http://model.example/v1", {}) == {}


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost.", True),
        ("model.localhost", True),
        ("127.255.0.1", True),
        ("127.1", True),
        ("0x7f000001", True),
        ("017700000001", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("0.0.0.0", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.example", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_known_in_every_notation(host, here):
    assert is_loopback(host) is here


def test_one_model_serves_one_event_loop_after_another(server):
    model = connect(server.base_url)
    graph = build_graph(model)
    for _ in range(3):
        trace = asyncio.run(asolve(graph, CASE))
        assert (trace.outcome, trace.answer) == ("answered", "B")
    again = build_graph(connect(server.base_url))
    assert asyncio.run(asolve(again, CASE)).answer == "B"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_carries_nothing_to_another_place(status):
    with fault_server() as elsewhere, fault_server() as server:
        model = connect(server.base_url, "fake")
        onward = f"{elsewhere.base_url}/chat/completions"
        server.odd = Odd("moved", status, {"Location": onward})
        trace = solve(build_graph(model, patience=AT_ONCE), CASE)
        assert (trace.outcome, elsewhere.requests) == ("error", [])
        with pytest.raises(ServerError, match=f"sends requests on to {onward}"):
            ServerApi(server.base_url, None, "").post("/chat/completions", {"messages": []})
        assert elsewhere.requests == []


def test_a_connection_is_dropped_before_its_server_does():
    """uvicorn, under vLLM, closes those that idle for 5 s."""
    clients = chat_clients("http://127.0.0.1:9/v1")
    for name in ("http_client", "http_async_client"):
        assert clients[name]._transport._pool._keepalive_expiry < 5


def test_two_loops_may_run_at_the_same_time(server):
    graph = build_graph(connect(server.base_url))

    async def outer() -> list[str | None]:
        inner = asyncio.to_thread(asyncio.run, asolve(graph, CASE))
        traces = await asyncio.gather(inner, asolve(graph, CASE))
        return [trace.answer for trace in traces]

    assert asyncio.run(outer()) == ["B", "B"]


@contextmanager
def dripping(every_s: float):
    """A server that sends a blank line of its answer now and then, and never ends."""

    class Drips(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            with suppress(OSError):
                while not over.wait(every_s):
                    self.wfile.write(b"\n")
                    self.wfile.flush()

    over = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), Drips) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            over.set()
            server.shutdown()


@pytest.mark.parametrize("blocking", [False, True])
def test_a_server_that_answers_in_drips_does_not_hold_up_the_clock(blocking):
    with dripping(0.05) as base_url:
        model = ServedChatModel(model="fake", base_url=base_url, api_key="x", timeout=0.4, max_retries=0)
        graph = build_graph(model, patience=Patience(away_s=0, attempts=1))
        start = time.monotonic()
        trace = solve(graph, CASE) if blocking else asyncio.run(asolve(graph, CASE))
    assert trace.failure.kind == "timeout"
    assert 0.3 < time.monotonic() - start < 5, "the limit is on the reply, not on each of its drips"
