"""The style `graph` against what a model really received."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from journeys import CASE, FREE, STRAIGHT
from langchain_core.messages import BaseMessage
from walks import doubting, plain_walk, walked, whimsical

from ddxgraph import Budget, Limits, Trace
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.compile import CompileError, Sample, compile_journey, compile_samples

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
Said = tuple[tuple[str, str], ...]


def said(sample: Sample) -> Said:
    return tuple((message.role, message.content) for message in sample.messages)


def tight(reply: str) -> str:
    """A reply as vLLM's grammar spaces it."""
    try:
        return json.dumps(json.loads(reply), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return reply


def turn(message: BaseMessage) -> tuple[str, str]:
    text = str(message.content)
    return ROLES[message.type], tight(text) if message.type == "ai" else text


def received(model: ScriptedChatModel) -> set[Said]:
    return {tuple(map(turn, request.messages)) for request in model.requests}


def check(trace: Trace, model: ScriptedChatModel) -> None:
    """Every reply follows what the model was given, but for checks that stand after others of their round."""
    asked = received(model)
    samples = compile_samples(trace, "graph")
    replies = 0
    for sample in samples:
        told = said(sample)
        assert told[0] == ("system", trace.system)
        assert [role for role, _ in told[1:]] == ["user", "assistant"] * ((len(told) - 1) // 2)
        for place in range(2, len(told), 2):
            replies += 1
            if told[:place] not in asked:
                assert told[place - 1][1].startswith("Stop: evidence"), told[place - 1]
                assert _without_siblings(told[:place]) in asked
    readable = [step for step in trace.steps if step.text and step.failure is None]
    assert replies == len(readable)
    assert len(samples) <= len(trace.compactions) + 1
    assert [sample.meta.part for sample in samples] == list(range(len(samples)))


def _without_siblings(told: Said) -> Said:
    """A check's own turn after what came before its round.

    The first check of a round after a compaction shares its message with the case and the summary.
    """
    kept = list(told[:-1])
    while len(kept) > 2 and kept[-1][0] == "assistant" and "Stop: evidence" in kept[-2][1]:
        head, _, _ = kept[-2][1].rpartition("Stop: evidence")
        kept = kept[:-2]
        if head.strip():
            return (*kept, ("user", f"{head.rstrip()}\n\n{told[-1][1]}"))
    return (*kept, told[-1])


def test_a_straight_walk_is_the_last_call_and_its_reply():
    trace, model = walked(STRAIGHT, CASE)
    (sample,) = compile_samples(trace, "graph")
    last = model.requests[-1]
    assert said(sample)[:-1] == tuple(map(turn, last.messages))
    assert sample.messages[-1].content == tight(trace.steps[-1].text)
    assert sample.meta.prompt_hash == trace.provenance.prompt_set
    check(trace, model)


def test_replies_lose_the_white_space_between_tokens_and_none_within_texts():
    texts = ['a, b: "c"', "back\\slash \\", "line\n\tand \u00a0tab", "\u2028", ""]
    conclusion = {"justification": " ".join(texts), "answer": "A"}
    trace, _ = walked({**STRAIGHT, "conclude": conclusion}, CASE)
    for indent in (None, 2):
        for ascii_only in (True, False):
            spaced = json.dumps(conclusion, indent=indent, ensure_ascii=ascii_only)
            steps = (*trace.steps[:-1], trace.steps[-1].model_copy(update={"text": spaced}))
            told = compile_journey(trace.model_copy(update={"steps": steps}), "graph").messages[-1].content
            assert told == json.dumps(conclusion, ensure_ascii=ascii_only, separators=(",", ":"))


def test_a_reply_with_prose_around_its_json_stays_as_it_is():
    trace, _ = walked(STRAIGHT, CASE)
    text = f"So I say: {trace.steps[-1].text} That is all."
    steps = (*trace.steps[:-1], trace.steps[-1].model_copy(update={"text": text}))
    assert compile_journey(trace.model_copy(update={"steps": steps}), "graph").messages[-1].content == text


def test_a_walk_with_ways_back():
    trace, model = plain_walk()
    check(trace, model)
    assert compile_journey(trace, "graph").meta.told_backtracks == 2


def test_of_a_repair_the_reply_that_fitted_is_told():
    trace, model = walked({**STRAIGHT, "reflect": ["no JSON at all", STRAIGHT["reflect"]]}, CASE)
    repaired = next(step for step in trace.steps if step.node == "reflect")
    assert len(repaired.attempts) == 1
    text = compile_journey(trace, "graph").to_json()
    assert "no JSON at all" not in text
    assert "could not be read" not in text
    assert tight(repaired.text) in [message.content for message in compile_journey(trace, "graph").messages]
    check(trace, model)


def test_a_reply_that_never_fitted_is_left_out_with_its_turn():
    trace, model = walked({**STRAIGHT, "check_evidence:C": "garbage"}, CASE)
    assert trace.outcome == "answered"
    text = compile_journey(trace, "graph").to_json()
    assert "garbage" not in text
    assert "evidence for C" not in text
    check(trace, model)


def test_each_compaction_begins_another_conversation():
    long = {**doubting(3), "review_history": {**STRAIGHT["review_history"], "reasoning": "so " * 25}}
    trace, model = walked(
        long, CASE, budget=Budget(max_backtracks=3), context_window=2_000, limits=Limits.brief()
    )
    assert trace.outcome == "answered"
    assert trace.compactions
    samples = compile_samples(trace, "graph")
    assert len(samples) > 1
    assert "Summary of the work so far" not in samples[0].messages[1].content
    assert all("Summary of the work so far" in sample.messages[1].content for sample in samples[1:])
    assert compile_journey(trace, "graph") == samples[-1]
    check(trace, model)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**6),
    st.sampled_from([CASE, FREE]),
    st.integers(0, 3),
    st.sampled_from([None, 2_000, 2_300, 2_600]),
)
def test_whatever_the_walk(walk, case, backtracks, window):
    limits = Limits.brief() if window else None
    trace, model = whimsical(
        walk, case, budget=Budget(max_backtracks=backtracks), context_window=window, limits=limits
    )
    assume(trace.outcome == "answered")
    check(trace, model)


def test_a_trace_without_replies_is_refused():
    trace = walked(STRAIGHT, CASE).trace
    bare = tuple(step.model_copy(update={"text": "", "prompt": ""}) for step in trace.steps)
    with pytest.raises(CompileError, match="holds no reply"):
        compile_journey(trace.model_copy(update={"steps": bare}), "graph")
