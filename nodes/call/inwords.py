"""The form of a reply as words of the prompt, for an endpoint that takes no JSON schema. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage

FORM: Final = "response_format"
"""Name of what is left out of a call, in traces and warnings."""

ASKED: Final = "Reply with one JSON object and nothing else. It must fit this JSON schema:"
"""What the schema stands behind."""

_REFUSED: Final = re.compile(
    r"response_format|json_schema|structured outputs?|guided decoding", re.IGNORECASE
)
"""How endpoints name what they do not take."""


def refuses_form(words: str) -> bool:
    """Whether the words of a refusal are about the form of the reply."""
    return _REFUSED.search(words) is not None


def asked_in_words(messages: Sequence[BaseMessage], response_format: Mapping[str, Any]) -> list[BaseMessage]:
    """A conversation whose last turn says the form of the reply.

    Args:
        messages: the conversation; its last message is the turn.
        response_format: the form, as OpenAI's `response_format` has it.
    """
    *before, turn = messages
    schema = json.dumps(response_format["json_schema"]["schema"], separators=(",", ":"))
    return [*before, HumanMessage(f"{turn.text}\n\n{ASKED}\n{schema}")]
