"""An OpenAI-compatible server on loopback that answers from a script: real HTTP, no model."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from ddxgraph.nodes.call.consultation import NODE_KEY
from ddxgraph.testing import ScriptedChatModel

_KINDS: Mapping[str, type[BaseMessage]] = {
    "system": SystemMessage,
    "user": HumanMessage,
    "assistant": AIMessage,
}


_OPTIONS = ("response_format", "max_tokens", "max_completion_tokens", "temperature", "seed", "logprobs")
"""What of a request's body the script is shown."""


class HttpError(Exception):
    """Put into a script, makes the server answer with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Dropped(Exception):  # noqa: N818 - reads as what happened
    """Put into a script, makes the server close the connection without a word."""


class Served(NamedTuple):
    base_url: str
    model: ScriptedChatModel


class Page(NamedTuple):
    """What a GET is answered with."""

    status: int
    content: str | Mapping[str, Any]
    """Text, or an object that is sent as JSON."""


Altered = Callable[[Mapping[str, Any], dict[str, Any]], Mapping[str, Any] | str]
"""From a request's body and the completion that answers it to what is sent instead; text is sent as HTML."""


class Server(ThreadingHTTPServer):
    """One that many may call at once, and that says nothing of those who hang up."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def scripted_server(  # noqa: C901 - the handler's methods count
    script: Mapping[str, Any] | None = None,
    *,
    api_key: str | None = None,
    max_model_len: int = 32_768,
    port: int = 0,
    record: bool = True,
    pages: Mapping[str, Page] | None = None,
    altered: Altered = lambda _, completion: completion,
    keep_alive: bool = False,
) -> Iterator[Served]:
    """Serve a script under `/v1`; the node is known from the name of the wanted schema, `generate` having none.

    With `keep_alive`, connections stay open for further requests, as those of vLLM and llama.cpp do.
    With the `port` of one that was stopped, a server takes its place. `pages` go by their path; every other GET
    is answered with the model list.
    """
    model = ScriptedChatModel(script=script or {}, record=record)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

        def log_message(self, *args: Any) -> None:
            pass

        def _send(self, status: int, body: Mapping[str, Any] | str) -> None:
            with suppress(ConnectionError):  # whoever asked is gone
                if isinstance(body, str):
                    self._reply(status, body.encode(), "text/html")
                else:
                    self._reply(status, json.dumps(body).encode(), "application/json")

        def _reply(self, status: int, data: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _refused(self) -> bool:
            if api_key and self.headers.get("Authorization") != f"Bearer {api_key}":
                self._send(401, {"error": {"message": "invalid key"}})
                return True
            return False

        def do_GET(self) -> None:
            if self._refused():
                return
            page = (pages or {}).get(self.path)
            if page is not None:
                self._send(page.status, page.content)
                return
            served = {"id": "scripted", "object": "model", "created": 0, "owned_by": "tests"}
            self._send(200, {"object": "list", "data": [{**served, "max_model_len": max_model_len}]})

        def do_POST(self) -> None:
            try:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            except ValueError:  # whoever asked was killed while asking
                return
            if self._refused():
                return
            messages = [_KINDS[m["role"]](m["content"]) for m in body["messages"]]
            wanted = body.get("response_format")
            node = wanted["json_schema"]["name"] if wanted else "generate"
            options = {name: body[name] for name in _OPTIONS if name in body}
            if "max_completion_tokens" in options:
                options["max_tokens"] = options.pop("max_completion_tokens")
            try:
                reply = model.invoke(messages, {"metadata": {NODE_KEY: node}}, **options)
            except HttpError as error:
                self._send(error.status, {"error": {"message": "scripted failure"}})
                return
            except Dropped:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            usage = reply.usage_metadata or {}
            completion = {
                "id": "reply",
                "object": "chat.completion",
                "created": 0,
                "model": "scripted",
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": reply.response_metadata.get("finish_reason", "stop"),
                        "message": {"role": "assistant", "content": str(reply.text)},
                    }
                ],
                "usage": {
                    "prompt_tokens": usage["input_tokens"],
                    "completion_tokens": usage["output_tokens"],
                    "total_tokens": usage["total_tokens"],
                },
            }
            self._send(200, altered(body, completion))

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}/v1", model)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
