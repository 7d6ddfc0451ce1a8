"""What a reasoning model thinks is kept with its step, and told to nobody: not to the model, not in the reply."""

import asyncio
from typing import Any

import pytest
from faultserver import Odd, fault_server, said
from journeys import AT_ONCE, CASE

from ddxgraph import Trace, asolve, build_graph, connect, solve
from ddxgraph.batch.tracefile import append_trace, read_traces
from ddxgraph.graph.strategy import GenerationStrategy
from ddxgraph.training.gate.text import remainder_of
from ddxgraph.view.page.journey import journey_page

THOUGHT = "Crackles & fever <b>speak</b> for B."
FORMS: dict[str, Any] = {
    "reasoning_content": said("@@", reasoning_content=THOUGHT),
    "reasoning": said("@@", reasoning=THOUGHT),
    "a block": said(f"<think>{THOUGHT}</think>\n@@"),
}


@pytest.fixture(scope="module", params=FORMS)
def trace(request) -> Trace:
    with fault_server() as server:
        server.odd = Odd(FORMS[request.param])
        return solve(build_graph(connect(server.base_url, "fake"), patience=AT_ONCE), CASE)


def test_each_step_has_its_thoughts_and_its_reply_without_them(trace):
    assert trace.outcome == "answered"
    asked = [step for step in trace.steps if step.usage.calls]
    assert len(asked) > 4
    assert {step.thoughts for step in asked} == {THOUGHT}
    assert all(step.text.startswith("{") and step.output is not None for step in asked)


def test_no_turn_repeats_them(trace):
    assert THOUGHT not in "".join(str(message.content) for message in trace.messages())
    assert trace.cut_prompts == ()


def test_they_are_saved_and_read_again(trace, tmp_path):
    append_trace(tmp_path / "t.jsonl", trace)
    assert list(read_traces(tmp_path / "t.jsonl")) == [trace]
    plain = trace.model_copy(
        update={"steps": tuple(s.model_copy(update={"thoughts": ""}) for s in trace.steps)}
    )
    assert '"thoughts"' not in plain.to_json()


def test_the_page_has_them_folded_as_text(trace):
    page = journey_page(trace)
    assert '<details class="thoughts">' in page
    assert "Crackles &amp; fever &lt;b&gt;speak&lt;/b&gt; for B." in page
    assert "<b>speak</b>" not in page


def test_the_gate_reads_them_as_any_text_of_a_model(trace):
    assert THOUGHT in remainder_of(trace)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_streamed_or_not_they_are_the_same(form, way):
    async def walked(graph: Any) -> Trace:
        return await asolve(graph, CASE)

    with fault_server() as server:
        server.odd = Odd(FORMS[form])
        model = connect(server.base_url, "fake")
        model.streaming = way == "stream"
        trace = asyncio.run(walked(build_graph(model, patience=AT_ONCE)))
    assert {step.thoughts for step in trace.steps if step.usage.calls} == {THOUGHT}


@pytest.mark.parametrize("form", FORMS)
async def test_a_single_generation_keeps_them_too(form):
    body = {**FORMS[form]}
    body["choices"] = [{**choice, "message": {**choice["message"]}} for choice in body["choices"]]
    message = body["choices"][0]["message"]
    message["content"] = message["content"].replace("@@", "It is pneumonia.\nAnswer: B")
    with fault_server() as server:
        server.odd = Odd(body)
        trace = await GenerationStrategy(style="cot")(CASE, connect(server.base_url, "fake"))
    assert (trace.answer, trace.steps[0].thoughts) == ("B", THOUGHT)
    assert trace.steps[0].text.endswith("Answer: B")
