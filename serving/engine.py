"""The embedded engine, llama.cpp's own server inside this process; and the command that starts an engine."""

import os
import secrets
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

QUIET: Final = -1
"""Verbosity at which llama.cpp writes nothing."""
NEWS: Final = 3
"""Verbosity at which llama.cpp reports on stderr what it loads and how fast it is, but no prompts."""
LOOPBACK: Final = "127.0.0.1"
PROCESS_MODULE: Final = "ddxgraph.serving.engineprocess"
"""Run with `-m`, the engine as a process of its own. No module imports it: Python warns when one does both."""
ENGINE_KEY_VARIABLE: Final = "DDXGRAPH_ENGINE_KEY"
"""Environment variable that gives that process its API key."""
BINDING: Final = "xllamacpp"
"""Python package that brings llama.cpp. It leaves out llama.cpp's build number, so a model's tags name it."""


class EngineCommand(NamedTuple):
    """How to start an engine: a module to run, its arguments, and its environment."""

    module: str
    arguments: Sequence[str]
    environment: dict[str, str]
    """Added to the environment. It holds the API key: arguments can be read in the list of processes."""


class Listening(NamedTuple):
    """Where an engine listens, and which key it asks for."""

    host: str
    port: int
    """0 takes a free one."""
    api_key: str | None
    """Key that requests must carry; None: anyone who reaches the address may use the engine."""


class EmbeddedEngine:
    """A llama.cpp server in this process.

    Args:
        weights: a GGUF file.
        slots: conversations kept at a time, each with its own prefix cache.
        context_tokens: context window of each slot.
        name: the model's name in the server's model list; by default the file's.
        listening: by default loopback, a free port and a random key.
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
        """Stop the server once the requests in flight are done, and free the weights; harmless when repeated."""
        self._server = None


def release() -> str:
    """The package that brings llama.cpp, and its version."""
    return f"{BINDING} {version(BINDING)}"


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
