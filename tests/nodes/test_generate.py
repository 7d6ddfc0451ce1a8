"""One generation: what is asked, what is read, how probability is spread."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeys import CASE, FREE
from langchain_core.messages import AIMessage

from ddxgraph.nodes.call.consultation import Consultation, Turn
from ddxgraph.nodes.call.statement import probabilities_at
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.nodes.generate import generate, prompts_of
from ddxgraph.nodes.strategies import generating, generation_names
from ddxgraph.prompts.library import PromptSet
from ddxgraph.testing import ScriptedChatModel

STYLES = generation_names()

FREE_TEXT = tuple(style for style in STYLES if style != "vanilla")
LETTERS = ("A", "B", "C", "D")
CLOSES = "*_`.):\n "
EVEN = {"A": 0.2, "B": 0.4, "C": 0.1, "D": 0.1}
WANTED = {"A": 0.25, "B": 0.5, "C": 0.125, "D": 0.125}


@pytest.fixture
def line_in(line_to):
    """Opens a line with a style's own prompts."""

    def open_line(style: str, model: ScriptedChatModel) -> Consultation:
        line = line_to(model)
        line.wording = line.wording._replace(prompts=PromptSet(names=prompts_of(style)))
        return line

    return open_line


def scripted(*replies) -> ScriptedChatModel:
    return ScriptedChatModel(script={"generate": list(replies)})


def entry(token: str, logprob: float = -0.01) -> dict:
    return {"token": token, "logprob": logprob, "top_logprobs": [{"token": token, "logprob": logprob}]}


def told(pieces: list[str], at: int, lead: str = "", tail: str = "") -> list[dict]:
    """`logprobs.content` of a text in these pieces, with the letters as alternatives to the one at `at`."""
    content = [entry(piece) for piece in pieces]
    content[at]["logprob"] = math.log(EVEN[pieces[at][len(lead)]])
    content[at]["top_logprobs"] = [
        {"token": f"{lead}{letter}{tail}", "logprob": math.log(share)} for letter, share in EVEN.items()
    ]
    return content


@pytest.mark.parametrize(
    ("pieces", "at", "lead", "tail"),
    [
        (["Fever", ".\n", "Answer", ":", " B"], -1, " ", ""),
        (["Fever.\nAnswer:", " ", "B"], -1, "", ""),
        (["**", "Answer", ":", " B", "**"], -2, " ", ""),
        (["**Answer:", "**", " B"], -1, " ", ""),
        (["Answer: ", "**B", "**\n"], -2, "**", ""),
        (["Answer: ", "**B**"], -1, "**", "**"),
        (["Answer:", " (", "B", ")."], -2, "", ""),
        (["Answer:", " (B", ")"], -2, " (", ""),
        (["Answer:", " B.", "\n\n"], -2, " ", "."),
        (["Answer:", " B", ".", " Pneu", "monia"], -4, " ", ""),
        (["Answer:", " B", ")", " Pneumonia", "<|im_end|>"], -4, " ", ""),
        (["\ufffd", "\ufffd", " Answer:", " B"], -1, " ", ""),
    ],
)
async def test_the_distribution_comes_from_the_stated_letters_token(pieces, at, lead, tail, line_in):
    text = "".join(pieces).replace("<|im_end|>", "").replace("\ufffd\ufffd Answer", "\U0001fac0\nAnswer")
    reply = AIMessage(text, response_metadata={"logprobs": {"content": told(pieces, at, lead, tail)}})
    found = await generate(CASE, "cot", 100, line_in("cot", scripted(reply)))
    assert (found.answer, found.distribution_from) == ("B", "logprobs")
    assert found.distribution == pytest.approx(WANTED)


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    letter=st.sampled_from(LETTERS),
    cuts=st.sets(st.integers(1, 200)),
)
def test_any_cut_finds_the_letter(text, letter, cuts):
    text += f"\nAnswer: {letter}.\n"
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    place = text.rindex(letter)
    at = next(n for n, end in enumerate(edges[1:]) if end > place)
    lead, tail = pieces[at][: place - edges[at]], pieces[at][place - edges[at] + 1 :]
    found = probabilities_at(place, text, told(pieces, at, lead, tail), LETTERS, CLOSES)
    assert found == pytest.approx(WANTED)


def test_words_and_other_leads_are_no_letters():
    pieces = ["Answer:", " B"]
    content = told(pieces, -1, " ")
    for token in (" Both", " Asthma", "D", " (C", " b"):
        content[-1]["top_logprobs"].append({"token": token, "logprob": math.log(0.01)})
    assert probabilities_at(8, "Answer: B", content, LETTERS, CLOSES) == pytest.approx(WANTED)


@pytest.mark.parametrize("place", [-1, 40])
def test_a_place_outside_the_text_has_no_token(place):
    assert probabilities_at(place, "Answer: B", told(["Answer:", " B"], -1, " "), LETTERS, CLOSES) is None


