import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from pydantic import ValidationError

from ddxgraph.nodes.case import Case
from ddxgraph.nodes.conclude import (
    ANSWER_CHARS,
    conclude,
    from_credence,
    letter_probabilities,
    output_model,
    over_options,
)
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import ScriptedChatModel

LIMITS = Limits()
LETTERS = ("A", "B", "C", "D")
CHOICE = Case(vignette="Fever.", options={"A": "Influenza", "B": "Pneumonia", "C": "Asthma", "D": "Croup"})
FREE = Case(vignette="Fever.")
LOWEST_FLOAT = -3.4028234663852886e38
"""What llama.cpp reports for a token of probability zero."""


def entry(token: str, logprob: float = -0.01) -> dict:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def told(pieces: Sequence[str], at: int, top: Mapping[str, float]) -> list[dict]:
    """OpenAI's `logprobs.content` for a reply in these pieces, with alternatives to the one at `at`."""
    content = [{**entry(piece), "top_logprobs": [entry(piece)]} for piece in pieces]
    content[at] = {
        **entry(pieces[at], top.get(pieces[at], -0.01)),
        "top_logprobs": [entry(token, logprob) for token, logprob in top.items()],
    }
    return content


def logs(**shares: float) -> dict[str, float]:
    return {key: math.log(share) for key, share in shares.items()}


HEAD = ['{"', "justification", '":', ' "', "Because", '",', ' "', "answer", '":']
EVEN = logs(A=0.2, B=0.4, C=0.1, D=0.1)
WANTED = {"A": 0.25, "B": 0.5, "C": 0.125, "D": 0.125}


def glued(lead: str, tail: str = "") -> dict[str, float]:
    return {f"{lead}{letter}{tail}": logprob for letter, logprob in EVEN.items()}


@pytest.mark.parametrize(
    ("pieces", "at", "top"),
    [
        ([*HEAD, ' "', "B", '"', "}"], -3, EVEN),
        ([*HEAD, ' "', "B", '"}'], -2, EVEN),
        ([*HEAD, '"', "B", '"', "}"], -3, EVEN),
        ([*HEAD, ' "B', '"}'], -2, glued(' "')),
        ([*HEAD, '"B', '"', "}"], -3, glued('"')),
        ([*HEAD, ' "', 'B"}'], -1, glued("", '"}')),
        ([*HEAD, ' "', 'B"', "}"], -2, glued("", '"')),
        ([*HEAD, ' "B"}'], -1, glued(' "', '"}')),
        ([*HEAD, ' "', "B", '"', "\n", "}"], -4, EVEN),
        ([*HEAD, ' "', "B", '" }', "\n\n"], -3, EVEN),
        ([*HEAD, ' "', "B", '"}', "\n", " "], -4, EVEN),
        ([*HEAD, ' "', "B", '"}', ""], -3, EVEN),
        ([*HEAD, ' "B', '"}', "", ""], -4, glued(' "')),
        (["```json\n", *HEAD, ' "', "B", '"}', "\n```"], -3, EVEN),
        (["<think>", "Hm", '. "A"?', "</think>", *HEAD, ' "', "B", '"}'], -2, EVEN),
    ],
)
def test_the_letter_is_found_however_the_reply_is_cut_into_tokens(pieces, at, top):
    found = letter_probabilities("".join(pieces), told(pieces, at, top), LETTERS)
    assert found == pytest.approx(WANTED)


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>"])
@pytest.mark.parametrize(
    ("pieces", "top"),
    [
        ([*HEAD, ' "', "B", '"}'], EVEN),
        ([*HEAD, ' "B', '"}'], glued(' "')),
        ([*HEAD, ' "', 'B"', "}"], glued("", '"')),
    ],
)
def test_an_end_token_that_the_reply_does_not_show_is_passed_over(pieces, top, end):
    """vLLM lists the token that ended the turn; the reply's text does not hold it."""
    content = [*told(pieces, -2, top), {**entry(end), "top_logprobs": [entry(end)]}]
    found = letter_probabilities("".join(pieces), content, LETTERS)
    assert found is not None
    assert found == pytest.approx(WANTED)


