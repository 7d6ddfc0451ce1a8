"""Reading a reply: from the text that came to the form that was asked for."""

import re
from typing import Final, Generic, NamedTuple, TypeVar

from langchain_core.messages import AIMessage
from pydantic import BaseModel, ValidationError

from ddxgraph.common.errors import fault_of

OutputT = TypeVar("OutputT", bound=BaseModel)

_FENCE: Final = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)
_THOUGHT: Final = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_ERROR_CHARS: Final = 300
_CAPPED: Final = frozenset({"length", "max_tokens"})
"""Why a reply ended, as OpenAI's API and Anthropic's say it where it met its cap."""


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
