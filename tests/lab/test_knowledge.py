import json
import re
from pathlib import Path

import pytest
from laboratory import FINDINGS, made_up, made_up_files

from ddxgraph.lab.knowledge import CONDITIONS_FILE, KnowledgeError, knowledge_of, phrases, read_knowledge

DDXPLUS = Path(__file__).parents[3] / "shared" / "data" / "ddxplus"
needs_ddxplus = pytest.mark.skipif(not DDXPLUS.is_dir(), reason="DDXPlus is not beside the checkout")


def test_names_can_be_listed_and_told_apart():
    names = list(phrases().values())
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z -]+", name), name
        assert not {"and", "or", "no", "not"} & set(name.split()), name


def test_findings_without_a_name_are_left_out():
    told = {finding for one in knowledge_of(*made_up_files()).conditions for finding in one.findings}
    assert told == {f"finding {number}" for number in range(FINDINGS)}


def test_a_condition_with_too_few_findings_is_left_out():
    conditions, names = made_up_files()
    conditions["Condition 3"]["symptoms"] = {"E_1": {}, "E_2": {}, "E_3": {}}
    found = {one.name for one in knowledge_of(conditions, names).conditions}
    assert found == {f"Condition {number}" for number in range(20)} - {"Condition 3"}


def test_the_hash_follows_what_the_cases_follow_from():
    conditions, names = made_up_files()
    assert knowledge_of(dict(reversed(conditions.items())), names) == made_up()
    assert knowledge_of(conditions, {**names, "E_1": "other"}).sha256 != made_up().sha256


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": 1}', b'{"a": {"symptoms": {}}}', b"\xff"])
def test_another_file_is_refused(content):
    with pytest.raises(KnowledgeError, match=r"no release_conditions\.json of DDXPlus"):
        read_knowledge(content)


@needs_ddxplus
def test_the_release_gives_46_conditions_and_every_name_is_of_a_yes_or_no_symptom():
    content = (DDXPLUS / CONDITIONS_FILE).read_bytes()
    assert len(read_knowledge(content).conditions) == 46
    evidences = json.loads((DDXPLUS / "release_evidences.json").read_text(encoding="utf-8"))
    symptoms = {code for entry in json.loads(content).values() for code in entry["symptoms"]}
    assert set(phrases()) <= {code for code in symptoms if evidences[code]["data_type"] == "B"}
