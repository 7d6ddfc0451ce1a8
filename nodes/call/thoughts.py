"""What a reasoning model thinks before it answers, apart from the answer, wherever a server puts it. Pure.

Servers with a reasoning parser set thoughts apart, in a field beside the content or in a content block. Without
one they stand in the text, in a block of their own.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from langchain_core.messages import AIMessage

_BLOCK: Final = re.compile(
    r"\A(?P<before>[^{<]{0,200})<(?P<tag>think|thinking|thought|reasoning)>(?P<inside>.*?)(?:</(?P=tag)>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
"""Thoughts at the beginning or after a few words; unclosed where the reply met its cap."""
_CLOSED: Final = re.compile(
    r"\A(?P<inside>.*?)</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE
)
"""Thoughts whose opening stands in the prompt, as some chat templates have it."""
_FIELDS: Final = ("reasoning_content", "reasoning")


class Told(NamedTuple):
    """A reply in its two parts."""

    text: str
    thoughts: str


def told(message: AIMessage) -> Told:
    """The text of a message without its thoughts, and the thoughts."""
    inside = split_thoughts(str(message.text))
    return Told(inside.text, "\n\n".join(filter(None, (*_apart(message), inside.thoughts))))


def split_thoughts(text: str) -> Told:
    """A text without the thoughts at its beginning, and the thoughts.

    A text that begins as JSON is left as it is: what looks like a block in it belongs to a field.

    Example:
        >>> split_thoughts("<think>Fever, so an infection.</think>\\n\\nAnswer: B")
        Told(text='Answer: B', thoughts='Fever, so an infection.')
    """
    thoughts: list[str] = []
    rest = text
    while not rest.lstrip().startswith("{"):
        if block := _BLOCK.match(rest):
            thoughts += [block["before"], block["inside"]]
        elif not thoughts and (block := _CLOSED.match(rest)):
            thoughts.append(block["inside"])
        else:
            break
        rest = rest[block.end() :]
    if not thoughts:
        return Told(text, "")
    return Told(rest.strip(), "\n\n".join(filter(None, map(str.strip, thoughts))))


def _apart(message: AIMessage) -> Iterator[str]:
    """Thoughts that the server set apart: in a field beside the content, or in content blocks."""
    for name in _FIELDS:
        field = message.additional_kwargs.get(name)
        if isinstance(field, str) and field:
            yield field
            return
    if isinstance(message.content, list):
        for block in message.content:
            if isinstance(block, Mapping):
                yield from _of_block(block)


def _of_block(block: Mapping[str, Any]) -> Iterator[str]:
    """Thoughts of a content block: Anthropic's and Google's `thinking`, LangChain's and OpenAI's `reasoning`."""
    if block.get("type") not in {"thinking", "reasoning"}:
        return
    for name in ("thinking", "reasoning"):
        if isinstance(block.get(name), str) and block[name]:
            yield block[name]
            return
    for part in block.get("summary") or ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            yield part["text"]
