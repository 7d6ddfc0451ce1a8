"""A server on loopback that answers every chat completion with one odd reply, as servers in the field do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple

from ddxgraph.nodes.call.inwords import ASKED
from ddxgraph.testing import smallest

Body = Mapping[str, Any] | str


class Odd(NamedTuple):
    """What is odd about a server."""

    body: Body = ""
    """In place of an ordinary reply; `@@` stands for what fits the form, escaped as JSON."""
    status: int = 200
    headers: Mapping[str, str] = {}
    only_if: str = ""
    """Only requests that hold this word get it: a field, or a keyword of the form's schema."""
    times: int = 1_000
    """Only so many requests get it."""
    models: Any = None
    """In place of an ordinary model list: its body, or a status."""
    window: int = 0
    """Tokens of a context window into which prompts are cut; 0: it is as long as they are."""


COUNTED = "counted"


def said(content: Any = "@@", finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    """An ordinary completion, and what differs; its usage is counted when it is sent."""
    usage = COUNTED if usage is None else usage
    told = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "finish_reason": finish, "message": told}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake"}
    return {**head, "choices": [choice], "usage": usage or None}


KINDS = {"{": "application/json", "[": "application/json", "d": "text/event-stream"}
"""Content type by the first character of a body."""


def counted(asked: Mapping[str, Any], window: int = 0) -> dict[str, int]:
    """The usage of an ordinary reply: a token for four characters of the prompt, within the window."""
    whole = sum(len(message["content"]) for message in asked["messages"]) // 4
    prompt = min(whole, window or whole)
    return {"prompt_tokens": prompt, "completion_tokens": 20, "total_tokens": prompt + 20}


def filled(body: Mapping[str, Any], fits: str) -> Any:
    return json.loads(json.dumps(body).replace("@@", json.dumps(fits)[1:-1]))


def in_pieces(body: Mapping[str, Any], *, counted: bool) -> str:
    """A completion as servers stream it: the role, the words by and by, why it ended, the usage if asked for."""
    if not body.get("choices"):
        return f"data: {json.dumps(body)}\n\ndata: [DONE]\n\n"
    choice = body["choices"][0]
    told = dict(choice["message"] or {})
    deltas: list[dict[str, Any]] = [{"role": told.pop("role", "assistant"), "content": ""}]
    for name in ("reasoning_content", "reasoning", "content"):
        text = told.pop(name, None)
        if isinstance(text, str):
            half = len(text) // 2
            deltas += [{name: text[:half]}, {name: text[half:]}]
    for number, call in enumerate(told.pop("tool_calls", None) or ()):
        deltas.append({"tool_calls": [{"index": number, **call}]})
    deltas.append(told)
    logprobs = choice.get("logprobs")
    head = {key: value for key, value in body.items() if key not in {"choices", "usage"}}
    pieces = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    pieces[-1]["choices"][0] |= {
        "finish_reason": choice.get("finish_reason"),
        **({"logprobs": logprobs} if logprobs else {}),
    }
    if counted:
        pieces.append({**head, "choices": [], "usage": body.get("usage")})
    return "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"


def in_words(asked: Mapping[str, Any]) -> Any:
    """The form that a request asks for in the words of its last turn; None if it asks for none."""
    last = str(asked["messages"][-1]["content"]) if asked.get("messages") else ""
    _, found, schema = last.rpartition(f"{ASKED}\n")
    return json.loads(schema) if found else None


class FaultServer(ThreadingHTTPServer):
    """The server; `odd` may change while it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.odd = Odd()
        self.requests: list[dict[str, Any]] = []
        self.lock = Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def takes(self, asked: Mapping[str, Any]) -> bool:
        """Whether a request gets the odd reply."""
        with self.lock:
            self.requests.append(dict(asked))
            if self.odd.body == "" or self.odd.times <= 0:
                return False
            word = self.odd.only_if
            if word and word not in asked and f'"{word}"' not in json.dumps(asked):
                return False
            self.odd = self.odd._replace(times=self.odd.times - 1)
            return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        models = self.server.odd.models
        if isinstance(models, int):
            self._send(models, {"error": {"message": "no such path"}})
        elif models is not None:
            self._send(200, models)
        elif self.path.endswith("/models"):
            entry = {"id": "fake", "object": "model", "owned_by": "fake", "max_model_len": 32_768}
            self._send(200, {"object": "list", "data": [entry]})
        else:
            self._send(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        form = ((asked.get("response_format") or {}).get("json_schema") or {}).get("schema") or in_words(
            asked
        )
        fits = json.dumps(smallest(form)) if form else "Because.\nAnswer: A"
        odd = self.server.odd
        status, body, headers = (
            (odd.status, odd.body, odd.headers) if self.server.takes(asked) else (200, said(), {})
        )
        if isinstance(body, Mapping) and body.get("usage") == COUNTED:
            body = {**body, "usage": counted(asked, odd.window)}
        if asked.get("stream") and isinstance(body, Mapping) and status == 200:
            wanted = (asked.get("stream_options") or {}).get("include_usage")
            body = in_pieces(filled(body, fits), counted=bool(wanted))
        self._send(status, body, fits, headers)

    def _send(self, status: int, body: Any, fits: str = "", headers: Mapping[str, str] = {}) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        data = text.replace("@@", json.dumps(fits)[1:-1]).encode()
        self.send_response(status)
        kind = KINDS.get(text.lstrip()[:1], "text/html")
        for name, value in {"Content-Type": kind, **headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fault_server(odd: Odd | None = None) -> Iterator[FaultServer]:
    """The server while the block runs."""
    with FaultServer() as server:
        server.odd = odd or Odd()
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
