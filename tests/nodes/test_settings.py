import json

import pytest
from pydantic import ValidationError

from ddxgraph.nodes import check_evidence, conclude, generate_differential, reflect, review_history
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits

CHARS_PER_TOKEN = 3
"""JSON in English, at least."""


@pytest.mark.parametrize("field", Limits.model_fields)
def test_a_limit_that_leaves_no_room_is_refused(field):
    with pytest.raises(ValidationError, match=field):
        Limits.model_validate({field: -1})


def test_an_unknown_limit_is_refused():
    with pytest.raises(ValidationError, match="reasoning_tokens"):
        Limits.model_validate({"reasoning_tokens": 100})


def largest(schema, defs):
    """The longest reply that fits, as a value."""
    match schema:
        case {"$ref": reference}:
            found = largest(defs[reference.rsplit("/", 1)[1]], defs)
        case {"const": only}:
            found = only
        case {"enum": choices}:
            found = max(choices, key=lambda choice: len(str(choice)))
        case {"type": "object", "properties": fields}:
            found = {key: largest(value, defs) for key, value in fields.items()}
        case {"type": "array"}:
            found = [largest(schema["items"], defs)] * schema["maxItems"]
        case {"type": "integer"}:
            found = schema["maximum"]
        case _:
            found = "x" * schema["maxLength"]
    return found


@pytest.mark.parametrize("limits", [Limits(), Limits.brief(), Limits(others=0), Limits(hypotheses=12)])
@pytest.mark.parametrize("letters", ["", "AB", "ABCDE", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
def test_the_longest_reply_that_fits_its_form_fits_its_room(limits, letters):
    case = Case(vignette="Fever.", options={letter: f"Option {letter}" for letter in letters})
    findings = tuple(f"F{n}" for n in range(1, limits.findings + 1))
    others = max(limits.others, 1) if letters else limits.hypotheses
    active = (*case.letters, *(f"H{n}" for n in range(1, others + 1)))
    needs = [
        (review_history.output_model(limits), review_history.room(limits)),
        (
            generate_differential.output_model(case.letters, others, limits),
            generate_differential.room(case, limits),
        ),
        (check_evidence.output_model(findings, limits), check_evidence.room(len(findings), limits)),
        (reflect.output_model(active, limits), reflect.room(limits)),
        (conclude.output_model(case.letters, limits), conclude.room(limits)),
    ]
    for form, room in needs:
        schema = form.model_json_schema()
        reply = json.dumps(largest(schema, schema.get("$defs", {})))
        assert len(reply) / CHARS_PER_TOKEN <= room, form.__name__
