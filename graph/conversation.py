"""The one growing conversation: how turns become messages, and the record of a compaction."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

from ddxgraph.nodes.call.reply import without_thoughts
from ddxgraph.prompts.library import disarm

REPLY_ROOM: Final = 1_024
"""Tokens that must be left for a turn and its reply, beside the instructions and the case."""


class Exchange(NamedTuple):
    """A turn and its reply."""

    asked: str
    replied: str


class Repeated(NamedTuple):
    """The conversation so far, which the next call repeats."""

    exchanges: Sequence[Exchange]
    summary: str
    """In place of turns that were compacted; empty if none were."""


class Compaction(BaseModel):
    """The conversation was cut to the case and a summary."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: int
    """Index of the first step whose conversation starts from the summary."""
    text: str
    """The summary, in place of the earlier turns."""
    estimated_tokens: int
    """Estimated size of the conversation that was cut."""


@lru_cache(maxsize=4096)  # every call repeats the earlier replies
def repeated(reply: str) -> str:
    """A reply as the conversation repeats it: without thoughts, and disarmed, for a model may write anything."""
    return disarm(without_thoughts(reply))


def assemble(
    system: str, opening: str, exchanges: Sequence[Sequence[str]], summary: str = "", asking: str = ""
) -> list[BaseMessage]:
    """Make messages that alternate strictly, since many chat templates refuse two user messages in a row.

    The case is at the beginning of the first user message. So everything before a new turn is a prefix of the
    earlier conversation, which an engine with prefix caching computes once.

    Args:
        system: the system message.
        opening: the case.
        exchanges: pairs of a turn and its reply.
        summary: in place of compacted turns; may be empty.
        asking: the new turn; empty if the conversation ends in a reply.

    Returns:
        The system message, then user and assistant messages in turn.
    """
    turns = [text for asked, replied in exchanges for text in (asked, repeated(replied))]
    if asking:
        turns.append(asking)
    head = "\n\n".join(part for part in (opening, summary, *turns[:1]) if part)
    later = [_message(HumanMessage if place % 2 else AIMessage, text) for place, text in enumerate(turns[1:])]
    return [_message(SystemMessage, system), _message(HumanMessage, head), *later]


@lru_cache(maxsize=4096)
def _message(kind: type[BaseMessage], text: str) -> BaseMessage:
    """A message. Every call repeats the earlier turns, so messages, which are never changed, are cached."""
    return kind(text)
