"""A guard before vLLM's HTTP interface. It runs in the engine's environment: standard library only.

vLLM checks its API key below `/v1` and a few other paths only, while the same model answers at `/invocations` and
adapters can be loaded at `/adapters`. It also loads adapters from any path, even pickles. Behind the guard every
path but `/health` needs the key, paths that ddxgraph does not use do not exist, and adapters are loaded only from
allowed folders and only in safetensors.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

FOLDERS_VARIABLE: Final = "DDXGRAPH_ADAPTER_FOLDERS"
"""Folders from which adapters may be loaded, joined as in PATH."""
KEY_VARIABLE: Final = "VLLM_API_KEY"

_OPEN: Final = ("/health",)
_KNOWN: Final = ("/v1/", "/metrics", "/tokenize", "/detokenize", "/version")
_LOADS: Final = "/v1/load_lora_adapter"
_MOST_BYTES: Final = 65_536


class Guard:
    """ASGI middleware."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._key = os.environ.get(KEY_VARIABLE, "")
        self._folders = [f for f in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if f]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(str(scope.get("root_path") or ""))
        if scope["type"] != "http" or not path.startswith(_OPEN + _KNOWN) or not _is_plain(path):
            await _refuse(scope, send, 404, "Not Found")
        elif not self._key and not _addressed_as_loopback(scope):
            await _refuse(scope, send, 421, "without a key this server answers to loopback names alone")
        elif path not in _OPEN and self._key and not self._has_key(scope):
            await _refuse(scope, send, 401, "this server needs its API key")
        elif path.rstrip("/") == _LOADS and scope["method"] == "POST":
            body = await _body(receive)
            why = refusal(body, self._folders)
            if why:
                await _refuse(scope, send, 403, why)
            else:
                await self._app(scope, _again(body, receive), send)
        else:
            await self._app(scope, receive, send)

    def _has_key(self, scope: Mapping[str, Any]) -> bool:
        for name, value in scope["headers"]:
            if name == b"authorization":
                scheme, _, given = value.partition(b" ")
                return scheme.lower() == b"bearer" and _same(given, self._key.encode())
        return False


def _is_plain(path: str) -> bool:
    """Whether a path is printable ASCII, which a router reads in one way only.

    A route's pattern ends in `$`, which also matches before a newline at the end: to a router,
    `/v1/load_lora_adapter%0A` is `/v1/load_lora_adapter`.
    """
    return path.isascii() and path.isprintable()


def _addressed_as_loopback(scope: Mapping[str, Any]) -> bool:
    """Whether the request names a loopback host. A web page whose own name was made to point here does not."""
    host = next((bytes(value).decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return name in {"localhost", "[::1]"} or (name.startswith("127.") and name.replace(".", "").isdigit())


def refusal(body: bytes, folders: list[str]) -> str:
    """Why a request to load an adapter is refused; empty if it may go through. Reads the file system."""
    try:
        path = json.loads(body)["lora_path"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return "not a request to load an adapter"
    if not isinstance(path, str):
        return "not a request to load an adapter"
    try:
        real = Path(path).resolve()
        if not Path(path).is_absolute() or not any(
            _within(real, Path(folder).resolve()) for folder in folders
        ):
            return f"{path!r} is outside the folders that adapters may be loaded from"
        if real.is_dir() and not (real / "adapter_model.safetensors").is_file():
            return f"{path!r} holds no adapter_model.safetensors, and nothing else is loaded"
    except (OSError, ValueError, RuntimeError):  # too long, not encodable, a circle of links
        return f"{path!r} is no path"
    return ""


def _within(path: Path, folder: Path) -> bool:
    return folder in path.parents


def _same(given: bytes, key: bytes) -> bool:
    """Compare digests, so that the time taken does not tell the key's length."""
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(key).digest())


async def _body(receive: Receive) -> bytes:
    body = b""
    while len(body) <= _MOST_BYTES:
        message = await receive()
        body += bytes(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return body
    return b""


def _again(body: bytes, receive: Receive) -> Receive:
    """Lets the application read a body that was read already."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


async def _refuse(scope: Mapping[str, Any], send: Send, status: int, message: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    kind = {401: "Unauthorized", 403: "Forbidden", 421: "MisdirectedRequest"}.get(status, "NotFoundError")
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
