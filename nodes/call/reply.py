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


def form(name: str, **fields: Any) -> type[BaseModel]:
    """Make a form: a model with these fields, all required, in this order, and no others."""
    required: dict[str, Any] = {key: (kind, ...) for key, kind in fields.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **required)


def text(most: int, least: int = 0) -> Any:
    """The type of a text of `least` to `most` characters."""
    return Annotated[str, Field(min_length=least or None, max_length=most)]


def whole(least: int, most: int) -> Any:
    """The type of an integer from `least` to `most`."""
    return Annotated[int, Field(ge=least, le=most)]


def one_of(choices: Sequence[str]) -> Any:
    """The type of one of these words."""
    return Literal[tuple(choices)]


def list_of(item: Any, most: int, least: int = 0) -> Any:
    """The type of a list.

    Args:
        item: the type of an item.
        most: maximum number of items.
        least: minimum number of items.

    Returns:
        An annotated list type, for a field of `form`.
    """
    return Annotated[list[item], Field(min_length=least, max_length=most)]


@lru_cache(maxsize=4096)
def response_format(output: type[BaseModel], name: str) -> Mapping[str, Any]:
    """OpenAI's `response_format` for a form, which vLLM and llama.cpp accept too."""
    schema = output.model_json_schema()
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True, "schema": _inlined(schema, schema.get("$defs", {}))},
    }


def _inlined(schema: Any, defs: Mapping[str, Any]) -> Any:
    """A schema with every definition in its place: some servers know no `$ref`."""
    if isinstance(schema, list):
        return [_inlined(each, defs) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _inlined(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    return {key: _inlined(value, defs) for key, value in schema.items() if key != "$defs"}


OutputT = TypeVar("OutputT", bound=BaseModel)

_FENCE: Final = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)
_THOUGHT: Final = re.compile(r"\A\s*(?:<think>)?.*?</think>\s*", re.DOTALL)
_ERROR_CHARS: Final = 300


class Reading(NamedTuple, Generic[OutputT]):
    """The output of a reply, or why the reply could not be parsed."""

    output: OutputT | None
    error: str


def without_thoughts(text: str) -> str:
    """A reply without the thoughts before it, which end in `</think>`."""
    return _THOUGHT.sub("", text, count=1) if "</think>" in text else text


def _object_in(text: str) -> str:
    """The JSON object in a text: in a code fence, or from the first brace to the last.

    A text without one, and one that is JSON of another kind, is returned as it is.
    """
    if fenced := _FENCE.search(text):
        return fenced[1]
    begin, end = text.find("{"), text.rfind("}")
    return text[begin : end + 1] if 0 <= begin < end and not text.lstrip().startswith("[") else text


def read_reply(text: str, output: type[OutputT]) -> Reading[OutputT]:
    """Parse a reply: the JSON object in it, without a code fence, words around it, or thoughts before it."""
    if not text.startswith("{"):
        text = _object_in(without_thoughts(text))
    try:
        return Reading(output.model_validate_json(text), "")
    except ValidationError as error:
        return Reading(None, fault_of(error, "reply")[:_ERROR_CHARS])


_CHARS_PER_TOKEN: Final = 32
_LEAST_MOST: Final = 20_000


def bounded(text: str, max_tokens: int) -> tuple[str, bool]:
    """A reply within what its tokens can hold, and whether it was cut; where it was, its end says so.

    A server that disregards the limit would fill the trace, every later prompt and the memory. A token has some 4
    characters on average; runs of blanks have more.

    Args:
        text: the reply.
        max_tokens: the most tokens that were asked for.
    """
    most = max(_LEAST_MOST, _CHARS_PER_TOKEN * max_tokens)
    if len(text) <= most:
        return text, False
    mark = f"[cut here: {len(text) - most:,} more characters came than {max_tokens:,} tokens can hold]"
    return f"{text[:most]}\n{mark}", True


def writable(text: str) -> str:
    """A reply that can be written to a file: half a surrogate pair, which JSON may contain, becomes `?`."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def cut_off(error: Exception) -> AIMessage | None:
    """The truncated reply in an error of the OpenAI client, as an ordinary message; None for other errors."""
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
