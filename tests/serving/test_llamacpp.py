"""A llama.cpp server over HTTP: what it is asked for, and what is made of one that says little."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from journeys import AT_ONCE, CASE, FREE

from ddxgraph import build_graph, connect, solve
from ddxgraph.nodes.call.consultation import BRIEF_KEY, SERIAL_KEY
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE
from ddxgraph.serving.llamacpp import (
    LLGUIDANCE,
    LlamaCppChatModel,
    LlamaServer,
    compact_grammar,
    look_at,
    release_of,
)
from ddxgraph.serving.weights import SMOLLM2
from ddxgraph.testing import smallest

GBNF = 'boolean ::= ("true" | "false") space\nroot ::= boolean\nspace ::= | " " | "\\n"{1,2} [ \\t]{0,20}\n'
"""What a llama.cpp built without llguidance makes of a schema."""


def listed(name: str = "the-model", **facts: Any) -> Mapping[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "llamacpp", **facts}]}


def properties(**facts: Any) -> Mapping[str, Any]:
    settings = {"default_generation_settings": {"n_ctx": 4_096}}
    return {"total_slots": 3, "build_info": "b8681-Debian", **settings, **facts}


class Llama:
    """A server on loopback that answers as a llama.cpp of some build does."""

    def __init__(self) -> None:
        self.gets: dict[str, Any] = {"/v1/models": listed(), "/props": properties()}
        self.grammar: str | None = f"{LLGUIDANCE} {{}}\nstart: %json {{}}"
        """What it makes of a schema; None: its build has no such endpoint."""
        self.queries: list[str] = []
        self.chats: list[Mapping[str, Any]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                server.queries.append(query)
                self._send(server.gets.get(path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(server.answer(self.path, body))

            def _send(self, answer: Any) -> None:
                data = json.dumps(answer or {"error": {"code": 404, "message": "File Not Found"}}).encode()
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if path == "/completion" and self.grammar is not None:
            return dict.fromkeys(body["response_fields"], self.grammar)
        if path != "/v1/chat/completions":
            return None
        self.chats.append(body)
        message = {"role": "assistant", "content": json.dumps(smallest(schema_of(body)))}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        }


def schema_of(body: Mapping[str, Any]) -> Any:
    if "grammar" in body:
        return json.loads(body["grammar"].partition("%json ")[2])
    return body["response_format"]["json_schema"]["schema"]


@pytest.fixture
def llama(monkeypatch) -> Iterator[Llama]:
    for variable in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Llama()
    with running.http as http, ThreadPoolExecutor(1) as pool:
        pool.submit(http.serve_forever, 0.01)
        yield running
        http.shutdown()


def seen_by(llama: Llama, base_url: str | None = None) -> LlamaServer:
    url = base_url or llama.url
    return look_at(ServerApi(url, None, KEY_VARIABLE), url, "the-model")


def test_a_server_is_asked_for_its_slots_window_build_and_kind_of_grammar(llama):
    assert seen_by(llama) == LlamaServer(3, 4_096, "llama.cpp (b8681-Debian)", llguidance=True)
    assert "model=the-model" in llama.queries


def test_what_is_asked_for_lies_above_v1_below_any_prefix(llama):
    llama.gets["/behind/props"] = properties(total_slots=7)
    llama.gets["/v1/props"] = properties(total_slots=8)
    assert seen_by(llama, llama.url.replace("/v1", "/behind/v1/")).slots == 7
    assert seen_by(llama, llama.url.removesuffix("/v1")).slots == 3


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"role": "router", "default_generation_settings": None},
        {"total_slots": "3", "default_generation_settings": {"n_ctx": 0}, "build_info": 7},
        {"total_slots": -1, "default_generation_settings": []},
        ["total_slots"],
    ],
    ids=["no such path", "router", "strange", "negative", "list"],
)
def test_what_a_server_does_not_say_stays_unknown(llama, said):
    llama.gets["/props"], llama.grammar = said, None
    assert seen_by(llama) == LlamaServer()


@pytest.mark.parametrize(
    ("build", "tags", "release"),
    [
        ("b8681-Debian", [], "llama.cpp (b8681-Debian)"),
        ("b0-unknown", [], "llama.cpp"),
        ("b0-unknown", ["mine", "xllamacpp 2026.10"], "llama.cpp (xllamacpp 2026.10)"),
        ("b9-1a2b", ["xllamacpp 2026.10"], "llama.cpp (xllamacpp 2026.10, b9-1a2b)"),
        (None, ["mine"], "llama.cpp"),
    ],
)
def test_a_release_is_named_by_the_build_and_by_our_own_tag(build, tags, release):
    assert release_of(build, tags) == release


def test_connect_makes_the_best_of_a_llama_cpp_server(llama):
    model = connect(llama.url, temperature=0.5, seed=7)
    assert isinstance(model, LlamaCppChatModel)
    assert (model.metadata[SERIAL_KEY], model.metadata[BRIEF_KEY]) == (True, False)
    assert model.profile["max_input_tokens"] == 4_096
    trace = solve(build_graph(model, patience=AT_ONCE), CASE)
    assert trace.outcome == "answered"
    assert trace.provenance.engine == "llama.cpp (b8681-Debian)"
    assert trace.strategy.context_window == 4_096
    for body in llama.chats:
        assert body["grammar"].startswith(LLGUIDANCE)
        assert "response_format" not in body
        assert (body["temperature"], body["seed"]) == (0.5, 7)


def test_the_window_in_the_model_list_goes_before_that_in_the_properties(llama):
    llama.gets["/v1/models"] = listed(meta={"n_ctx": 2_048})
    assert connect(llama.url).profile["max_input_tokens"] == 2_048


def test_each_conversation_stays_in_a_slot_of_its_own(llama):
    graph = build_graph(connect(llama.url), patience=AT_ONCE)
    for case in (CASE, FREE, CASE.model_copy(update={"id": "again", "vignette": "Fever."})):
        solve(graph, case)
    taken = defaultdict(set)
    for body in llama.chats:
        taken[json.dumps(body["messages"][:2])].add(body["id_slot"])
    assert len(taken) == 3
    assert all(len(slots) == 1 for slots in taken.values())
    assert set.union(*taken.values()) == {0, 1, 2}


def test_a_server_that_does_not_tell_its_slots_is_told_none(llama):
    llama.gets["/props"] = None
    assert solve(build_graph(connect(llama.url), patience=AT_ONCE), CASE).outcome == "answered"
    assert llama.chats
    assert not any("id_slot" in body for body in llama.chats)


@pytest.mark.parametrize("made", [GBNF, "", None], ids=["gbnf", "none", "no such path"])
def test_a_server_that_is_not_known_to_have_llguidance_is_sent_no_such_grammar(llama, made):
    """It would end, process and all."""
    llama.grammar = made
    assert solve(build_graph(connect(llama.url), patience=AT_ONCE), CASE).outcome == "answered"
    for body in llama.chats:
        assert body["response_format"]["type"] == "json_schema"
        assert "grammar" not in body


def test_the_shipped_model_is_kept_brief_wherever_it_is_served(llama):
    llama.gets["/v1/models"] = listed(SMOLLM2.name)
    assert connect(llama.url).metadata[BRIEF_KEY] is True


def test_a_compact_grammar_holds_the_schema_and_asks_for_no_free_space():
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    head, _, sent = compact_grammar(json.dumps(schema)).partition("%json ")
    assert head == "%llguidance {}\nstart: "
    assert {**json.loads(sent), "x-guidance": None} == {**schema, "x-guidance": None}
    assert json.loads(sent)["x-guidance"]["whitespace_flexible"] is False