def test_pieces_of_a_character_in_the_justification_do_no_harm():
    pieces = ['{"justification": "', "\ufffd", "\ufffd", "\ufffd", ' tritt auf", "answer": "', "B", '"}']
    text = '{"justification": "\U0001f9ce tritt auf", "answer": "B"}'
    assert letter_probabilities(text, told(pieces, -2, EVEN), LETTERS) == pytest.approx(WANTED)


@given(
    justification=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    letter=st.sampled_from(LETTERS),
    compact=st.booleans(),
    cuts=st.sets(st.integers(1, 200)),
    share=st.floats(0.01, 0.99),
)
def test_any_cut_finds_the_letter_and_sums_to_one(justification, letter, compact, cuts, share):
    said = {"justification": justification, "answer": letter}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":") if compact else None)
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    place = text.rindex(letter)
    at = next(n for n, end in enumerate(edges[1:]) if end > place)
    other = "ABCD"[(LETTERS.index(letter) + 1) % 4]
    start = place - edges[at]
    rival = pieces[at][:start] + other + pieces[at][start + 1 :]
    top = {pieces[at]: math.log(share), rival: math.log(1 - share)}
    found = letter_probabilities(text, told(pieces, at, top), LETTERS)
    assert found is not None
    assert math.fsum(found.values()) == pytest.approx(1)
    assert found[letter] / found[other] == pytest.approx(share / (1 - share))


def test_mass_on_other_tokens_is_renormalised_away():
    pieces = [*HEAD, ' "', "B", '"}']
    top = {
        "The": math.log(0.9),
        "B": math.log(0.06),
        "A": math.log(0.02),
        "C": math.log(0.01),
        "D": math.log(0.01),
    }
    found = letter_probabilities("".join(pieces), told(pieces, -2, top), LETTERS)
    assert found == pytest.approx({"A": 0.2, "B": 0.6, "C": 0.1, "D": 0.1})


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"B": 0.8, "A": 0.1, "The": 0.04, "b": 0.04}, {"A": 0.1, "B": 0.8, "C": 0.01, "D": 0.01}),
        ({"B": 0.905}, {"A": 0.095 / 3, "B": 0.905, "C": 0.095 / 3, "D": 0.095 / 3}),
        ({"B": 0.4, "A": 0.3}, {"A": 0.3, "B": 0.4, "C": 0.15, "D": 0.15}),
        ({"B": 0.5, "A": 0.3, "x": 0.001}, {"A": 0.3, "B": 0.5, "C": 0.001, "D": 0.001}),
        ({"B": 0.9, "A": 0.1}, {"A": 0.1, "B": 0.9, "C": 0, "D": 0}),
        ({"B": 0.01, "The": 0.2}, None),
        ({"B": 0.2}, None),
        ({"B": 0.905, "A": 0.905}, None),
    ],
)
def test_letters_outside_the_alternatives_share_what_these_leave(top, expected):
    """Never more than the least likely alternative has; no distribution where that could be the leader's part."""
    pieces = [*HEAD, ' "', "B", '"}']
    found = letter_probabilities(
        "".join(pieces), told(pieces, -2, {k: math.log(p) for k, p in top.items()}), LETTERS
    )
    if expected is None:
        assert found is None
        return
    total = sum(expected.values())
    assert found == pytest.approx({key: value / total for key, value in expected.items()}, abs=1e-6)
    assert min(found.values()) > 0


NO_NUMBERS = {
    "null": None,
    "NaN": math.nan,
    "infinite": math.inf,
    "positive": 3.5,
    "a text": "-0.1",
    "a flag": True,
    "a list": [-0.1],
}


