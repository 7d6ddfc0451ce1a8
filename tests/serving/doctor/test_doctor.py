"""The doctor against endpoints that lack one thing each, over real HTTP; and against the real embedded engine."""

import asyncio
import json
import threading
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

import pytest
from faultserver import fault_server
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_replies import REPLIES
from pydantic import SecretStr
from scripted_server import Dropped, HttpError, Page, scripted_server

from ddxgraph.cli.serving.findings import travelled
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, connect
from ddxgraph.serving.doctor import finding as names
from ddxgraph.serving.doctor.doctor import AT_ONCE, PACE_TOKENS, examine, reach
from ddxgraph.serving.doctor.finding import (
    NAMES,
    Finding,
    Status,
    Window,
    amiss,
    cannot_run,
    compact,
    lora_found,
    models_found,
    verdict,
    window_found,
)
from ddxgraph.serving.embedded import EmbeddedChatModel
from ddxgraph.serving.models import ServedModel
from ddxgraph.serving.served import ServedChatModel

OK, WARN, MISSING, SKIPPED = Status.OK, Status.WARN, Status.MISSING, Status.SKIPPED
KEY = "sk-very-secret-0123456789"
NEEDS = Window(least=2_000, ease=8_192)
ADAPTERS_AT_RUN_TIME = {"/v1/load_lora_adapter": Page(405, {"detail": "Method Not Allowed"})}


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch):
    for variable in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def look(base_url: str | None, *, timeout_s: float = 20, model: str | None = None) -> dict[str, Finding]:
    """The findings by name, in the order in which they came."""
    reached = reach(base_url, model, lambda _: NEEDS, timeout_s)
    found = list(reached.findings)

    async def ask(chat: Any) -> None:
        async with aclosing(examine(chat, timeout_s, lambda _: None, travelled)) as findings:
            found.extend([each async for each in findings])

    if reached.chat:
        asyncio.run(ask(reached.chat))
    assert [each.name for each in found] == list(NAMES)
    return {each.name: each for each in found}


def statuses(found: Mapping[str, Finding], *but: str) -> set[Status]:
    return {each.status for name, each in found.items() if name not in but}


def complete(body: Mapping[str, Any], completion: dict[str, Any], alternatives: int = 20) -> dict[str, Any]:
    """What a server adds that says all that the graph asks for."""
    prompt = completion["usage"]["prompt_tokens"]
    completion["usage"]["prompt_tokens_details"] = {"cached_tokens": prompt - 1}
    if body.get("logprobs"):
        text = completion["choices"][0]["message"]["content"]
        others = [{"token": f"t{n}", "logprob": -9.0, "bytes": None} for n in range(alternatives - 2)]
        said = [{"token": letter, "logprob": -0.7, "bytes": None} for letter in "AB"]
        content = [
            {"token": piece, "logprob": -0.7, "bytes": None, "top_logprobs": [*said, *others]}
            for piece in (text[:-3], text[-3], text[-2:])
        ]
        completion["choices"][0]["logprobs"] = {"content": content, "refusal": None}
    return completion


def test_an_endpoint_that_has_everything_is_well():
    with scripted_server(pages=ADAPTERS_AT_RUN_TIME, altered=complete) as served:
        found = look(served.base_url)
    assert statuses(found) == {OK}, found
    assert not any(each.mend or each.cost for each in found.values())
    assert found[names.MODELS].value == "scripted"
    assert found[names.CONTEXT].value.startswith("32,768 tokens")
    assert found[names.LOGPROBS].value == "20 alternatives a token"
    assert f"for {AT_ONCE} at once" in found[names.SPEED].value
    assert "as the server reports" in found[names.SPEED].value


def test_it_asks_as_the_graph_asks_and_for_as_many_tokens_in_every_measure_of_speed():
    with scripted_server() as served:
        look(served.base_url)
        requests = served.model.requests
    assert [request.node for request in requests] == (
        ["odd", "chosen", "conclude"]
        + [
            "review_history",
            "generate_differential",
            "check_evidence",
            "check_evidence",
            "reflect",
            "conclude",
        ]
        + ["chosen", "chosen"]
        + ["count"] * (1 + 1 + AT_ONCE)
    )
    assert all(request.schema["additionalProperties"] is False for request in requests)
    assert {request.options["max_tokens"] for request in requests[11:]} == {PACE_TOKENS}
    assert requests[9].messages == requests[10].messages
    assert requests[2].options["logprobs"] is True


