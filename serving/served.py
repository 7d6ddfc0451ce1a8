"""A chat model behind an OpenAI-compatible server."""

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from langchain_core.exceptions import ModelAPIError
from langchain_core.language_models import LanguageModelInput
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from ddxgraph.serving.transport import chat_clients

# A keyword that a server refuses is left out, and that is said; this advice is about a method that we do not use.
warnings.filterwarnings("ignore", "Invalid schema for OpenAI's structured output", module="langchain_openai")

_NO_REPLY: Final = "the answer holds no reply (`choices` is empty)"


class ServedChatModel(ChatOpenAI):
    """A chat model behind an OpenAI-compatible server, such as vLLM's.

    The form of a reply goes into the request's body as it is. If the OpenAI client were given it by name, it
    would parse each reply a second time, into a class made for the purpose, and raise instead of returning a
    reply that was cut off.

    Requests to loopback go through no proxy, and the model may be used on one event loop after another.
    """

    def __init__(self, *, base_url: str, **settings: Any) -> None:
        # LangChain asks for the usage of a stream only where OpenAI itself serves.
        asked = {"stream_usage": True, **chat_clients(base_url)}
        super().__init__(base_url=base_url, **{**asked, **settings})

    def form(self, response_format: Mapping[str, Any]) -> Mapping[str, Any]:
        """How a request to this engine asks for a form, given as OpenAI's `response_format`."""
        return {"response_format": response_format}

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        response_format = kwargs.get("response_format")
        if not isinstance(response_format, Mapping):
            return super()._get_request_payload(input_, stop=stop, **kwargs)
        del kwargs["response_format"]
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        body = {**(self.extra_body or {}), **(payload.get("extra_body") or {})}
        payload["extra_body"] = {**body, **self.form(response_format)}
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        """Keep the thoughts of reasoning models, which OpenAI's own API has no field for."""
        plain = response if isinstance(response, dict) else response.model_dump()
        choices = plain.get("choices")
        if not choices and not plain.get("error"):
            raise ModelAPIError(_NO_REPLY)
        result = super()._create_chat_result(response, generation_info)
        for generation, choice in zip(result.generations, choices or (), strict=False):
            generation.message.additional_kwargs |= _apart(choice.get("message") or {})
        return result

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        replied = False
        for piece in super()._stream(*args, **kwargs):
            replied = replied or _of_a_choice(piece)
            yield piece
        if not replied:
            raise ModelAPIError(_NO_REPLY)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        replied = False
        async for piece in super()._astream(*args, **kwargs):
            replied = replied or _of_a_choice(piece)
            yield piece
        if not replied:
            raise ModelAPIError(_NO_REPLY)

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        """Keep what stands beside the text, also where a reply comes in pieces."""
        piece = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        choices = chunk.get("choices")
        if piece is not None and choices:
            piece.message.additional_kwargs |= _apart(choices[0].get("delta") or {})
        return piece


def _of_a_choice(piece: ChatGenerationChunk) -> bool:
    """Whether a piece is one of a reply; the last piece of a stream may hold the usage alone."""
    return "model_provider" in piece.message.response_metadata


def _apart(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a message, or a piece of one, holds beside its text: thoughts, a refusal, calls of tools."""
    thoughts = told.get("reasoning_content") or told.get("reasoning")
    apart: dict[str, Any] = {"reasoning_content": thoughts} if isinstance(thoughts, str) else {}
    if isinstance(told.get("refusal"), str):
        apart["refusal"] = told["refusal"]
    if told.get("tool_calls") and not told.get("content"):
        apart["tool_calls"] = told["tool_calls"]
    return apart
