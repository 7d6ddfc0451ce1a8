import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from journeys import AT_ONCE

from ddxgraph import Case, build_graph, solve
from ddxgraph.common.errors import EndpointError
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, Endpoint, connect, resolve
from ddxgraph.testing import smallest

KEY = "sk-very-secret-0123456789"
CASE = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
ONE_MODEL = {"object": "list", "data": [{"id": "the-model", "object": "model", "owned_by": "vllm"}]}
TWO_MODELS = {"data": [{"id": "large"}, {"id": "small", "max_model_len": 4_096}]}


class Server:
    """An OpenAI-compatible server on loopback that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.content: str | Mapping[str, Any] | list[Any] = ONE_MODEL
        self.content_type = "application/json"
        self.chat: Callable[[Mapping[str, Any]], tuple[int, Mapping[str, Any]]] = completion
        self.seen: list[tuple[str, str, Mapping[str, Any]]] = []
        """Path, key and body of each request."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._record({})
                content = server.content
                text = content if isinstance(content, str) else json.dumps(content)
                self._send(server.status, text, server.content_type)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._record(body)
                status, reply = server.chat(body)
                self._send(status, json.dumps(reply), "application/json")

            def _record(self, body: Mapping[str, Any]) -> None:
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                server.seen.append((self.path, key, body))

            def _send(self, status: int, text: str, content_type: str) -> None:
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def completion(
    body: Mapping[str, Any], text: str | None = None, finish: str = "stop", logprobs: Any = None
) -> tuple[int, Mapping[str, Any]]:
    """A chat completion: the smallest that fits the schema asked for, unless a text is given."""
    if text is None:
        text = json.dumps(smallest(body["response_format"]["json_schema"]["schema"]))
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    cached = {"prompt_tokens_details": {"cached_tokens": 64}}
    head = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"]}
    return 200, {**head, "choices": [choice], "usage": {**usage, **cached}}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch):
    for variable in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE, "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


ENVIRONMENT = {URL_VARIABLE: "http://env:1/v1", MODEL_VARIABLE: "env-model", KEY_VARIABLE: "env-key"}


@pytest.mark.parametrize(
    ("arguments", "environment", "endpoint"),
    [
        ((None, None, None), {}, Endpoint(None, None, None)),
        ((None, None, None), ENVIRONMENT, Endpoint("http://env:1/v1", "env-model", "env-key")),
        (("https://arg/v1", "m", "k"), ENVIRONMENT, Endpoint("https://arg/v1", "m", "k")),
        (("https://arg/v1", "m", "k"), {}, Endpoint("https://arg/v1", "m", "k")),
        (("https://arg/v1", None, None), ENVIRONMENT, Endpoint("https://arg/v1", "env-model", "env-key")),
        ((None, "m", None), ENVIRONMENT, Endpoint("http://env:1/v1", "m", "env-key")),
        ((None, None, "k"), ENVIRONMENT, Endpoint("http://env:1/v1", "env-model", "k")),
        ((None, "tiny.gguf", None), {}, Endpoint(None, "tiny.gguf", None)),
        (("", "", ""), dict.fromkeys(ENVIRONMENT, ""), Endpoint(None, None, None)),
        (("http://127.0.0.1:8000/v1/", None, None), {}, Endpoint("http://127.0.0.1:8000/v1", None, None)),
        (("http://[::1]:8000/v1", None, None), {}, Endpoint("http://[::1]:8000/v1", None, None)),
    ],
)
def test_an_argument_wins_over_the_environment_and_that_over_the_embedded_engine(
    arguments, environment, endpoint
):
    assert resolve(*arguments, environment) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "127.0.0.1:8000/v1",
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http:/host/v1",
        "/v1",
        "   ",
        "http://[::1/v1",
        "http://host:port/v1",
        "http://host:99999/v1",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(url):
    for place in ((url, {}), (None, {URL_VARIABLE: url})):
        with pytest.raises(EndpointError) as refused:
            resolve(place[0], None, None, place[1])
        assert repr(url) in str(refused.value)
        assert "http://127.0.0.1:8000/v1" in str(refused.value)


def test_a_password_in_an_address_is_not_repeated(server):
    address = server.url.replace("//", f"//me:{KEY}@")
    server.status, server.content = 404, {}
    with pytest.raises(EndpointError) as refused:
        connect(address)
    assert KEY not in str(refused.value)


