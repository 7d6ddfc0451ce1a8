"""A chat model behind an OpenAI-compatible server."""

from collections.abc import Mapping
from typing import Any

from langchain_core.exceptions import ModelAPIError
from langchain_core.language_models import LanguageModelInput
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI

from ddxgraph.serving.transport import chat_clients


class ServedChatModel(ChatOpenAI):
    """A chat model behind an OpenAI-compatible server, such as vLLM's.

    The form of a reply goes into the request's body as it is. If the OpenAI client were given it by name, it
    would parse each reply a second time, into a class made for the purpose, and raise instead of returning a
    reply that was cut off.

    Requests to loopback go through no proxy, and the model may be used on one event loop after another.
    """

    def __init__(self, *, base_url: str, **settings: Any) -> None:
        super().__init__(base_url=base_url, **{**chat_clients(base_url), **settings})

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
            raise ModelAPIError("the answer holds no reply (`choices` is empty)")
        result = super()._create_chat_result(response, generation_info)
        for generation, choice in zip(result.generations, choices or (), strict=False):
            told = choice.get("message") or {}
            thoughts = told.get("reasoning_content") or told.get("reasoning")
            if isinstance(thoughts, str):
                generation.message.additional_kwargs["reasoning_content"] = thoughts
            if told.get("tool_calls") and not told.get("content"):
                generation.message.additional_kwargs["tool_calls"] = told["tool_calls"]
        return result