def test_what_is_only_wanting_is_a_warning_with_its_cost_and_its_mend():
    with scripted_server() as served:
        found = look(served.base_url)
    wanting = {names.LORA, names.LOGPROBS, names.PREFIX}
    assert {name for name, each in found.items() if each.status is WARN} == wanting
    assert all(found[name].cost and found[name].mend for name in wanting)
    assert found[names.LOGPROBS].value == "none given"
    assert "--max-logprobs 20" in found[names.LOGPROBS].mend
    assert "--enable-prompt-tokens-details" in found[names.PREFIX].mend
    assert not cannot_run(found.values())
    assert verdict([*found.values()]) == "The graph can run here (3 warnings)."


@pytest.mark.parametrize("reply", ["Good morning, dear reader!", {"greeting": "hello"}, "", "[1, 2]"])
def test_a_schema_that_is_not_enforced_stops_the_graph_and_the_other_checks_go_on(reply):
    with scripted_server({"odd": reply}, altered=complete) as served:
        found = look(served.base_url)
    assert found[names.SCHEMA].status is MISSING
    assert found[names.SCHEMA].mend
    assert found[names.COMPACT].status is SKIPPED
    assert found[names.CHOICE].status is OK
    assert cannot_run(found.values()) == [names.SCHEMA]
    assert verdict([*found.values()]) == f"The graph cannot run here: {names.SCHEMA}."


@pytest.mark.parametrize(
    ("reply", "mend"),
    [('{\n        \n        "glimtarn":   \n   ', "disable_any_whitespace"), ("", "enable_thinking")],
)
def test_a_reply_that_was_cut_off_is_mended_where_its_tokens_went(reply, mend):
    def cut(body, completion):
        completion["choices"][0]["finish_reason"] = "length"
        return completion

    with scripted_server({"odd": reply}, altered=cut) as served:
        found = look(served.base_url)
    assert found[names.SCHEMA].status is MISSING
    assert mend in found[names.SCHEMA].mend


def test_free_white_space_is_a_warning():
    pretty = json.dumps({"glimtarn": "zibblewick", "vosk_tally": [41] * 4, "pruddle": "quorvex"}, indent=8)
    with scripted_server({"odd": pretty}) as served:
        found = look(served.base_url)
    assert found[names.SCHEMA].status is OK
    assert found[names.COMPACT].status is WARN
    assert "disable_any_whitespace" in found[names.COMPACT].mend


def test_an_answer_outside_the_choices_stops_the_graph():
    with scripted_server({"chosen": {"colour": "blue"}}) as served:
        found = look(served.base_url)
    assert cannot_run(found.values()) == [names.CHOICE]
    assert "blue" in found[names.CHOICE].value


def test_log_probabilities_that_are_refused_are_a_warning_and_the_other_checks_go_on():
    with fault_server(REPLIES["no log-probabilities"].odd) as served:
        found = look(served.base_url, model="fake")
    assert found[names.LOGPROBS].status is WARN
    assert "--max-logprobs" in found[names.LOGPROBS].mend
    assert found[names.JOURNEY].status is WARN
    assert found[names.JOURNEY].value.endswith("without logprobs")
    assert not cannot_run(found.values())


def test_a_form_that_is_refused_is_asked_for_in_words_which_is_a_warning():
    with fault_server(REPLIES["no response_format"].odd) as served:
        found = look(served.base_url, model="fake")
    assert found[names.SCHEMA].status is WARN
    assert found[names.SCHEMA].value.startswith("asked for in words")
    assert found[names.COMPACT].status is SKIPPED
    assert found[names.JOURNEY].value.endswith("without response_format")
    assert not cannot_run(found.values())


def test_a_conclusion_that_is_refused_is_no_matter_of_log_probabilities():
    with scripted_server({"conclude": HttpError(400)}, altered=complete) as served:
        found = look(served.base_url)
    assert found[names.LOGPROBS].status is WARN
    assert statuses(found, names.LOGPROBS, names.LORA, names.JOURNEY) == {OK}


def test_a_conclusion_that_is_refused_stops_the_graph():
    with scripted_server({"conclude": HttpError(400)}, altered=complete) as served:
        found = look(served.base_url)
    assert cannot_run(found.values()) == [names.JOURNEY]
    assert "conclude: the model gave no reply" in found[names.JOURNEY].value


