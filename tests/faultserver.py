"""A server on loopback that answers every chat completion with one odd reply, as servers in the field do."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple

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


def said(content: Any = "@@", finish: Any = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    """An ordinary completion, and what differs."""
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120} if usage is None else usage
    told = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "finish_reason": finish, "message": told}
    head = {"id": "x", "object": "chat.completion", "created": 1, "model": "fake"}
    return {**head, "choices": [choice], "usage": usage or None}


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
        form = ((asked.get("response_format") or {}).get("json_schema") or {}).get("schema")
        fits = json.dumps(smallest(form)) if form else "Because.\nAnswer: A"
        odd = self.server.odd
        if self.server.takes(asked):
            self._send(odd.status, odd.body, fits, odd.headers)
        else:
            self._send(200, said(), fits)

    def _send(self, status: int, body: Any, fits: str = "", headers: Mapping[str, str] = {}) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        data = text.replace("@@", json.dumps(fits)[1:-1]).encode()
        self.send_response(status)
        kind = "application/json" if text.lstrip()[:1] in {"{", "["} else "text/html"
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
