"""The embedded engine: llama.cpp's own server inside this process, on loopback, gone with it."""

import json
import os
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr, SecretStr

from ddxgraph.nodes.consultation import BRIEF_KEY, CONVERSATION_KEY, SERIAL_KEY
from ddxgraph.serving.served import ServedChatModel

QUIET: Final = -1
"""llama.cpp's verbosity below which it writes nothing."""
REQUEST_TIMEOUT_S: Final = 600.0

# Not ",": a separator that ends in a space falls on a border that tokenizers keep, so that the text of a reply
# becomes the very tokens that it was generated as, and the prefix cache holds it.
_COMPACT: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class EmbeddedEngine:
    """A llama.cpp server in this process. It listens on 127.0.0.1, on a free port, behind a random key.

    Args:
        weights: a GGUF file.
        slots: conversations kept at a time, each with its own prefix cache.
        context_tokens: context window of each slot.

    Raises:
        ImportError: the extra `embedded` is not installed.
        RuntimeError: llama.cpp cannot load the file.
    """

    def __init__(self, weights: Path, slots: int, context_tokens: int) -> None:
        import xllamacpp  # noqa: PLC0415 - an extra, and 100 MB to load

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [secrets.token_urlsafe(32)]
        params.ui = False
        params.endpoint_slots = False
        params.verbosity = QUIET
        params.n_parallel = slots
        params.n_ctx = context_tokens * slots
        # Left at their defaults these make decoding 6 to 15 times slower.
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = usable_cores()
        self.slots = slots
        self.context_tokens = context_tokens
        self.api_key: str = params.api_keys[0]
        self._server: Any = xllamacpp.Server(params)

    @property
    def base_url(self) -> str:
        """Address of the OpenAI-compatible API."""
        return f"{self._server.listening_address}/v1"

    def close(self) -> None:
        """Stop the server and free the weights; harmless when repeated."""
        self._server = None


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Slots:
    """Which slot a conversation lives in: its own, until it has fallen silent and a new one needs the place.

    A llama.cpp slot keeps one conversation. Requests of one conversation that went to several slots would
    share no prefix, so each conversation is pinned, and its calls run in turn. Between two calls a conversation
    is silent for some milliseconds only: of the slots without a call in flight, the one silent for longest
    belongs to a conversation that has ended.
    """

    def __init__(self, count: int) -> None:
        self._free = list(range(count))
        self._held: OrderedDict[str, int] = OrderedDict()  # by the end of the last call
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, conversation: str) -> Iterator[int]:
        """The slot of a conversation for the time of a call."""
        with self._lock:
            slot = self._held.get(conversation)
            if slot is None:
                slot = self._free.pop(0) if self._free else self._held.pop(self._silent())
                self._held[conversation] = slot
            self._calls[conversation] += 1
        try:
            yield slot
        finally:
            with self._lock:
                self._calls[conversation] -= 1
                if conversation in self._held:
                    self._held.move_to_end(conversation)
                self._calls += Counter()  # drops those at zero

    def _silent(self) -> str:
        """The conversation to give way; where all are in the middle of a call, two must share a slot."""
        return next((key for key in self._held if not self._calls[key]), next(iter(self._held)))


class EmbeddedChatModel(ServedChatModel):
    """A chat model on the embedded engine; owns the engine."""

    _engine: EmbeddedEngine = PrivateAttr()
    _slots: Slots = PrivateAttr()

    @classmethod
    def start(
        cls,
        weights: Path,
        *,
        name: str,
        slots: int,
        context_tokens: int,
        brief: bool = False,
        **settings: Any,
    ) -> "EmbeddedChatModel":
        """Load the weights, start the engine and connect to it.

        Args:
            weights: a GGUF file.
            name: the model's name.
            slots: conversations kept at a time.
            context_tokens: context window of each.
            brief: the model is so small that its replies are best kept brief.
            settings: the chat model's own.
        """
        engine = EmbeddedEngine(weights, slots, context_tokens)
        release = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        model = cls(
            model=name,
            base_url=engine.base_url,
            api_key=SecretStr(engine.api_key),
            timeout=REQUEST_TIMEOUT_S,
            max_retries=0,
            use_responses_api=False,
            metadata={"engine": release, SERIAL_KEY: True, BRIEF_KEY: brief},
            profile={"max_input_tokens": context_tokens},
            **settings,
        )
        model._engine, model._slots = engine, Slots(slots)
        return model

    def close(self) -> None:
        """Stop the engine; harmless when repeated. It stops with the process in any case."""
        self._engine.close()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._pinned(run_manager, kwargs) as pinned:
            return super()._generate(messages, stop, run_manager, **pinned)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with self._pinned(run_manager, kwargs) as pinned:
            return await super()._agenerate(messages, stop, run_manager, **pinned)

    @contextmanager
    def _pinned(
        self,
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
        kwargs: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """The call's arguments with its conversation's slot; as they are where it belongs to none."""
        conversation = run_manager.metadata.get(CONVERSATION_KEY) if run_manager else None
        if conversation is None:
            yield kwargs
            return
        with self._slots.held(conversation) as slot:
            yield {**kwargs, "extra_body": {**(kwargs.get("extra_body") or {}), "id_slot": slot}}

    def form(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """A grammar in the place of a schema."""
        return {"grammar": compact_grammar(json.dumps(wanted["json_schema"]["schema"]))}


@lru_cache(maxsize=512)
def compact_grammar(schema: str) -> str:
    """A grammar for JSON without free white space, which would be most of a small model's output.

    llama.cpp ignores the wish for compact JSON in `response_format`; it honours it in llguidance's own syntax.
    """
    return "%llguidance {}\nstart: %json " + json.dumps({**json.loads(schema), "x-guidance": _COMPACT})
