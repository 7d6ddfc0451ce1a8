"""A chat model behind a llama.cpp server."""

import json
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr, SecretStr

from ddxgraph.common.errors import ServerError
from ddxgraph.nodes.call.consultation import BRIEF_KEY, CONVERSATION_KEY, SERIAL_KEY
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.engine import BINDING
from ddxgraph.serving.served import ServedChatModel
from ddxgraph.serving.weights import is_tiny

LLGUIDANCE: Final = "%llguidance"
"""How a grammar in llguidance's syntax begins."""

_NO_BUILD: Final = "b0-unknown"
# Not ",": a separator that ends in a space falls on a border that tokenizers keep. So the text of a reply becomes
# the very tokens that it was generated as, and the prefix cache holds it.
_COMPACT: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Slots:
    """Assigns conversations to the slots of a llama.cpp server.

    A slot keeps one conversation. Requests of one conversation that went to several slots would share no
    prefix, so each conversation keeps its slot, and its calls run in turn. Between two calls a conversation
    is silent for some milliseconds only. So when a new conversation needs a slot, it takes the one without a
    call in flight that has been silent for longest: that conversation has ended.

    Args:
        count: slots that the server has.
        first: the slot to begin with.
    """

    def __init__(self, count: int, first: int = 0) -> None:
        self._free = [(first + number) % count for number in range(count)]
        self._held: OrderedDict[str, int] = OrderedDict()  # by the end of the last call
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, conversation: str) -> Iterator[int]:
        """The slot of a conversation, for the time of a call."""
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
        """The conversation that gives up its slot. If all have a call in flight, two must share one."""
        return next((key for key in self._held if not self._calls[key]), next(iter(self._held)))


class LlamaServer(NamedTuple):
    """What a llama.cpp server tells of itself."""

    slots: int = 0
    """Conversations that it keeps at a time; 0 if it does not tell."""
    context_tokens: int | None = None
    """Context window of each slot."""
    release: str = "llama.cpp"
    """The engine and its version."""
    llguidance: bool = False
    """It was built with llguidance. A server that was not crashes on a grammar in that syntax."""


def look_at(api: ServerApi, base_url: str, model: str) -> LlamaServer:
    """Ask a llama.cpp server for its slots, window, version and kind of grammar.

    Args:
        api: the server.
        base_url: its address. The questions go to paths above its `/v1`.
        model: the model in question, if the server has several.

    Returns:
        The answers; what the server refuses to tell stays unknown.
    """
    above = base_url.rstrip("/").removesuffix("/v1")
    properties = _mapping(_asked(api.get, f"{above}/props?model={quote(model, safe='')}"))
    settings = _mapping(properties.get("default_generation_settings"))
    grammar = _grammar(_asked(api.post, f"{above}/completion", _schema_probe(model)))
    return LlamaServer(
        slots=_count(properties.get("total_slots")),
        context_tokens=_count(settings.get("n_ctx")) or None,
        release=release_of(properties.get("build_info"), _tags(_asked(api.get, "/models"), model)),
        llguidance=grammar.startswith(LLGUIDANCE),
    )


def release_of(build: Any, tags: list[str]) -> str:
    """The engine's name and version, from a server's build and its model's tags."""
    versions = [tag for tag in tags if tag.startswith(BINDING)]
    if isinstance(build, str) and build and build != _NO_BUILD:
        versions.append(build)
    return f"llama.cpp ({', '.join(versions)})" if versions else "llama.cpp"


def _schema_probe(model: str) -> dict[str, Any]:
    """A request for no token in the form of a schema. The answer has the grammar that the server made of it."""
    return {
        "model": model,
        "prompt": "",
        "n_predict": 0,
        "json_schema": {"type": "boolean"},
        "response_fields": ["generation_settings/grammar"],
    }


def _grammar(answer: Any) -> str:
    return str(_mapping(answer).get("generation_settings/grammar") or "")


def _tags(models: Any, model: str) -> list[str]:
    entries = _mapping(models).get("data")
    for entry in entries if isinstance(entries, list) else []:
        if _mapping(entry).get("id") == model and isinstance(entry.get("tags"), list):
            return [str(tag) for tag in entry["tags"]]
    return []


def _asked(ask: Any, *request: Any) -> Any:
    try:
        return ask(*request)
    except ServerError:
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


class LlamaCppChatModel(ServedChatModel):
    """A chat model behind a llama.cpp server. Each conversation has a slot of its own, and its calls run in
    turn."""

    _slots: Slots | None = PrivateAttr(default=None)
    _llguidance: bool = PrivateAttr(default=False)

    @classmethod
    def reach(cls, *, model: str, base_url: str, api_key: SecretStr, **settings: Any) -> Self:
        """The chat model on a running server, which is asked for its slots and its kind of grammar.

        Args:
            model: the model's name there.
            base_url: address of the OpenAI-compatible API.
            api_key: sent as a bearer token.
            settings: other settings of the chat model.

        Returns:
            The chat model.
        """
        # No message of this client is ever shown, so it has no variable to name.
        server = look_at(ServerApi(base_url, api_key.get_secret_value(), ""), base_url, model)
        # Other processes may use the server too: do not all begin with the first slots.
        first = secrets.randbelow(server.slots) if server.slots else 0
        endpoint = {"model": model, "base_url": base_url, "api_key": api_key}
        return cls.on(server, brief=is_tiny(model), first=first, **endpoint, **settings)

    @classmethod
    def on(cls, server: LlamaServer, *, brief: bool, first: int = 0, **settings: Any) -> Self:
        """The chat model on a known server.

        Args:
            server: what it offers.
            brief: ask for brief replies, for a model too small for long ones.
            first: the slot to begin with.
            settings: settings of the chat model.

        Returns:
            The chat model.
        """
        metadata = {"engine": server.release, SERIAL_KEY: True, BRIEF_KEY: brief}
        window = {"max_input_tokens": server.context_tokens} if server.context_tokens else {}
        settings["metadata"] = {**(settings.get("metadata") or {}), **metadata}
        settings["profile"] = {**window, **(settings.get("profile") or {})}
        model = cls(**settings)
        model._slots = Slots(server.slots, first) if server.slots else None
        model._llguidance = server.llguidance
        return model

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

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with self._pinned(run_manager, kwargs) as pinned:
            yield from super()._stream(messages, stop, run_manager, **pinned)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with self._pinned(run_manager, kwargs) as pinned:
            async for chunk in super()._astream(messages, stop, run_manager, **pinned):
                yield chunk

    @contextmanager
    def _pinned(
        self,
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
        kwargs: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """The call's arguments with its conversation's slot; unchanged for a call that belongs to none."""
        conversation = run_manager.metadata.get(CONVERSATION_KEY) if run_manager else None
        if conversation is None or self._slots is None:
            yield kwargs
            return
        with self._slots.held(conversation) as slot:
            yield {**kwargs, "extra_body": {**(kwargs.get("extra_body") or {}), "id_slot": slot}}

    def form(self, response_format: Mapping[str, Any]) -> Mapping[str, Any]:
        """A grammar instead of the schema, if the server takes such a grammar."""
        if not self._llguidance:
            return super().form(response_format)
        return {"grammar": compact_grammar(json.dumps(response_format["json_schema"]["schema"]))}


@lru_cache(maxsize=512)
def compact_grammar(schema: str) -> str:
    """A grammar for JSON without free white space, which would be most of a small model's output.

    In `response_format` llama.cpp ignores the request for compact JSON; in llguidance's own syntax it honours it.
    """
    return LLGUIDANCE + " {}\nstart: %json " + json.dumps({**json.loads(schema), "x-guidance": _COMPACT})
