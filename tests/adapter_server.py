"""A server on loopback with the adapter routes of vLLM 0.32: real HTTP, its words and status codes, no model."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

from scripted_server import Server

from ddxgraph.testing import smallest


class Written(NamedTuple):
    """What a model writes after one prompt."""

    token_ids: Sequence[int]
    logprobs: Sequence[float | None]


Writer = Callable[[str, Sequence[int]], Written]
"""From a model's name and a prompt's token ids to what it writes."""


def _nothing(model: str, prompt: Sequence[int]) -> Written:
    return Written((), ())


@dataclass
class Vllm:
    """What the server has, and how it behaves; a test may change it while it runs."""

    base: str = "smol"
    lora: bool = True
    """Started with --enable-lora."""
    updating: bool = True
    """Started with VLLM_ALLOW_RUNTIME_LORA_UPDATING."""
    max_lora_rank: int = 16
    api_key: str | None = None
    version: str | None = "0.32.0"
    writes: Writer = _nothing
    altered: Callable[[dict[str, Any]], Any] = lambda completion: completion
    """What is sent instead of a completion."""
    refuses: tuple[int, Any] | None = None
    """Status and JSON that an adapter is refused with, whatever it is."""
    keeps: Callable[[str], str | None] = lambda path: path
    """From the path that an adapter is loaded from to the one that it is listed with; None: not at all."""
    adapters: dict[str, str] = field(default_factory=dict)
    """Name to path."""
    seen: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    """Path, key and body of each request."""
    base_url: str = ""

    def load(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """OpenAIServingModels.load_lora_adapter, and what workers make of it."""
        name, path = body["lora_name"], body["lora_path"]
        refused = self.refuses or self._taken(name) or self._unfit(name, Path(path))
        if refused:
            return refused
        kept = self.keeps(path)
        if kept:
            self.adapters[name] = kept
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _taken(self, name: str) -> tuple[int, Any] | None:
        if name == self.base:
            said = f"The lora adapter '{name}' conflicts with a served base model."
        elif name in self.adapters:
            said = (
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
        else:
            return None
        return 400, _error(said, "InvalidUserInput", 400)

    def _unfit(self, name: str, path: Path) -> tuple[int, Any] | None:
        if not self.lora:
            return failed("LoRA is not enabled. Use --enable-lora to enable LoRA.")
        try:
            config = json.loads((path / "adapter_config.json").read_bytes())
        except FileNotFoundError:
            said = f"Loading lora {name} failed: No adapter found for {path}"
            return 404, _error(said, "NotFoundError", 404)
        rank = max([config["r"], *config["rank_pattern"].values()])
        if rank > self.max_lora_rank:
            return failed(f"LoRA rank {rank} is greater than max_lora_rank {self.max_lora_rank}.")
        return None

    def unload(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """OpenAIServingModels.unload_lora_adapter."""
        name = body["lora_name"]
        if self.adapters.pop(name, None) is None:
            return 404, _error(f"The lora adapter '{name}' cannot be found.", "NotFoundError", 404)
        return 200, f"Success: LoRA adapter '{name}' removed successfully."

    def models(self) -> Mapping[str, Any]:
        """The model list: an adapter's window is not told."""
        card = {"object": "model", "created": 0, "owned_by": "vllm"}
        base = {
            **card,
            "id": self.base,
            "root": f"/models/{self.base}",
            "parent": None,
            "max_model_len": 8_192,
        }
        loaded = [
            {**card, "id": name, "root": path, "parent": self.base, "max_model_len": None}
            for name, path in self.adapters.items()
        ]
        return {"object": "list", "data": [base, *loaded]}

    def complete(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        """A completion of each prompt of token ids."""
        if body["model"] not in {self.base, *self.adapters}:
            return 404, _error(f"The model `{body['model']}` does not exist.", "NotFoundError", 404)
        choices = []
        for index, prompt in enumerate(body["prompt"]):
            written = self.writes(body["model"], prompt)
            choices.append(
                {
                    "index": index,
                    "text": "",
                    "finish_reason": "length",
                    "logprobs": {"token_logprobs": list(written.logprobs)},
                    "token_ids": list(written.token_ids) if body.get("return_token_ids") else None,
                }
            )
        return 200, self.altered({"object": "text_completion", "model": body["model"], "choices": choices})


def _chat(body: Mapping[str, Any]) -> tuple[int, Any]:
    """The smallest reply that fits the schema asked for."""
    text = json.dumps(smallest(body["response_format"]["json_schema"]["schema"]))
    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return 200, {"object": "chat.completion", "model": body["model"], "choices": [message], "usage": usage}


def _error(said: str, kind: str, status: int) -> Mapping[str, Any]:
    """An error of vLLM's, which takes paths in the usual folders out of what it says."""
    said = re.sub(r"/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+", "<path>", said)
    return {"error": {"message": said, "type": kind, "param": None, "code": status}}


def failed(said: str) -> tuple[int, Mapping[str, Any]]:
    """A worker's error, as it comes through the engine."""
    worker = f"Worker failed with error '{said}', please check the stack trace above for the root cause"
    return 500, _error(f"Call to add_lora method failed: {worker}", "InternalServerError", 500)


NOT_FOUND = (404, {"detail": "Not Found"})
"""For a path that does not exist."""


@contextmanager
def adapter_server(**settings: Any) -> Iterator[Vllm]:
    """Serve until the end of the block."""
    state = Vllm(**settings)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            pages = {"/v1/models": state.models()}
            if state.version:
                pages["/version"] = {"version": state.version}
            self._answer(*((200, pages[self.path]) if self.path in pages else NOT_FOUND), {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            routes = {"/v1/completions": state.complete, "/v1/chat/completions": _chat}
            if state.updating:
                routes |= {"/v1/load_lora_adapter": state.load, "/v1/unload_lora_adapter": state.unload}
            allowed = not self._refused()
            self._answer(*(routes[self.path](body) if allowed and self.path in routes else NOT_FOUND), body)

        def _refused(self) -> bool:
            below = self.path.startswith("/v1")  # the rest is open, in vLLM itself
            wanted = f"Bearer {state.api_key}"
            return bool(below and state.api_key and self.headers.get("Authorization") != wanted)

        def _answer(self, status: int, said: Any, body: Mapping[str, Any]) -> None:
            key = self.headers.get("Authorization", "").removeprefix("Bearer ")
            state.seen.append((self.path, key, body))
            if self._refused():
                status, said = 401, {"error": "Unauthorized"}
            data = (said if isinstance(said, str) else json.dumps(said)).encode()
            self.send_response(status)
            if not isinstance(said, str):  # it names no type for "Success: ..."
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
