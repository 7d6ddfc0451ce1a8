"""The tokens under the loss: those that the model has to write, for each style and two chat templates."""

from collections.abc import Sequence

import pytest
from bytellama import CHATML, LLAMA3, SPECIAL, byte_tokenizer
from journeys import CASE
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from walks import doubting, plain_walk, walked

from ddxgraph.common.errors import TrainingDataError
from ddxgraph.nodes.call.systemturn import without_system
from ddxgraph.training.sft.supervision import (
    IGNORED,
    Supervised,
    Unreadable,
    check_template,
    supervise,
    takes_system,
)
from ddxgraph.training.styles.compile import Message, Sample, compile_samples
from ddxgraph.training.styles.registry import style_names

TEMPLATES = pytest.mark.parametrize("template", [CHATML, LLAMA3], ids=["chatml", "llama3"])


def talk(*turns: tuple[str, str]) -> list[Message]:
    return [Message.model_validate({"role": role, "content": content}) for role, content in turns]


def replies(found: Supervised, tokenizer) -> list[str]:
    """The runs of supervised tokens, as text."""
    runs: list[list[int]] = []
    before = IGNORED
    for label in found.labels:
        if label != IGNORED:
            runs = [*runs, []] if before == IGNORED else runs
            runs[-1].append(label)
        before = label
    return [tokenizer.decode(run, clean_up_tokenization_spaces=False) for run in runs]


def samples(style: str) -> Sequence[Sample]:
    walk = plain_walk() if style != "graph" else walked(doubting(2), CASE)
    return compile_samples(walk.trace, style)


@TEMPLATES
@pytest.mark.parametrize("style", style_names())
def test_each_reply_and_the_token_that_ends_it_and_nothing_else(style, template):
    tokenizer = byte_tokenizer(template)
    end = SPECIAL[template][1]
    for sample in samples(style):
        found = supervise(sample.messages, tokenizer)
        said = [message.content for message in sample.messages if message.role == "assistant"]
        assert len(said) > (1 if style == "graph" else 0)
        assert replies(found, tokenizer) == [reply.strip() + end for reply in said]
        # What the model is given at inference is what stands before each reply, token for token.
        plain = [message.model_dump() for message in sample.messages]
        whole = tokenizer.apply_chat_template(plain, tokenize=True, return_dict=False)
        assert found.input_ids == whole
        first = next(place for place, label in enumerate(found.labels) if label != IGNORED)
        turn = next(place for place, message in enumerate(sample.messages) if message.role == "assistant")
        asked = tokenizer.apply_chat_template(
            plain[:turn], tokenize=True, return_dict=False, add_generation_prompt=True
        )
        assert found.input_ids[:first] == asked


@TEMPLATES
def test_all_assistant_turns_are_counted(template):
    tokenizer = byte_tokenizer(template)
    found = supervise(
        talk(("system", "S"), ("user", "Q"), ("assistant", "ab"), ("user", "R"), ("assistant", "cde")),
        tokenizer,
    )
    assert found.supervised_tokens == len("ab") + len("cde") + 2
    assert len(found.labels) == len(found.input_ids)


def test_a_reply_in_other_scripts_keeps_its_bytes():
    tokenizer = byte_tokenizer()
    reply = "Fièvre 38 °C — 発熱 \U0001f912"
    assert replies(supervise(talk(("user", "Q"), ("assistant", reply)), tokenizer), tokenizer) == [
        reply + "<|im_end|>"
    ]


def test_a_special_token_in_a_message_is_no_end_of_a_turn():
    with pytest.raises(Unreadable, match=r"special token '<\|im_end\|>' as text"):
        supervise(talk(("user", "Q"), ("assistant", "so <|im_end|> it is")), byte_tokenizer())


def test_a_conversation_without_a_reply_teaches_nothing():
    with pytest.raises(Unreadable, match="no reply of the assistant"):
        supervise(talk(("user", "Q")), byte_tokenizer())


FORGETFUL = (
    "{% for message in messages %}{% if loop.last or message['role'] != 'assistant' %}<|im_start|>"
    "{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Leaves earlier replies out, as templates of reasoning models leave thoughts out."""


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (CHATML[: CHATML.index("{% if add_generation_prompt")], "as it is written"),
        (
            CHATML.replace("<|im_start|>assistant\n{% endif %}", "<|im_start|>model\n{% endif %}"),
            "begins with",
        ),
        (
            CHATML.replace("<|im_end|>\n{% endfor %}", "\n{% endfor %}").replace("<|im_start|>", ">"),
            "to stop",
        ),
        (FORGETFUL, "begins with|as it is written"),
        ("{{ raise_exception('no system message') }}", "fails on an ordinary conversation"),
        ("{% for %}", "fails on an ordinary conversation"),
    ],
    ids=["no generation prompt", "other header", "no end", "forgetful", "raises", "broken"],
)
def test_a_template_that_replies_cannot_be_told_in_is_refused_with_the_reason(template, why):
    with pytest.raises(TrainingDataError, match=why) as refused:
        check_template(byte_tokenizer(), template)
    assert "data.chat_template" in str(refused.value)


REFUSING = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
)
ALTERNATING = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% endfor %}"
)
EACH = "{% for message in messages %}"
DROPPING = CHATML.replace(EACH, EACH.replace(" %}", " if message['role'] != 'system' %}"))


@pytest.mark.parametrize(
    "template",
    [REFUSING + CHATML, ALTERNATING + CHATML, DROPPING],
    ids=["refuses", "wants turns to alternate", "drops"],
)
@pytest.mark.parametrize("style", ["longstep", "graph"])
def test_without_a_system_turn_its_text_begins_the_first_turn_as_at_inference(template, style):
    tokenizer = byte_tokenizer()
    check_template(tokenizer, template)
    assert not takes_system(tokenizer, template)
    for sample in samples(style):
        found = supervise(sample.messages, tokenizer, template)
        said = [message.content.strip() for message in sample.messages if message.role == "assistant"]
        assert replies(found, tokenizer) == [f"{reply}<|im_end|>" for reply in said]
        kinds = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
        asked = without_system([kinds[message.role](message.content) for message in sample.messages])
        roles = ["user", "assistant"] * len(said)
        plain = [{"role": role, "content": m.text} for role, m in zip(roles, asked, strict=True)]
        assert found.input_ids == tokenizer.apply_chat_template(
            plain, chat_template=CHATML, tokenize=True, return_dict=False
        )


def test_a_template_with_a_system_turn_keeps_it():
    for template in (CHATML, LLAMA3):
        assert takes_system(byte_tokenizer(template), template)


def test_a_template_that_changes_what_was_written_is_found_out():
    shouting = CHATML.replace("{{ message['content'] }}", "{{ message['content'] | upper }}")
    with pytest.raises(Unreadable, match="as it is written"):
        supervise(talk(("user", "Q"), ("assistant", "words")), byte_tokenizer(), shouting)


def test_a_base_model_without_a_template_is_refused():
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(TrainingDataError, match="no chat template"):
        check_template(tokenizer)


def test_templates_with_and_without_generation_markers_teach_the_same():
    marked = CHATML.replace(
        "{{ message['content'] }}", "{% generation %}{{ message['content'] }}{% endgeneration %}"
    )
    turns = talk(("system", "S"), ("user", "Q"), ("assistant", "words"))
    tokenizer = byte_tokenizer()
    check_template(tokenizer, marked)
    assert supervise(turns, tokenizer, marked) == supervise(turns, tokenizer)
