"""Thoughts apart from the reply, in every form in which servers and integrations send them."""

import json

import pytest
from langchain_core.messages import AIMessage

from ddxgraph.nodes.call.said import reply_of
from ddxgraph.nodes.call.thoughts import split_thoughts

THOUGHT = "Fever and crackles: {pneumonia}?\nOr an embolism."
JSON = json.dumps({"answer": "B", "note": "<think>not thoughts</think>"})

FORMS = {
    "vLLM, DeepSeek: reasoning_content": AIMessage(JSON, additional_kwargs={"reasoning_content": THOUGHT}),
    "vLLM from 0.12, OpenRouter: reasoning": AIMessage(JSON, additional_kwargs={"reasoning": THOUGHT}),
    "a block before the reply": AIMessage(f"<think>\n{THOUGHT}\n</think>\n\n{JSON}"),
    "a block with another name": AIMessage(f"<thinking>{THOUGHT}</thinking>{JSON}"),
    "a block in capitals": AIMessage(f"<THINK>{THOUGHT}</THINK> {JSON}"),
    "a block that the prompt opened": AIMessage(f"{THOUGHT}\n</think>\n\n{JSON}"),
    "Anthropic: a content block": AIMessage(
        [{"type": "thinking", "thinking": THOUGHT, "signature": "x"}, {"type": "text", "text": JSON}]
    ),
    "LangChain's standard block": AIMessage(
        [{"type": "reasoning", "reasoning": THOUGHT}, {"type": "text", "text": JSON}]
    ),
    "OpenAI's Responses: a summary": AIMessage(
        [
            {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": THOUGHT}]},
            {"type": "text", "text": JSON},
        ]
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_thoughts_and_reply_are_told_apart(name):
    assert reply_of(FORMS[name]) == (JSON, THOUGHT)


def test_words_before_a_block_go_with_it():
    text, thoughts = reply_of(AIMessage(f"Let me see.\n<think>{THOUGHT}</think>\n{JSON}"))
    assert (text, thoughts) == (JSON, f"Let me see.\n\n{THOUGHT}")


def test_several_blocks_are_several_thoughts():
    text, thoughts = reply_of(AIMessage(f"<think>One.</think>\n<think>Two.</think>{JSON}"))
    assert (text, thoughts) == (JSON, "One.\n\nTwo.")


def test_a_cap_met_in_the_middle_of_a_thought_leaves_no_reply():
    assert reply_of(AIMessage("<think>Fever, and then")) == ("", "Fever, and then")


def test_json_that_a_parser_took_for_thoughts_is_the_reply():
    assert reply_of(AIMessage("", additional_kwargs={"reasoning_content": JSON})) == (JSON, "")


@pytest.mark.parametrize("text", ["", "Answer: B", JSON, f"  {JSON}", "a < b", "I think B."])
def test_a_reply_without_thoughts_is_as_it_came(text):
    assert split_thoughts(text) == (text, "")