@pytest.mark.parametrize("odd", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_a_log_probability_that_is_no_number_is_left_out(odd):
    pieces = [*HEAD, ' "', "B", '"}']
    tokens = told(
        pieces, -2, {"B": math.log(0.7), "A": math.log(0.2), "C": math.log(0.06), "D": math.log(0.04)}
    )
    tokens[-2]["top_logprobs"][1]["logprob"] = odd
    found = letter_probabilities("".join(pieces), tokens, LETTERS)
    assert found is not None
    assert found["B"] > found["C"] > 0
    for listed in [tokens, *(token["top_logprobs"] for token in tokens)]:
        for token in listed:
            token["logprob"] = odd
    assert letter_probabilities("".join(pieces), tokens, LETTERS) is None


@pytest.mark.parametrize("odd", [None, "x", 7, {"B": -0.1}, [None], ["B"], [["B", -0.1]], [{}]])
def test_alternatives_of_another_shape_are_left_out(odd):
    pieces = [*HEAD, ' "', "B", '"}']
    tokens = told(pieces, -2, {"B": math.log(0.9)})
    tokens[-2] = {"token": "B", "logprob": math.log(0.9), "top_logprobs": odd}
    found = letter_probabilities("".join(pieces), tokens, LETTERS)
    assert found is None or found["B"] == pytest.approx(0.9, abs=0.02)


def test_words_that_begin_with_a_letter_are_no_letters():
    pieces = [*HEAD, ' "', "B", '"}']
    top = {"Both": math.log(0.5), "Asthma": math.log(0.3), **logs(B=0.1, A=0.05, C=0.03, D=0.02)}
    found = letter_probabilities("".join(pieces), told(pieces, -2, top), LETTERS)
    assert found == pytest.approx({"A": 0.25, "B": 0.5, "C": 0.15, "D": 0.1})


@pytest.mark.parametrize("never", [-9999.0, -1e30, LOWEST_FLOAT])
def test_an_impossible_letter_gets_nothing(never):
    pieces = [*HEAD, ' "', "B", '"}']
    top = {"B": math.log(0.75), "A": math.log(0.25), "C": never, "D": never}
    found = letter_probabilities("".join(pieces), told(pieces, -2, top), LETTERS)
    assert found == pytest.approx({"A": 0.25, "B": 0.75, "C": 0.0, "D": 0.0})


def test_letters_that_tie_share_alike():
    pieces = [*HEAD, ' "', "B", '"}']
    found = letter_probabilities("".join(pieces), told(pieces, -2, dict.fromkeys(LETTERS, -1.5)), LETTERS)
    assert found == pytest.approx(dict.fromkeys(LETTERS, 0.25))


def test_a_server_that_lists_no_alternatives_gives_the_letter_itself():
    pieces = [*HEAD, ' "', "B", '"}']
    content = [{"token": piece, "logprob": -0.1, "top_logprobs": []} for piece in pieces]
    found = letter_probabilities("".join(pieces), content, LETTERS)
    assert found is not None
    assert found["B"] == max(found.values())
    assert math.fsum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "content", "letters"),
    [
        ('{"answer": "B"}', None, LETTERS),
        ('{"answer": "B"}', [], LETTERS),
        ('{"answer": "B"}', told(['{"answer": "', "B", '"}'], 1, EVEN), ()),
        ('{"answer": "B"}', told(['"}'], 0, {}), LETTERS),
        ('{"answer": "B"}', told(['{"answer": "', "C", '"}'], 1, EVEN), LETTERS),
        ('{"answer": "Z"}', told(['{"answer": "', "Z", '"}'], 1, {"Z": -0.1}), LETTERS),
        ("B", told(["B"], 0, EVEN), LETTERS),
        ("", told([""], 0, {}), LETTERS),
    ],
    ids=[
        "no log-probabilities",
        "none listed",
        "free form",
        "cut short",
        "another reply",
        "no option",
        "no JSON",
        "empty",
    ],
)
def test_there_is_no_distribution_where_the_letter_cannot_be_found(text, content, letters):
    assert letter_probabilities(text, content, letters) is None


def test_credence_is_renormalised_over_the_options():
    credence = {"A": 0.3, "B": 0.1, "H1": 0.6}
    assert over_options(credence, ("A", "B")) == pytest.approx({"A": 0.75, "B": 0.25})
    assert over_options(credence, ("A", "B", "C")) == pytest.approx({"A": 0.75, "B": 0.25, "C": 0})
    assert over_options(credence, ()) == credence


@pytest.mark.parametrize("credence", [{}, {"A": 0.0, "B": 0.0}, {"H1": 1.0}])
def test_there_is_no_distribution_without_credence_in_an_option(credence):
    assert over_options(credence, ("A", "B")) == {}


def test_without_a_call_the_best_option_stands():
    conclusion = from_credence(CHOICE, {}, {"A": 0.2, "B": 0.3, "H1": 0.5})
    assert (conclusion.answer, conclusion.distribution_from) == ("B", "credence")
    assert conclusion.distribution == pytest.approx({"A": 0.4, "B": 0.6, "C": 0, "D": 0})


