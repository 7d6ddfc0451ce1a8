"""Chat templates without a system turn: its text begins the first turn of the user.

Gemma's templates refuse a system message, Mistral's early ones refuse it or drop it. Training and inference both
take this way, so that a model is asked as it was taught. Pure.
"""

import re
from collections.abc import Sequence
from typing import Final

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

SYSTEM_TURN: Final = "system turn"
"""Name of what is left out of a call, in traces and warnings."""

_REFUSED: Final = re.compile(
    r"system (?:role|message|prompt|turn)s?\b.{0,40}(?:not|n't|\bun)\s?(?:support|allow|permit|accept)"
    r"|(?:not|n't|\bun)\s?(?:support|allow|permit|accept)\w*\b.{0,40}\bsystem (?:role|message|prompt|turn)"
    r"|only (?:the )?user(?:,| and)?(?: the)? (?:and )?(?:assistant|model)\b.{0,20}\broles?\b"
    r"|roles? must alternate",
    re.IGNORECASE,
)
"""How templates and servers refuse one."""


def refuses_system(words: str) -> bool:
    """Whether the words of an error refuse a system turn."""
    return _REFUSED.search(words) is not None


def joined(system: str, user: str) -> str:
    """The user's first turn, with the system's text before it."""
    return f"{system}\n\n{user}"


def without_system(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """A conversation whose system text begins the first turn; unchanged where it has none."""
    if len(messages) < 2 or not isinstance(messages[0], SystemMessage):  # noqa: PLR2004
        return list(messages)
    system, first, *rest = messages
    return [HumanMessage(joined(str(system.text), str(first.text))), *rest]
