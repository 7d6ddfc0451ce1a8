"""The style `graph` against what a model really received."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from journeys import CASE, FREE, STRAIGHT
from langchain_core.messages import BaseMessage
from walks import doubting, plain_walk, walked, whimsical

from ddxgraph import Budget, Limits, Trace
from ddxgraph.common.errors import CompileError
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.styles.compile import Sample, compile_journey, compile_samples

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
Said = tuple[tuple[str, str], ...]
CHECK = "Stop: evidence"


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
    """Every reply follows what the model was given, but for other checks of its round and for their order."""
    asked = {in_rounds(told) for told in received(model)}
    samples = compile_samples(trace, "graph")
    replies = 0
    for sample in samples:
        told = said(sample)
        assert told[0] == ("system", trace.system)
        assert [role for role, _ in told[1:]] == ["user", "assistant"] * ((len(told) - 1) // 2)
        for place in range(2, len(told), 2):
            replies += 1
            before = in_rounds(told[:place])
            if before not in asked:
                assert before[-1][1].startswith(CHECK), before[-1]
                assert (*before[:-2], before[-1]) in asked, "the checks of its round beside it"
    readable = [step for step in trace.steps if step.text and step.failure is None]
    assert replies == len(readable)
    assert len(samples) <= len(trace.compactions) + 1
    assert [sample.meta.part for sample in samples] == list(range(len(samples)))


def in_rounds(told: Said) -> Said:
    """A conversation in which each round of checks is one message, in a fixed order of the checks.

    A check without a reply, the last message, stays one by itself. The first check of a round after a compaction
    shares its message with the case and the summary: these are put apart.
    """
    messages, together = list(told[:1]), list[str]()
    for (_, asking), *replies in (told[place : place + 2] for place in range(1, len(told), 2)):
        head, check, turn = asking.rpartition(CHECK)
        if check and replies:
            messages += [("user", head.strip())] if head else []
            together.append(f"{turn} {replies[0][1]}")
            continue
        messages += [("round", "\n".join(sorted(together)))] if together else []
        together = []
        messages += [("user", head.strip()), ("user", check + turn)] if check and head else [("user", asking)]
        messages += replies
    return (*messages, ("round", "\n".join(sorted(together)))) if together else tuple(messages)


def test_a_straight_walk_is_the_last_call_and_its_reply():
    trace, model = walked(STRAIGHT, CASE)
    (sample,) = compile_samples(trace, "graph")
    last = model.requests[-1]
    assert in_rounds(said(sample)[:-1]) == in_rounds(tuple(map(turn, last.messages)))
    assert sample.messages[-1].content == tight(trace.steps[-1].text)
    assert sample.meta.prompt_hash == trace.provenance.prompt_set
    check(trace, model)


def test_any_option_may_stand_first_in_a_round_always_the_same_in_a_trace():
    trace, _ = walked(STRAIGHT, CASE)
    first = []
    for number in range(64):
        other = trace.model_copy(update={"id": f"{number:016x}"})
        (sample,) = compile_samples(other, "graph")
        assert compile_samples(other, "graph", seed=1)[0].messages == sample.messages
        turns = [message.content for message in sample.messages if message.content.startswith(CHECK)]
        assert len(set(turns)) == len(CASE.options)
        first.append(turns[0])
    assert all(first.count(turn) >= 8 for turn in turns), "drawn evenly: 16 of 64 are expected of each"


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
