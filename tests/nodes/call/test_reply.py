"""The forms of all nodes: what an engine must enforce, and what a small model cannot overrun."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from ddxgraph.nodes import check_evidence, conclude, generate_differential, reflect, review_history
from ddxgraph.nodes.call.reply import response_format
from ddxgraph.nodes.settings import Limits
from ddxgraph.testing import smallest

ABC = ("A", "B", "C")
LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def forms(limits: Limits) -> dict[str, type[BaseModel]]:
    differential = generate_differential.output_model
    return {
        "history": review_history.output_model(limits),
        "differential of options": differential(ABC, 0, limits),
        "differential of options and others": differential(ABC, 2, limits),
        "differential of 26 options": differential(LETTERS, 1, limits),
        "free differential": differential((), limits.hypotheses, limits),
        "evidence": check_evidence.output_model(("F1", "F2"), limits),
        "evidence without findings": check_evidence.output_model((check_evidence.WHOLE_CASE,), limits),
        "reflection": reflect.output_model((*ABC, "H1"), limits),
        "reflection on one": reflect.output_model(("A",), limits),
        "conclusion": conclude.output_model(ABC, limits),
        "free conclusion": conclude.output_model((), limits),
    }


FORMS = {
    f"{name} ({size})": form
    for size, limits in {"default": Limits(), "brief": Limits.brief()}.items()
    for name, form in forms(limits).items()
}
SCHEMAS = {name: form.model_json_schema() for name, form in FORMS.items()}
every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)


def parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Every subschema, the schema itself included."""
    if isinstance(schema, dict):
        if "type" in schema or "enum" in schema or "const" in schema or "$ref" in schema:
            yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def of_type(schema: Any, kind: str) -> list[Mapping[str, Any]]:
    return [part for part in parts(schema) if part.get("type") == kind]


@every_schema
def test_free_thought_stands_first(schema):
    first, *_ = schema["properties"]
    assert first in {"reasoning", "critique", "justification"}
    assert schema["properties"][first]["type"] == "string"
    assert "enum" not in schema["properties"][first]


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "conclusion" in name])
def test_the_answer_stands_last(name):
    assert list(SCHEMAS[name]["properties"])[-1] == "answer"


@every_schema
def test_every_text_has_a_largest_size(schema):
    texts = [part for part in of_type(schema, "string") if "enum" not in part and "const" not in part]
    assert texts
    assert all(part.get("maxLength", 0) > 0 for part in texts), texts


@every_schema
def test_every_list_has_a_largest_size(schema):
    lists = of_type(schema, "array")
    assert all(0 < part.get("maxItems", 0) < 100 for part in lists), lists
    assert all(part.get("minItems", 0) <= part["maxItems"] for part in lists), lists


@every_schema
def test_every_number_has_a_range(schema):
    numbers = [*of_type(schema, "integer"), *of_type(schema, "number")]
    free = [n for n in numbers if "enum" not in n and not {"minimum", "maximum"} <= n.keys()]
    assert not free


@every_schema
def test_every_object_takes_its_fields_all_of_them_and_no_others(schema):
    objects = of_type(schema, "object")
    assert objects
    for part in objects:
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


@every_schema
def test_every_form_is_a_json_schema(schema):
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("name", FORMS)
def test_the_smallest_reply_fits(name):
    reply = smallest(SCHEMAS[name])
    Draft202012Validator(SCHEMAS[name]).validate(reply)
    FORMS[name].model_validate(reply)


def test_a_field_beside_the_form_is_refused_by_the_schema():
    for name, schema in SCHEMAS.items():
        reply = {**smallest(schema), "more": ""}
        assert not Draft202012Validator(schema).is_valid(reply), name


def test_brief_limits_shrink_every_text():
    def longest(limits: Limits, name: str) -> int:
        return max(t.get("maxLength", 0) for t in of_type(forms(limits)[name].model_json_schema(), "string"))

    for name in forms(Limits()):
        if "free" in name:  # a free answer is as long as it is
            continue
        assert longest(Limits.brief(), name) < longest(Limits(), name), name


def test_the_response_format_is_strict_and_carries_the_schema():
    for name, form in FORMS.items():
        wanted = response_format(form, "reflect")
        assert wanted["type"] == "json_schema"
        assert wanted["json_schema"]["strict"] is True
        schema = wanted["json_schema"]["schema"]
        assert "$ref" not in str(wanted), "some servers know no references"
        assert list(schema["properties"]) == list(SCHEMAS[name]["properties"]), "in the same order"
        for given in (smallest(schema), smallest(SCHEMAS[name]), {}, {"reasoning": 1}):
            same = [Draft202012Validator(each).is_valid(given) for each in (schema, SCHEMAS[name])]
            assert same[0] == same[1]
        assert Draft202012Validator(SCHEMAS[name]).is_valid(smallest(schema))
