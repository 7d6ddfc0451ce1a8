"""An OpenAI-compatible server on loopback that answers from a script: real HTTP, no model."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from ddxgraph.nodes.consultation import NODE_KEY
from ddxgraph.testing import ScriptedChatModel

_KINDS: Mapping[str, type[BaseMessage]] = {
    "system": SystemMessage,
    "user": HumanMessage,
    "assistant": AIMessage,
}


class HttpError(Exception):
    """Put into a script, makes the server answer with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Served(NamedTuple):
    base_url: str
    model: ScriptedChatModel


@contextmanager
def scripted_server(
    script: Mapping[str, Any] | None = None, *, api_key: str | None = None, max_model_len: int = 32_768
) -> Iterator[Served]:
    """Serve a script under `/v1`; the node is known from the name of the wanted schema."""
    model = ScriptedChatModel(script=script or {})

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _send(self, status: int, body: Mapping[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
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
            served = {"id": "scripted", "object": "model", "created": 0, "owned_by": "tests"}
            self._send(200, {"object": "list", "data": [{**served, "max_model_len": max_model_len}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self._refused():
                return
            messages = [_KINDS[m["role"]](m["content"]) for m in body["messages"]]
            node = body["response_format"]["json_schema"]["name"]
            try:
                reply = model.invoke(
                    messages, {"metadata": {NODE_KEY: node}}, response_format=body["response_format"]
                )
            except HttpError as error:
                self._send(error.status, {"error": {"message": "scripted failure"}})
                return
            usage = reply.usage_metadata or {}
            self._send(
                200,
                {
                    "id": "reply",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "scripted",
                    "choices": [
                        {
                            "index": 0,
                            "finish_reason": "stop",
                            "message": {"role": "assistant", "content": str(reply.text)},
                        }
                    ],
                    "usage": {
                        "prompt_tokens": usage["input_tokens"],
                        "completion_tokens": usage["output_tokens"],
                        "total_tokens": usage["total_tokens"],
                    },
                },
            )

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}/v1", model)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
