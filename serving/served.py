"""A model behind an OpenAI-compatible server."""

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_openai import ChatOpenAI


class ServedChatModel(ChatOpenAI):
    """A chat model behind an OpenAI-compatible server, such as vLLM's.

    The form that a reply must have goes into the request's body as it is. Handed to the OpenAI client by name,
    the client would read each reply a second time, into a class that it makes for the purpose, and raise away a
    reply that was cut off.
    """

    def form(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """How a request to this engine asks for a form, given as OpenAI's `response_format`."""
        return {"response_format": wanted}

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        wanted = kwargs.get("response_format")
        if not isinstance(wanted, Mapping):
            return super()._get_request_payload(input_, stop=stop, **kwargs)
        del kwargs["response_format"]
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        body = {**(self.extra_body or {}), **(payload.get("extra_body") or {})}
        payload["extra_body"] = {**body, **self.form(wanted)}
        return payload
