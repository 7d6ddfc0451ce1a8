"""Forms: the pydantic models that a node's reply must fit, built to the limits and the choices at hand.

Every field is required, nothing else may stand beside them, and every text and list has a largest size, since
a small model that falls into repetition fills whatever room it is given.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model


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