def test_fewer_alternatives_than_the_graph_asks_for_are_a_warning():
    with scripted_server(altered=lambda b, c: complete(b, c, alternatives=5)) as served:
        found = look(served.base_url)[names.LOGPROBS]
    assert found.status is WARN
    assert found.value == "5 alternatives a token; the graph asks for 20"


def test_log_probabilities_of_other_tokens_than_the_replys_are_of_no_use():
    def other(body, completion):
        complete(body, completion)
        if body.get("logprobs"):
            completion["choices"][0]["message"]["content"] = '{"justification": "other", "answer": "B" }'
        return completion

    with scripted_server(altered=other) as served:
        assert look(served.base_url)[names.LOGPROBS].status is WARN


def test_a_server_without_usage_is_a_warning_and_its_speed_an_estimate():
    def silent(body, completion):
        del completion["usage"]
        return completion

    with scripted_server(altered=silent) as served:
        found = look(served.base_url)
    assert found[names.PREFIX].status is WARN
    assert "no token usage" in found[names.PREFIX].value
    assert "estimated" in found[names.SPEED].value


def test_a_cache_that_holds_next_to_nothing_is_a_warning():
    def barely(body, completion):
        completion["usage"]["prompt_tokens_details"] = {"cached_tokens": 16}
        return completion

    with scripted_server(altered=barely) as served:
        assert look(served.base_url)[names.PREFIX].status is WARN


@pytest.mark.parametrize(
    ("status", "stands"), [(405, OK), (404, WARN), (200, WARN), (500, WARN), (401, WARN)]
)
def test_adapters_can_be_loaded_where_the_route_takes_a_post(status, stands):
    with scripted_server(pages={"/v1/load_lora_adapter": Page(status, {"detail": "x"})}) as served:
        found = look(served.base_url)[names.LORA]
    assert found.status is stands
    assert ("--lora-rank" in found.mend) == (stands is WARN)
    assert lora_found(status, "").status is stands


def test_adapters_are_named_with_what_they_adapt():
    listed = [
        {"id": "base", "max_model_len": 8_192, "parent": None},
        {"id": "tuned", "parent": "base"},
        *({"id": f"other-{n}"} for n in range(20)),
    ]
    with scripted_server(pages={"/v1/models": Page(200, {"data": listed})}) as served:
        found = look(served.base_url, model="base")
    said = found[names.MODELS].value
    assert said.startswith("base in use; also served: tuned (adapter of base), other-0")
    assert said.endswith("and 13 more")
    assert found[names.CONTEXT].value.startswith("8,192")


def test_the_adapter_in_force_is_named_with_what_it_adapts():
    served = [ServedModel("base", "vllm", 8_192), ServedModel("tuned", "vllm", 8_192, base="base")]
    assert models_found("tuned", served).value == "tuned (adapter of base) in use; also served: base"
    assert models_found("tuned", served[1:]).value == "tuned (adapter of base)"
    assert models_found("weights.gguf", []).value == "weights.gguf"


