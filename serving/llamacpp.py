"""A model behind a llama.cpp server."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr, SecretStr

from ddxgraph.nodes.consultation import BRIEF_KEY, CONVERSATION_KEY, SERIAL_KEY
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.llamaserver import LLGUIDANCE, LlamaServer, look_at
from ddxgraph.serving.served import ServedChatModel
from ddxgraph.serving.slots import Slots
from ddxgraph.serving.weights import is_tiny

# Not ",": a separator that ends in a space falls on a border that tokenizers keep, so that the text of a reply
# becomes the very tokens that it was generated as, and the prefix cache holds it.
_COMPACT: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class LlamaCppChatModel(ServedChatModel):
    """A chat model behind a llama.cpp server: each conversation in a slot of its own, its calls in turn."""

    _slots: Slots | None = PrivateAttr(default=None)
    _llguidance: bool = PrivateAttr(default=False)

    @classmethod
    def reach(cls, *, model: str, base_url: str, api_key: SecretStr, **settings: Any) -> Self:
        """The chat model on a running server, which is asked for its slots and its kind of grammar.

        Args:
            model: the model's name there.
            base_url: address of the OpenAI-compatible API.
            api_key: sent as a bearer token.
            settings: the chat model's other ones.
        """
        # No message of this client's is ever shown, so that it has no variable to name.
        server = look_at(ServerApi(base_url, api_key.get_secret_value(), ""), base_url, model)
        # Another process may use the server as well: the two had better not meet in the first slots.
        first = secrets.randbelow(server.slots) if server.slots else 0
        brief = is_tiny(model)
        known = {"model": model, "base_url": base_url, "api_key": api_key}
        return cls.on(server, brief=brief, first=first, **known, **settings)

    @classmethod
    def on(cls, server: LlamaServer, *, brief: bool, first: int = 0, **settings: Any) -> Self:
        """The chat model on a server that is known.

        Args:
            server: what it offers.
            brief: the model is so small that its replies are best kept brief.
            first: the slot to begin with.
            settings: the chat model's own.
        """
        known = {"engine": server.release, SERIAL_KEY: True, BRIEF_KEY: brief}
        window = {"max_input_tokens": server.context_tokens} if server.context_tokens else {}
        settings["metadata"] = {**(settings.get("metadata") or {}), **known}
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

    @contextmanager
    def _pinned(
        self,
        run_manager: CallbackManagerForLLMRun | AsyncCallbackManagerForLLMRun | None,
        kwargs: dict[str, Any],
    ) -> Iterator[dict[str, Any]]:
        """The call's arguments with its conversation's slot; as they are where it belongs to none."""
        conversation = run_manager.metadata.get(CONVERSATION_KEY) if run_manager else None
        if conversation is None or self._slots is None:
            yield kwargs
            return
        with self._slots.held(conversation) as slot:
            yield {**kwargs, "extra_body": {**(kwargs.get("extra_body") or {}), "id_slot": slot}}

    def form(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """A grammar in the place of a schema, where the server takes such a grammar."""
        if not self._llguidance:
            return super().form(wanted)
        return {"grammar": compact_grammar(json.dumps(wanted["json_schema"]["schema"]))}


@lru_cache(maxsize=512)
def compact_grammar(schema: str) -> str:
    """A grammar for JSON without free white space, which would be most of a small model's output.

    llama.cpp ignores the wish for compact JSON in `response_format`; it honours it in llguidance's own syntax.
    """
    return LLGUIDANCE + " {}\nstart: %json " + json.dumps({**json.loads(schema), "x-guidance": _COMPACT})
