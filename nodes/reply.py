"""Replies: the forms that they must fit, and how they are read.

A form is a pydantic model, built to the limits and the choices at hand. Every field is required and no other is
allowed. Every text and list has a maximum size, since a small model that repeats itself fills any room it gets.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Generic, Literal, NamedTuple, TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ddxgraph.common.errors import fault_of

OutputT = TypeVar("OutputT", bound=BaseModel)

_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_ERROR_CHARS: Final = 300
_CAPPED: Final = frozenset({"length", "max_tokens"})
"""Why a reply ended, as OpenAI's API and Anthropic's say it where it met its cap."""


def form(name: str, **fields: Any) -> type[BaseModel]:
    """A form of so many required fields, in this order."""
    required: dict[str, Any] = {key: (kind, ...) for key, kind in fields.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **required)


def text(most: int, least: int = 0) -> Any:
    """A text of so many characters."""
    return Annotated[str, Field(min_length=least or None, max_length=most)]


def whole(least: int, most: int) -> Any:
    """A whole number in a range, both ends included."""
    return Annotated[int, Field(ge=least, le=most)]


def one_of(choices: Sequence[str]) -> Any:
    """One of some words."""
    return Literal[tuple(choices)]


def list_of(item: Any, most: int, least: int = 0) -> Any:
    """A list of so many items."""
    return Annotated[list[item], Field(min_length=least, max_length=most)]


@lru_cache(maxsize=4096)
def response_format(output: type[BaseModel], name: str) -> Mapping[str, Any]:
    """OpenAI's `response_format` for a pydantic model (understood by vLLM and llama.cpp as well)."""
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": output.model_json_schema()},
    }


class Reading(NamedTuple, Generic[OutputT]):
    """What a reply said, or why it could not be read."""

    output: OutputT | None
    error: str


def read_reply(text: str, output: type[OutputT]) -> Reading[OutputT]:
    """Read a reply; a code fence or a leading `<think>` block around the JSON is taken off first."""
    if not text.startswith("{"):
        text = _THOUGHT.sub("", text, count=1)
        fenced = _FENCE.match(text)
        text = fenced.group(1) if fenced else text
    try:
        return Reading(output.model_validate_json(text), "")
    except ValidationError as error:
        return Reading(None, fault_of(error, "reply")[:_ERROR_CHARS])


def writable(text: str) -> str:
    """A reply as it can be written to a file: JSON may smuggle in halves of surrogate pairs; they become `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def met_its_cap(message: AIMessage) -> bool:
    """Whether a reply ended at its token limit, as far as the engine says why it ended."""
    said = message.response_metadata
    return str(said.get("finish_reason") or said.get("stop_reason")).lower() in _CAPPED


def cut_off(error: Exception) -> AIMessage | None:
    """The cut-off reply that the OpenAI client raises instead of returning, as an ordinary message."""
    completion = getattr(error, "completion", None)
    if type(error).__name__ != "LengthFinishReasonError" or completion is None:
        return None
    usage = completion.usage
    message = AIMessage(
        completion.choices[0].message.content or "", response_metadata={"finish_reason": "length"}
    )
    if usage is not None:
        message.usage_metadata = {
            "input_tokens": usage.prompt_tokens,
            "output_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
    return message
