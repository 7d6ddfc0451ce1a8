"""What Inspect's agent bridge would drop of a call, and how it is put back."""

import pytest
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.util import JSONSchema

from ddxgraph.eval.inspect.bridge import (
    WHOLE_SCHEMAS,
    InspectSampling,
    _Asked,
    completed,
    sampling_of,
    written_out,
)
from ddxgraph.nodes.call.reply import form, list_of, one_of, response_format, text

ITEM = form("Item", label=text(20, least=1))
FORM = response_format(
    form("Whole", items=list_of(ITEM, 3, least=1), only=one_of(["A"]), word=text(5)), "whole"
)
CALL = GenerateConfig(temperature=0.5, seed=7, logprobs=True, top_logprobs=20, max_tokens=100)


def schema_of(told):
    return told["json_schema"]["schema"]


def test_a_form_is_written_out_so_that_inspects_schema_type_holds_it():
    told = schema_of(written_out(FORM))
    assert "$defs" not in told
    assert told["properties"]["items"]["items"]["properties"]["label"]["maxLength"] == 20
    assert told["properties"]["only"]["enum"] == ["A"]
    held = JSONSchema.model_validate(told)
    assert held.properties["items"].items.properties["label"].minLength == 1
    assert held.properties["only"].enum == ["A"]


def test_a_form_is_left_as_it_was():
    before = str(FORM)
    written_out(FORM, without=("minItems", "maxItems"))
    assert str(FORM) == before


def test_keywords_are_left_out_where_that_is_asked_for():
    items = schema_of(written_out(FORM, without=("minItems", "maxItems")))["properties"]["items"]
    assert not {"minItems", "maxItems"} & items.keys()
    assert items["items"]["required"] == ["label"]


def test_a_field_may_be_called_as_a_keyword_is():
    told = schema_of(
        written_out(response_format(form("Odd", minItems=text(5), word=text(5)), "odd"), without=["minItems"])
    )
    assert told["properties"].keys() == {"minItems", "word"}


@pytest.mark.parametrize("provider", sorted(WHOLE_SCHEMAS))
def test_the_whole_form_goes_where_it_is_enforced(provider):
    told = completed(CALL, provider, _Asked(FORM), logprobs=True)
    assert told.extra_body == {"response_format": FORM}


@pytest.mark.parametrize("provider", ["anthropic", "google", "openai"])
def test_other_providers_get_what_inspect_makes_of_a_form(provider):
    assert completed(CALL, provider, _Asked(FORM), logprobs=True).extra_body is None


def test_the_users_own_body_wins():
    own = CALL.model_copy(update={"extra_body": {"response_format": "own", "guided": 1}})
    told = completed(own, "vllm", _Asked(FORM), logprobs=True)
    assert told.extra_body == {"response_format": "own", "guided": 1}


def test_a_sample_keeps_its_own_seed():
    assert completed(CALL, "vllm", _Asked(seed=9), logprobs=True).seed == 9
    assert completed(CALL, "vllm", _Asked(), logprobs=True).seed == 7


@pytest.mark.parametrize(
    ("config", "wanted"), [(CALL, False), (CALL.model_copy(update={"logprobs": False}), True)]
)
def test_log_probabilities_can_be_declined(config, wanted):
    told = completed(config, "vllm", _Asked(), wanted)
    assert (told.logprobs, told.top_logprobs) == (None, None)


def test_settings_that_shape_a_reply_are_told_and_no_others():
    config = GenerateConfig(
        temperature=0.3,
        seed=4,
        reasoning_effort="high",
        stop_seqs=["END"],
        max_connections=3,
        extra_headers={"Authorization": "Bearer secret"},
    )
    told = sampling_of(get_model("mockllm/model", config=config))
    assert told.as_kwargs() == {
        "temperature": 0.3,
        "seed": 4,
        "reasoning_effort": "high",
        "stop_seqs": ["END"],
    }


def test_the_k_th_sample_has_a_seed_of_its_own_and_the_same_settings():
    sampling = InspectSampling(seed=4, reasoning_effort="high")
    assert sampling.for_sample(2).as_kwargs() == {"seed": 6, "reasoning_effort": "high"}
