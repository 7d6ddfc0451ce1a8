"""Prompts that a server cuts without a word are noticed by the tokens that it reports."""

import asyncio
import logging

import pytest
from faultserver import Odd, fault_server
from journeys import AT_ONCE, CASE, STRAIGHT
from odd_replies import REPLIES

from ddxgraph import Budget, GenerationStrategy, Trace, build_graph, connect, solve
from ddxgraph.graph.cutprompts import cut_in_words, cut_prompts
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.data.ending import ending


@pytest.fixture(scope="module")
def server():
    with fault_server() as started:
        yield started


@pytest.fixture
def served(server):
    """The trace of a case on a server that cuts prompts into its window."""

    def walk(window: int) -> Trace:
        server.odd = Odd(window=window)
        model = connect(server.base_url, "fake")
        return solve(build_graph(model, patience=AT_ONCE, budget=Budget(max_backtracks=0)), CASE)

    return walk


@pytest.fixture(scope="module")
def whole() -> Trace:
    return solve(build_graph(ScriptedChatModel(script=STRAIGHT)), CASE)


def test_a_server_that_sees_every_prompt_whole_is_believed(served, caplog):
    trace = served(0)
    assert trace.outcome == "answered"
    assert trace.cut_prompts == ()
    assert "cut_prompts" not in trace.model_dump()
    assert not caplog.records


def test_forms_that_are_asked_for_in_words_differ_in_length_without_a_cut():
    with fault_server(REPLIES["no response_format"].odd) as server:
        trace = solve(build_graph(connect(server.base_url, "fake"), patience=AT_ONCE), CASE)
    assert {step.left_out for step in trace.steps} == {("response_format",)}
    assert trace.cut_prompts == ()


@pytest.mark.parametrize("window", [64, 256])
def test_a_window_that_is_smaller_than_what_always_stands_there_cuts_every_prompt(window, served):
    trace = served(window)
    assert trace.outcome == "answered"
    assert trace.cut_prompts == tuple(range(len(trace.steps)))


def test_a_count_that_stops_growing_gives_the_later_prompts_away(served, caplog):
    sizes = [step.usage.prompt_tokens for step in served(0).steps]
    with caplog.at_level(logging.WARNING):
        trace = served(sizes[1])  # the second prompt just fits
    assert trace.outcome == "answered"
    assert min(trace.cut_prompts) >= 2
    assert len(trace.steps) - 1 in trace.cut_prompts
    told = cut_in_words(trace)
    assert caplog.messages == [f"cough: {told}"]
    assert f"cut {len(trace.cut_prompts)} of {len(trace.steps)} prompts" in told
    assert "longer context" in ending(trace)


def test_it_is_in_the_file_and_read_from_it(served):
    trace = served(512)
    assert Trace.model_validate_json(trace.to_json()) == trace


def test_a_single_generation_tells_too(server, caplog):
    strategy = GenerationStrategy(style="cot")
    for window, cut in ((0, ()), (64, (0,))):
        server.odd = Odd(window=window)
        assert asyncio.run(strategy(CASE, connect(server.base_url, "fake"))).cut_prompts == cut
    assert len(caplog.messages) == 1


def counts(trace: Trace, tokens) -> tuple[int, ...]:
    """The prompts that count as cut if each step's prompt has other tokens, given by the step."""
    steps = [
        step.model_copy(
            update={
                "usage": step.usage.model_copy(update={"prompt_tokens": tokens(step.usage.prompt_tokens)})
            }
        )
        for step in trace.steps
    ]
    return cut_prompts(trace.system, trace.opening, steps, trace.compactions)


@pytest.mark.parametrize("factor", [0.85, 1, 1.5, 4])
def test_the_tokenizer_decides_nothing(factor, whole):
    """Of a prompt in English 4.7 to 1 characters to a token."""
    assert counts(whole, lambda tokens: round(tokens * factor)) == ()


def test_what_was_estimated_or_repaired_tells_nothing(whole):
    for odd in ({"estimated": True}, {"calls": 2}):
        steps = [
            step.model_copy(update={"usage": Usage(**{"calls": 1, "prompt_tokens": 9, **odd})})
            for step in whole.steps
        ]
        assert cut_prompts(whole.system, whole.opening, steps, ()) == ()


def test_thoughts_that_a_chat_template_takes_out_are_not_missed(whole):
    thoughts = "<think>" + "I wonder whether it is so. " * 60 + "</think>\n"
    steps = [step.model_copy(update={"text": thoughts + step.text}) for step in whole.steps]
    assert cut_prompts(whole.system, whole.opening, steps, ()) == ()


def test_a_conversation_that_is_compacted_starts_anew():
    model = ScriptedChatModel(script=STRAIGHT | {"reflect": [_back(), _back(), _back(), STRAIGHT["reflect"]]})
    trace = solve(build_graph(model, context_window=3_400), CASE)
    assert trace.compactions, "the window is too long for a compaction"
    assert trace.cut_prompts == ()


def _back():
    return {"critique": "unsure " * 30, "refuted": [], "verdict": "widen_differential", "targets": []}