def test_the_only_model_served_is_taken(server):
    model = connect(server.url)
    assert model.model_name == "the-model"
    assert model.metadata["engine"] == "vllm"
    assert server.seen[0][0] == "/v1/models"


def test_the_environment_says_where_and_what(server, monkeypatch):
    server.content = TWO_MODELS
    monkeypatch.setenv(URL_VARIABLE, server.url)
    monkeypatch.setenv(MODEL_VARIABLE, "small")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert connect().model_name == "small"
    assert server.seen[0][1] == KEY


def test_a_named_model_among_several_is_taken(server):
    server.content = TWO_MODELS
    assert connect(server.url, "small").model_name == "small"


def test_several_models_and_no_wish_is_refused_with_the_choice(server):
    server.content = TWO_MODELS
    with pytest.raises(EndpointError, match=r"several models are served .* DDXGRAPH_MODEL .* large, small"):
        connect(server.url)


def test_an_unknown_model_is_refused_with_the_choice(server):
    server.content = TWO_MODELS
    with pytest.raises(EndpointError, match=r"model 'medium' is not served .* large, small"):
        connect(server.url, "medium")


def test_a_server_without_models_says_so(server):
    server.content = {"object": "list", "data": []}
    with pytest.raises(EndpointError) as refused:
        connect(server.url)
    assert "several" not in str(refused.value)
    assert server.url in str(refused.value)


def test_a_refused_key_names_its_variable(server):
    server.status, server.content = 401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}
    with pytest.raises(EndpointError, match=KEY_VARIABLE) as refused:
        connect(server.url, api_key=KEY)
    assert KEY not in str(refused.value)


def test_a_forbidden_key_names_its_variable(server):
    server.status, server.content = 403, {"error": {"message": "not for you"}}
    with pytest.raises(EndpointError, match=KEY_VARIABLE) as refused:
        connect(server.url, api_key=KEY)
    assert "no server answers" not in str(refused.value)


def test_a_missing_model_list_hints_at_v1(server):
    server.status, server.content = 404, {"detail": "Not Found"}
    with pytest.raises(EndpointError, match=r"usually ends in /v1"):
        connect(server.url.removesuffix("/v1"))


def test_a_server_in_trouble_does_answer(server):
    server.status, server.content = 500, {"detail": "out of memory"}
    with pytest.raises(EndpointError, match="500") as refused:
        connect(server.url)
    assert "no server answers" not in str(refused.value)


def test_no_server_is_said_plainly():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match="no server answers at") as refused:
            connect(url)
    assert url in str(refused.value)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ("<!doctype html><title>A web page</title>", "text/html"),
        ("{", "application/json"),
        ({}, "application/json"),
        ({"data": None}, "application/json"),
        ({"data": ["the-model"]}, "application/json"),
        ({"data": [{"name": "the-model"}]}, "application/json"),
        ([{"id": "the-model"}], "application/json"),
        ("null", "application/json"),
    ],
    ids=["page", "broken", "empty", "null", "names", "no id", "list", "nothing"],
)
def test_a_server_that_answers_something_else_is_no_model_server(server, content, content_type):
    server.content, server.content_type = content, content_type
    with pytest.raises(EndpointError) as refused:
        connect(server.url)
    assert server.url in str(refused.value)


@pytest.mark.parametrize("key", ["schl\u00fcssel", "two\nlines", "a\r\nX-Header: b"])
def test_a_key_that_cannot_be_sent_names_its_variable(server, key):
    with pytest.raises(EndpointError, match=KEY_VARIABLE) as refused:
        connect(server.url, api_key=key)
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    ("facts", "window"),
    [
        ({"max_model_len": 4_096}, 4_096),
        ({"meta": {"n_ctx": 8_192}}, 8_192),
        ({}, None),
        ({"max_model_len": None, "meta": None}, None),
        ({"max_model_len": 0}, None),
    ],
)
def test_the_context_window_is_the_servers(server, facts, window):
    server.content = {"data": [{"id": "the-model", **facts}]}
    model = connect(server.url)
    assert (model.profile or {}).get("max_input_tokens") == window
    assert solve(build_graph(model), CASE).strategy.context_window == window


@pytest.mark.parametrize("model", ["gpt-9", "org/model", "weights.bin"])
def test_a_model_without_a_server_says_where_to_name_one(model):
    with pytest.raises(EndpointError, match=URL_VARIABLE) as refused:
        connect(model=model)
    assert repr(model) in str(refused.value)


