"""Chat templates without a system turn."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from ddxgraph.nodes.call.systemturn import refuses_system, without_system


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Jinja Exception: System role not supported",
        "system message is not supported by this model",
        "This model does not support system messages",
        "a system prompt isn't allowed here",
        "Only user and assistant roles are supported!",
        "Only user, assistant and tool roles are supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate user/assistant",
    ],
)
def test_a_refusal_is_known_by_its_words(words):
    assert refuses_system(words)


@pytest.mark.parametrize(
    "words",
    ["", "the file system is full", "temperature is not supported", "unsupported system architecture"],
)
def test_other_errors_are_none(words):
    assert not refuses_system(words)


def test_its_text_begins_the_first_turn():
    talk = [SystemMessage("Be brief."), HumanMessage("A case."), AIMessage("{}"), HumanMessage("And?")]
    folded = without_system(talk)
    assert [(message.type, message.text) for message in folded] == [
        ("human", "Be brief.\n\nA case."),
        ("ai", "{}"),
        ("human", "And?"),
    ]
    assert without_system(talk[1:]) == talk[1:]