def test_without_a_call_the_best_hypothesis_answers_a_free_form_case_in_words():
    conclusion = from_credence(FREE, {"H1": "Croup", "H2": "Asthma"}, {"H1": 0.2, "H2": 0.8})
    assert conclusion.answer == "Asthma"
    assert conclusion.distribution == {"H1": 0.2, "H2": 0.8}


def test_the_first_of_equals_stands():
    assert from_credence(CHOICE, {}, dict.fromkeys("DCBA", 0.25)).answer == "A"


@pytest.mark.parametrize("case", [CHOICE, FREE])
def test_without_a_differential_there_is_no_answer(case):
    conclusion = from_credence(case, {}, {})
    assert (conclusion.answer, conclusion.distribution, conclusion.distribution_from) == (None, {}, "none")
    assert "before a differential" in conclusion.justification


@pytest.mark.parametrize("answer", ["E", "b", "", "A or B", None])
def test_an_answer_is_one_of_the_options(answer):
    with pytest.raises(ValidationError, match="answer"):
        output_model(LETTERS, LIMITS).model_validate({"justification": "", "answer": answer})


@pytest.mark.parametrize("answer", ["", "x" * (ANSWER_CHARS + 1)])
def test_a_free_form_answer_is_short_and_not_empty(answer):
    with pytest.raises(ValidationError, match="answer"):
        output_model((), LIMITS).model_validate({"justification": "", "answer": answer})


async def test_the_distribution_comes_from_the_answers_token(line_to):
    pieces = [*HEAD, ' "', "B", '"}']
    logprobs = {"content": told(pieces, -2, EVEN), "refusal": None}
    reply = AIMessage("".join(pieces), response_metadata={"logprobs": logprobs})
    line = line_to(GenericFakeChatModel(messages=iter([reply])))
    conclusion = await conclude(CHOICE, [], {"A": 1.0}, False, line, LIMITS)
    assert (conclusion.answer, conclusion.distribution_from) == ("B", "logprobs")
    assert conclusion.distribution == pytest.approx(WANTED)


@pytest.mark.parametrize("metadata", [{}, {"logprobs": None}, {"logprobs": {"content": None}}])
async def test_the_distribution_comes_from_the_credence_where_the_engine_gives_no_log_probabilities(
    line_to, metadata
):
    reply = AIMessage('{"justification": "since", "answer": "B"}', response_metadata=metadata)
    line = line_to(GenericFakeChatModel(messages=iter([reply])))
    conclusion = await conclude(CHOICE, [], {"A": 0.2, "B": 0.3, "H1": 0.5}, False, line, LIMITS)
    assert (conclusion.answer, conclusion.distribution_from) == ("B", "credence")
    assert conclusion.distribution == pytest.approx({"A": 0.4, "B": 0.6, "C": 0, "D": 0})


async def test_log_probabilities_are_asked_for_where_there_are_options(line_to):
    model = ScriptedChatModel()
    for case in (CHOICE, FREE):
        await conclude(case, [], {}, False, line_to(model), LIMITS)
    choice, free = model.requests
    assert (choice.options["logprobs"], choice.options["top_logprobs"]) == (True, 20)
    assert "logprobs" not in free.options


async def test_the_request_says_that_the_budget_is_spent_and_what_stands(line_to):
    model = ScriptedChatModel()
    await conclude(CHOICE, ["B Pneumonia: 60%"], {}, True, line_to(model), LIMITS)
    await conclude(CHOICE, [], {}, False, line_to(model), LIMITS)
    spent, unspent = (str(request.messages[-1].content) for request in model.requests)
    assert "budget is spent" in spent
    assert "B Pneumonia: 60%" in spent
    assert "budget" not in unspent


async def test_an_unreadable_reply_has_no_answer(line_to):
    line = line_to(ScriptedChatModel(script={"conclude": "B"}))
    conclusion = await conclude(CHOICE, [], {"A": 1.0}, False, line, LIMITS)
    assert (conclusion.answer, conclusion.distribution, conclusion.distribution_from) == (None, {}, "none")
