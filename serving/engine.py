"""The embedded engine: llama.cpp's own server inside this process, gone with it."""

import os
import secrets
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.serving.llamaserver import BINDING

QUIET: Final = -1
"""llama.cpp's verbosity below which it writes nothing."""
NEWS: Final = 3
"""llama.cpp's verbosity at which it says on stderr what it loads, how it fares and how fast; no prompts."""
LOOPBACK: Final = "127.0.0.1"
PROCESS_MODULE: Final = "ddxgraph.serving.engineprocess"
"""Run by `-m`, it is the engine as a process of its own; it is imported nowhere, since Python warns of both."""
ENGINE_KEY_VARIABLE: Final = "DDXGRAPH_ENGINE_KEY"
"""Where that process finds its API key."""


class Listening(NamedTuple):
    """Where an engine listens, and to whom."""

    host: str
    port: int
    """0: a free one."""
    api_key: str | None
    """Key that requests must carry; None: whoever reaches the address may use the engine."""


class EmbeddedEngine:
    """A llama.cpp server in this process.

    Args:
        weights: a GGUF file.
        slots: conversations kept at a time, each with its own prefix cache.
        context_tokens: context window of each slot.
        name: the model's name in the server's model list; by default the file's.
        listening: where; by default on loopback, on a free port, behind a random key.
        verbosity: llama.cpp's.

    Raises:
        ImportError: the extra `embedded` is not installed.
        RuntimeError: llama.cpp cannot load the file, or cannot listen there.
    """

    def __init__(
        self,
        weights: Path,
        slots: int,
        context_tokens: int,
        *,
        name: str | None = None,
        listening: Listening | None = None,
        verbosity: int = QUIET,
    ) -> None:
        import xllamacpp  # noqa: PLC0415 - an extra, and 100 MB to load

        where = listening or Listening(LOOPBACK, 0, secrets.token_urlsafe(32))
        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.model_alias = {name or weights.stem}
        params.model_tags = {release()}
        params.hostnames = [where.host]
        params.port = where.port
        params.api_keys = [where.api_key] if where.api_key else []
        params.ui = False
        params.endpoint_slots = False
        # A page in the user's browser must not be able to talk to a server on loopback.
        params.cors_origins, params.cors_headers, params.cors_credentials = "localhost", "", False
        params.verbosity = verbosity
        params.n_parallel = slots
        params.n_ctx = context_tokens * slots
        # Left at their defaults these make decoding 6 to 15 times slower.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cores()
        self.slots = slots
        self.context_tokens = context_tokens
        self.api_key = where.api_key
        self._server: Any = xllamacpp.Server(params)

    @property
    def base_url(self) -> str:
        """Address of the OpenAI-compatible API."""
        return f"{self._server.listening_address}/v1"

    def close(self) -> None:
        """Stop the server and free the weights, once the requests under way are done; harmless when repeated."""
        self._server = None


def release() -> str:
    """The package that brings llama.cpp, and its version."""
    return f"{BINDING} {version(BINDING)}"


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
