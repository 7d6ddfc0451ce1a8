"""The one growing conversation: how turns become messages, and what records that they were cut down."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

REPLY_ROOM: Final = 1_024
"""Tokens that must be left beside instructions and case for a turn and its reply."""


class Exchange(NamedTuple):
    """A turn and its reply."""

    asked: str
    replied: str


class Compaction(BaseModel):
    """The conversation was cut down to the case and a summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: int
    """Index of the first step whose conversation starts from the summary."""
    text: str
    """The summary that stands in for the earlier turns."""
    estimated_tokens: int
    """What the conversation was about to take up, as estimated then."""


def assemble(
    system: str, opening: str, exchanges: Sequence[Sequence[str]], summary: str = "", asking: str = ""
) -> list[BaseMessage]:
    """Messages in strict alternation, since many chat templates refuse two user messages in a row.

    The case opens the first user message, so that everything before a new turn is a prefix of what came
    before and an engine with prefix caching pays for it once.
    """
    turns = [text for exchange in exchanges for text in exchange]
    if asking:
        turns.append(asking)
    head = "\n\n".join(part for part in (opening, summary, *turns[:1]) if part)
    said = [_said(HumanMessage if place % 2 else AIMessage, text) for place, text in enumerate(turns[1:])]
    return [_said(SystemMessage, system), HumanMessage(head), *said]


@lru_cache(maxsize=4096)
def _said(kind: type[BaseMessage], text: str) -> BaseMessage:
    """A message. A journey says its earlier turns again at every call, and messages are values here."""
    return kind(text)