@pytest.mark.parametrize("metadata", [{}, {"logprobs": None}, {"logprobs": {"content": []}}])
@pytest.mark.parametrize("style", STYLES)
async def test_without_log_probabilities_there_is_no_distribution(style, metadata, line_in):
    text = '{"answer": "B"}' if style == "vanilla" else "Crackles.\nAnswer: B"
    found = await generate(
        CASE, style, 100, line_in(style, scripted(AIMessage(text, response_metadata=metadata)))
    )
    assert (found.answer, found.distribution, found.distribution_from) == ("B", {}, "none")


async def test_the_bare_answer_has_its_distribution_too(line_in):
    pieces = ['{"answer": "', "B", '"}']
    reply = AIMessage("".join(pieces), response_metadata={"logprobs": {"content": told(pieces, 1)}})
    found = await generate(CASE, "vanilla", 100, line_in("vanilla", scripted(reply)))
    assert (found.answer, found.statement, found.distribution_from) == ("B", "B", "logprobs")
    assert found.distribution == pytest.approx(WANTED)


@pytest.mark.parametrize("style", FREE_TEXT)
async def test_a_free_text_is_asked_for_without_a_form(style, line_in):
    model = scripted("Crackles.\n**Answer: B**\n")
    found = await generate(CASE, style, 77, line_in(style, model))
    (request,) = model.requests
    assert (found.answer, found.statement, found.truncated) == ("B", "**Answer: B**", False)
    assert request.node == "generate"
    assert request.schema == {}
    assert "response_format" not in request.options
    assert request.options["max_tokens"] == 77
    assert (request.options["logprobs"], request.options["top_logprobs"]) == (True, 6)
    assert "one of A, B, C, D" in request.messages[-1].text


@pytest.mark.parametrize("style", STYLES)
async def test_a_free_form_case_is_answered_in_words_without_log_probabilities(style, line_in):
    model = scripted('{"answer": "Pneumonia"}' if style == "vanilla" else "So:\nAnswer: Pneumonia")
    found = await generate(FREE, style, 100, line_in(style, model))
    assert (found.answer, found.distribution_from) == ("Pneumonia", "none")
    assert "logprobs" not in model.requests[0].options
    assert "a few words" in model.requests[0].messages[-1].text


async def test_the_bare_answer_is_one_of_the_options_and_nothing_else(line_in):
    model = scripted('{"answer": "B"}')
    await generate(CASE, "vanilla", 100, line_in("vanilla", model))
    schema = model.requests[0].schema
    assert list(schema["properties"]) == schema["required"] == ["answer"]
    assert schema["properties"]["answer"]["enum"] == list(LETTERS)
    assert schema["additionalProperties"] is False


async def test_a_malformed_bare_answer_is_repaired_once(line_in):
    model = scripted("B", '{"answer": "B"}')
    assert (await generate(CASE, "vanilla", 100, line_in("vanilla", model))).answer == "B"
    model = scripted("B", '{"answer": "E"}', '{"answer": "B"}')
    line = line_in("vanilla", model)
    assert (await generate(CASE, "vanilla", 100, line)).answer is None
    assert len(model.requests) == 2
    assert (line.reply.failure.boundary, line.reply.failure.kind) == ("parse", FailureKind.MALFORMED)


@pytest.mark.parametrize("style", FREE_TEXT)
async def test_a_free_text_that_states_nothing_is_a_failure_and_is_not_repaired(style, line_in):
    model = scripted("It is pneumonia.", "Answer: B")
    line = line_in(style, model)
    found = await generate(CASE, style, 100, line)
    assert (found.answer, found.statement, found.truncated) == (None, "", False)
    assert len(model.requests) == 1
    failure = line.reply.failure
    assert (failure.boundary, failure.kind, failure.node) == ("parse", FailureKind.MALFORMED, "generate")
    assert "last line" in failure.message


@pytest.mark.parametrize("said", ["Crackles. The", "Crackles.\nAnswer: B"])
@pytest.mark.parametrize(
    "metadata", [{"finish_reason": "length"}, {"finish_reason": "MAX_TOKENS"}, {"stop_reason": "max_tokens"}]
)
async def test_a_text_that_was_cut_off_states_nothing(said, metadata, line_in):
    line = line_in("cot", scripted(AIMessage(said, response_metadata=metadata)))
    found = await generate(CASE, "cot", 100, line)
    assert (found.answer, found.truncated) == (None, True)
    assert "cut off" in line.reply.failure.message


async def test_a_bare_answer_that_is_cut_off_again_and_again_is_marked(line_in):
    cut = AIMessage('{"answer": "', response_metadata={"finish_reason": "length"})
    assert (await generate(CASE, "vanilla", 9, line_in("vanilla", scripted(cut)))).truncated


@pytest.mark.parametrize("style", STYLES)
def test_brief_models_write_no_more_than_others(style):
    assert 0 < generating(style).most_tokens(brief=True) <= generating(style).most_tokens()


async def test_a_line_does_not_read_what_has_no_form(line_in):
    with pytest.raises(ValueError, match="use `write`"):
        await line_in("cot", scripted("Answer: B")).ask(Turn("generate", "Now.", None, 10))