def test_a_missing_gguf_file_is_named(tmp_path):
    with pytest.raises(EndpointError, match=r"no file .*tiny\.gguf"):
        connect(model=str(tmp_path / "tiny.gguf"))


def test_a_served_model_drives_the_graph(server):
    trace = solve(build_graph(connect(server.url, api_key=KEY, temperature=0.5, seed=7)), CASE)
    assert (trace.outcome, trace.answer) == ("answered", "A")
    assert (trace.provenance.model, trace.provenance.engine) == ("the-model", "vllm")
    assert trace.provenance.sampling == {"temperature": 0.5, "seed": 7}
    assert trace.usage.prompt_tokens == 100 * trace.usage.calls
    assert trace.usage.cached_tokens == 64 * trace.usage.calls
    asked = [body for path, _, body in server.seen if path == "/v1/chat/completions"]
    assert len(asked) == trace.usage.calls
    for body in asked:
        assert body["response_format"]["type"] == "json_schema"
        assert (body["temperature"], body["seed"], body["model"]) == (0.5, 7, "the-model")


def test_the_answers_probabilities_come_through(server):
    pieces = ['{"justification": "", "answer":', ' "', "A", '"}']

    def chat(body):
        if not body.get("logprobs"):
            return completion(body)
        content = [{"token": p, "logprob": -0.1, "bytes": None, "top_logprobs": []} for p in pieces]
        content[2]["top_logprobs"] = [
            {"token": "A", "logprob": -0.1, "bytes": None},
            {"token": "B", "logprob": -0.1, "bytes": None},
        ]
        return completion(body, "".join(pieces), logprobs={"content": content, "refusal": None})

    server.chat = chat
    trace = solve(build_graph(connect(server.url), patience=AT_ONCE), CASE)
    assert trace.distribution_from == "logprobs"
    assert trace.distribution == pytest.approx({"A": 0.5, "B": 0.5})


def test_a_reply_that_met_its_token_limit_is_repaired(server):
    cut = []

    def chat(body):
        if body["response_format"]["json_schema"]["name"] == "reflect" and not cut:
            cut.append(body)
            return completion(body, '{"critique": "It goes on', finish="length")
        return completion(body)

    server.chat = chat
    trace = solve(build_graph(connect(server.url), patience=AT_ONCE), CASE)
    assert cut
    assert trace.outcome == "answered"
    reflection = next(step for step in trace.steps if step.node == "reflect")
    assert reflection.failure is None
    assert [attempt.text for attempt in reflection.attempts] == ['{"critique": "It goes on']


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (401, "Incorrect API key", FailureKind.AUTHENTICATION),
        (403, "not for you", FailureKind.AUTHENTICATION),
        (404, "no such model", FailureKind.MODEL_NOT_FOUND),
        (429, "slow down", FailureKind.RATE_LIMIT),
        (500, "out of memory", FailureKind.SERVER),
        (400, "This model's maximum context length is 4096 tokens", FailureKind.CONTEXT_LENGTH),
        (400, "the request exceeds the available context size", FailureKind.CONTEXT_LENGTH),
        (400, "unknown parameter", FailureKind.OTHER),
    ],
)
def test_what_a_server_refuses_is_a_typed_failure(server, status, said, kind):
    server.chat = lambda _: (status, {"error": {"message": said}})
    trace = solve(build_graph(connect(server.url), patience=AT_ONCE), CASE)
    assert (trace.outcome, trace.answer) == ("error", None)
    assert (trace.failure.boundary, trace.failure.kind) == ("engine", kind)
    assert said in trace.failure.message


def test_the_key_is_sent_and_written_nowhere(server):
    model = connect(server.url, api_key=KEY)
    trace = solve(build_graph(model), CASE)
    assert {key for _, key, _ in server.seen} == {KEY}
    for written in (repr(model), str(model), repr(model.metadata), trace.to_json(), repr(trace)):
        assert KEY not in written


def test_a_key_that_the_server_repeats_is_not_written_into_the_trace(server):
    server.chat = lambda _: (401, {"error": {"message": f"Incorrect API key provided: {KEY}."}})
    trace = solve(build_graph(connect(server.url, api_key=KEY), patience=AT_ONCE), CASE)
    assert trace.failure.kind is FailureKind.AUTHENTICATION
    assert KEY not in trace.to_json()


def test_without_a_key_the_users_key_for_openai_is_not_sent_elsewhere(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    solve(build_graph(connect(server.url), patience=AT_ONCE), CASE)
    assert KEY not in {key for _, key, _ in server.seen}
