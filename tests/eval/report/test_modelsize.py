"""The size of a model: as its name states it, and never by a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.eval.report.models import parameters_in


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("SmolLM2-135M-Instruct-Q4_1", 0.135),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", 0.135),
        ("Qwen/Qwen2.5-7B-Instruct", 7),
        ("Qwen2.5-0.5B", 0.5),
        ("Qwen/Qwen3-1.7B", 1.7),
        ("llama3.1:8b", 8),
        ("meta-llama/Llama-3.1-70B-Instruct", 70),
        ("Llama_3.1_8B_it", 8),
        ("gpt-oss-20b", 20),
        ("Qwen3-30B-A3B", 30),
        ("vllm/Qwen/Qwen2.5-72B-Instruct/", 72),
        ("quantised-4bit-8B", 8),
        ("twice-7B-7b", 7),
    ],
)
def test_a_size_is_read_from_the_name(name, billions):
    assert parameters_in(name) == pytest.approx(billions)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt-4o",
        "o1-mini",
        "a-model",
        "Mixtral-8x7B-Instruct",
        "gemma-3n-E4B",
        "distill-70B-into-8B",
        "models/7B/snapshot",
        "v2b3",
        "4bit",
        "0B",
        "llama-3.1",
    ],
)
def test_where_the_name_states_none_there_is_none(name):
    assert parameters_in(name) is None


@given(st.text(max_size=40))
def test_any_name_gives_a_size_above_zero_or_none(name):
    found = parameters_in(name)
    assert found is None or found > 0
