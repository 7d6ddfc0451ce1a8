import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from ddxgraph.nodes.call.usage import BYTES_PER_TOKEN, Usage, estimate_tokens, total_usage, usage_of

NONE = Usage(calls=1, prompt_tokens=10, completion_tokens=2)
ZERO = Usage(calls=1, prompt_tokens=10, completion_tokens=2, cached_tokens=0)
SOME = Usage(calls=1, prompt_tokens=10, completion_tokens=2, cached_tokens=8)


@pytest.mark.parametrize(
    ("parts", "cached"),
    [
        ([], None),
        ([NONE], None),
        ([NONE, NONE], None),
        ([ZERO], 0),
        ([NONE, ZERO], 0),
        ([SOME, NONE], 8),
        ([SOME, ZERO, SOME], 16),
    ],
)
def test_cached_tokens_are_unknown_until_an_engine_reports_them(parts, cached):
    assert total_usage(parts).cached_tokens == cached


def test_usage_adds_up():
    assert total_usage([NONE, SOME]) == NONE + SOME
    total = total_usage(iter([NONE, SOME, Usage(calls=1)]))
    assert (total.calls, total.prompt_tokens, total.completion_tokens) == (3, 20, 4)
    assert total.total_tokens == 24


def test_one_estimate_makes_the_sum_an_estimate():
    assert not (NONE + SOME).estimated
    assert (NONE + Usage(estimated=True)).estimated


@pytest.mark.parametrize(("usage", "share"), [(SOME, 0.8), (ZERO, 0.0), (NONE, None), (Usage(), None)])
def test_the_cache_share_is_unknown_where_nothing_was_reported(usage, share):
    assert usage.cache_share == share


@pytest.mark.parametrize(
    ("details", "cached"),
    [(None, None), ({}, None), ({"audio": 1}, None), ({"cache_read": 0}, 0), ({"cache_read": 7}, 7)],
)
def test_a_calls_usage_is_what_the_engine_reports(details, cached):
    said = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    if details is not None:
        said["input_token_details"] = details
    usage = usage_of(AIMessage("{}", usage_metadata=said), [HumanMessage("x" * 999)])
    assert usage == Usage(calls=1, prompt_tokens=10, completion_tokens=2, cached_tokens=cached)


def test_a_calls_usage_is_estimated_where_the_engine_reports_none():
    usage = usage_of(AIMessage("x" * 300), [SystemMessage("x" * 3_000), HumanMessage("x" * 600)])
    assert usage.estimated
    assert usage.calls == 1
    assert usage.prompt_tokens >= 1_200
    assert usage.completion_tokens >= 100


@pytest.mark.parametrize("text", ["fever", "发热三天", "حمى", "😷🤒", "x\ud800"])
def test_an_estimate_counts_bytes_so_that_no_script_is_underrated(text):
    size = len(text.encode("utf-8", "replace"))
    assert estimate_tokens([text * 300]) >= size * 300 // BYTES_PER_TOKEN


def test_an_estimate_of_nothing_is_nothing():
    assert estimate_tokens([]) == 0
    assert estimate_tokens(["", ""]) > 0
