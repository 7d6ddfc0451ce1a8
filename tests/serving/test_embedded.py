"""The embedded engine with its real model: llama.cpp and SmolLM2-135M-Instruct."""

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from journeys import AT_ONCE
from pydantic import SecretStr

from ddxgraph import Budget, Case, Limits, Traversal, asolve, build_graph, connect, read_cases, solve
from ddxgraph.graph.trace import Trace
from ddxgraph.serving.embedded import EmbeddedChatModel
from ddxgraph.serving.served import ServedChatModel

EXAMPLE = next(read_cases(Path(__file__).parents[2] / "examples" / "pneumonia.json")).case
OTHER = Case(
    vignette="A 24-year-old woman has burning with urination and urinary frequency for 2 days. She has no "
    "fever, no flank pain and no vaginal discharge. Urinalysis shows nitrites and many leukocytes.",
    question="Which of the following is the most appropriate next step in management?",
    options={"A": "Nitrofurantoin", "B": "CT of the abdomen", "C": "Cystoscopy", "D": "Observation"},
)
STRAIGHT = Budget(max_backtracks=0)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedChatModel]:
    model = connect(concurrency=2)
    assert isinstance(model, EmbeddedChatModel)
    yield model
    model.close()


@pytest.fixture(scope="module")
def straight(embedded: EmbeddedChatModel) -> Trace:
    """The engine's very first traversal: nothing is cached yet."""
    return solve(build_graph(embedded, budget=STRAIGHT), EXAMPLE)


def test_a_straight_traversal_answers_within_9_calls_and_900_completion_tokens(straight):
    assert straight.outcome == "answered"
    assert straight.answer in EXAMPLE.options
    assert [step.node for step in straight.steps if step.branch is None] == [
        "review_history",
        "generate_differential",
        "reflect",
        "conclude",
    ]
    assert straight.usage.calls <= 9
    assert straight.usage.completion_tokens <= 900
    assert not any(step.failure for step in straight.steps)


def test_four_in_five_prompt_tokens_come_from_the_prefix_cache_even_on_a_cold_engine(straight):
    assert straight.usage.cache_share is not None
    assert straight.usage.cache_share >= 0.80


def test_the_answers_distribution_comes_from_its_log_probabilities(straight):
    assert straight.distribution_from == "logprobs"
    assert set(straight.distribution) == set(EXAMPLE.options)
    assert math.isclose(sum(straight.distribution.values()), 1.0)
    assert max(straight.distribution.values()) < 1.0


def test_replies_are_compact_json_with_the_thought_first(straight):
    for step in straight.steps:
        assert "\n" not in step.text
        first = next(iter(json.loads(step.text)))
        assert first in {"reasoning", "critique", "justification"}


def test_the_trace_says_where_it_comes_from(straight):
    assert straight.provenance.model == "SmolLM2-135M-Instruct-Q4_1"
    assert straight.provenance.engine.startswith("llama.cpp")
    assert straight.provenance.sampling["temperature"] == 0
    assert straight.strategy.context_window == 8_192


@pytest.mark.alone
async def test_cases_at_once_keep_their_own_slots_and_their_cache(embedded):
    graph = build_graph(embedded, budget=Budget(max_backtracks=1))
    traces = await asyncio.gather(asolve(graph, EXAMPLE), asolve(graph, OTHER))
    for trace in traces:
        assert trace.outcome == "answered"
        assert trace.answer in trace.case.options
        assert trace.usage.cache_share is not None
        assert trace.usage.cache_share >= 0.80


@pytest.mark.alone
def test_a_free_form_case_ends_with_words(embedded):
    case = Case(vignette=OTHER.vignette, question="What is the most likely diagnosis?")
    trace = solve(build_graph(embedded, budget=STRAIGHT), case)
    assert trace.outcome == "answered"
    assert trace.answer
    assert trace.distribution_from == "credence"


def test_the_server_is_on_loopback_and_behind_its_key(embedded):
    url = embedded._engine.base_url
    assert url.startswith("http://127.0.0.1:")
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    assert httpx.post(f"{url}/chat/completions", json=body).status_code == 401
    key = {"Authorization": f"Bearer {embedded._engine.api_key}"}
    assert httpx.post(f"{url}/chat/completions", json=body, headers=key).status_code == 200


@pytest.mark.alone
def test_it_serves_as_any_openai_compatible_server_does(embedded):
    """The plain client path, with `response_format` and no grammar of ours, against a real engine."""
    engine = embedded._engine
    plain = ServedChatModel(
        model=embedded.model_name, base_url=engine.base_url, api_key=SecretStr(engine.api_key), temperature=0
    )
    graph = build_graph(plain, budget=STRAIGHT, limits=Limits.brief(), context_window=8_192)
    trace = solve(graph, OTHER)
    assert trace.outcome == "answered"
    assert trace.answer in OTHER.options
    assert embedded._engine.api_key not in trace.to_json()


def test_an_engine_stopped_midway_ends_the_trace_with_a_typed_error_and_keeps_the_steps():
    model = connect(concurrency=1)
    assert isinstance(model, EmbeddedChatModel)
    walk = Traversal(build_graph(model, budget=STRAIGHT, patience=AT_ONCE), OTHER)
    for step in walk:
        if step.node == "generate_differential":
            model.close()
    trace = walk.trace()
    assert (trace.outcome, trace.ended) == ("error", "failure")
    assert trace.failure is not None
    assert trace.failure.boundary == "engine"
    assert [step.node for step in trace.steps[:2]] == ["review_history", "generate_differential"]
    assert trace.steps[1].output is not None


def test_the_engine_is_gone_with_its_process():
    script = "import ddxgraph; m = ddxgraph.connect(concurrency=1); print(m._engine.base_url)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    with pytest.raises(httpx.ConnectError):
        httpx.get(done.stdout.strip() + "/models", timeout=5)
    assert done.stderr == ""