def test_a_model_that_is_not_served_skips_the_rest():
    with scripted_server() as served:
        found = look(served.base_url, model="absent")
    assert found[names.REACHABLE].status is OK
    assert found[names.MODELS].status is MISSING
    assert "scripted" in found[names.MODELS].value
    assert statuses(found, names.REACHABLE, names.MODELS) == {SKIPPED}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ({"/v1/models": Page(401, {"error": {"message": f"bad key {KEY}"}})}, KEY_VARIABLE),
        ({"/v1/models": Page(403, {"error": {"message": f"bad key {KEY}"}})}, KEY_VARIABLE),
        ({"/v1/models": Page(404, {"detail": "Not Found"})}, "/v1"),
        ({"/v1/models": Page(400, {"error": {"message": f"bad key {KEY}"}})}, "400"),
        ({"/v1/models": Page(200, "<html><body>It works!</body></html>")}, "OpenAI-compatible"),
        ({"/v1/models": Page(200, {"models": []})}, "OpenAI-compatible"),
    ],
)
def test_what_is_no_such_server_is_one_sentence_and_the_rest_is_skipped(pages, said, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with scripted_server(pages=pages) as served:
        found = look(served.base_url)
    assert found[names.REACHABLE].status is MISSING
    assert said in found[names.REACHABLE].value
    assert statuses(found, names.REACHABLE) == {SKIPPED}
    assert KEY not in repr(found)


def test_nobody_there_and_no_address():
    with scripted_server() as served:
        gone = served.base_url
    assert "no server answers" in look(gone)[names.REACHABLE].value
    assert "no address" in look("localhost:8000")[names.REACHABLE].value


def test_a_password_in_the_address_is_not_shown():
    with scripted_server(pages={"/v1/models": Page(404, {})}) as served:
        found = look(served.base_url.replace("//", f"//me:{KEY}@"))
    assert found[names.REACHABLE].status is MISSING
    assert KEY not in repr(found)


def test_a_server_that_goes_midway_ends_the_examination():
    with scripted_server({"chosen": Dropped()}) as served:
        found = look(served.base_url)
    assert found[names.SCHEMA].status is OK
    assert found[names.CHOICE].status is MISSING
    assert statuses({name: found[name] for name in (names.LOGPROBS, names.PREFIX, names.SPEED)}) == {SKIPPED}


def test_a_key_that_is_refused_midway_ends_the_examination_and_is_not_shown(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    with scripted_server({"odd": f"Your key is {KEY}", "conclude": HttpError(401)}) as served:
        found = look(served.base_url)
    assert KEY not in repr(found)
    assert "***" in found[names.SCHEMA].value
    assert cannot_run(found.values()) == [names.SCHEMA, names.LOGPROBS]
    assert KEY_VARIABLE in found[names.LOGPROBS].value
    assert found[names.PREFIX].status is SKIPPED


@pytest.mark.parametrize(
    ("node", "name", "stands"), [("odd", names.SCHEMA, MISSING), ("count", names.SPEED, WARN)]
)
def test_a_server_that_hangs_is_not_waited_for(node, name, stands):
    over = threading.Event()

    def hang(request):
        over.wait(60)
        return "{}"

    with scripted_server({node: hang}) as served:
        try:
            found = look(served.base_url, timeout_s=0.5)
        finally:
            over.set()
    assert found[name].status is stands
    assert "no reply within 0.5 s" in found[name].value
    assert (found[names.PREFIX].status is SKIPPED) == (node == "odd")


def test_pages_in_the_place_of_replies_are_a_sentence():
    with scripted_server(altered=lambda body, completion: "<html>Log in first</html>") as served:
        found = look(served.base_url)
    assert found[names.SCHEMA].status is MISSING
    assert "cannot be read" in found[names.SCHEMA].value


def test_a_window_that_holds_no_case_stops_the_graph():
    with scripted_server(max_model_len=1_024) as served:
        found = look(served.base_url)
    assert cannot_run(found.values()) == [names.CONTEXT, names.JOURNEY]


@pytest.mark.parametrize(
    ("window", "stands"),
    [(None, WARN), (1_999, MISSING), (2_000, WARN), (8_191, WARN), (8_192, OK), (131_072, OK)],
)
def test_the_window_is_held_against_what_a_case_needs(window, stands):
    found = window_found(window, NEEDS)
    assert found.status is stands
    assert bool(found.mend) == (stands is not OK)


@settings(max_examples=50)
@given(texts=st.lists(st.text(), min_size=1))
def test_white_space_is_seen_between_tokens_and_never_in_texts(texts):
    value = {"texts": texts, "more": [1, {"2": 3}]}
    assert compact(json.dumps(value))
    assert compact(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    assert not compact(json.dumps(value, indent=1))
    assert not compact(json.dumps(value, separators=(",", ":  ")))


def test_what_a_server_says_moves_no_cursor():
    found = amiss(names.SCHEMA, "a\x1b[2Jb\r\nc\x07")
    assert found.value.isprintable()


@pytest.mark.alone
def test_the_embedded_engine_has_all_but_adapters():
    found = look(None, timeout_s=120)
    assert found[names.LORA].status is WARN
    assert statuses(found, names.LORA) == {OK}, found


@pytest.mark.alone
async def test_a_real_engine_that_is_asked_without_the_grammar_writes_free_white_space():
    embedded = connect(concurrency=1)
    assert isinstance(embedded, EmbeddedChatModel)
    plain = ServedChatModel(
        model=embedded.model_name,
        base_url=embedded._engine.base_url,
        api_key=SecretStr(embedded._engine.api_key),
        use_responses_api=False,
        temperature=0,
    )
    async with aclosing(examine(plain, 120, lambda _: None, travelled)) as findings:
        found = [await anext(findings) for _ in range(2)]
    embedded.close()
    assert [each.name for each in found] == [names.SCHEMA, names.COMPACT]
    assert "disable_any_whitespace" in next(each.mend for each in found if each.status is not OK)
