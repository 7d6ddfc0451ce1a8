import json
import re
from pathlib import Path

import pytest
from laboratory import FINDINGS, made_up, made_up_files

from ddxgraph.lab import knowledge
from ddxgraph.lab.knowledge import KnowledgeError, knowledge_of, phrases, read_knowledge

DDXPLUS = Path(__file__).parents[3] / "shared" / "data" / "ddxplus"
needs_ddxplus = pytest.mark.skipif(not DDXPLUS.is_dir(), reason="DDXPlus is not beside the checkout")


def test_names_can_be_listed_and_told_apart():
    names = list(phrases().values())
    assert len(set(names)) == len(names)
    for name in names:
        assert re.fullmatch(r"[a-z][a-z -]+", name), name
        assert not {"and", "or", "no", "not"} & set(name.split()), name


def test_findings_without_a_name_and_those_that_are_not_yes_or_no_are_left_out():
    conditions, evidences, names = made_up_files()
    evidences["E_0"] = {"data_type": "M"}
    told = {
        finding for one in knowledge_of(conditions, evidences, names).conditions for finding in one.findings
    }
    assert told == {f"finding {number}" for number in range(1, FINDINGS)}


def test_a_condition_with_too_few_findings_is_left_out():
    conditions, evidences, names = made_up_files()
    conditions["Condition 3"]["symptoms"] = {"E_1": {}, "E_2": {}, "E_3": {}}
    found = {one.name for one in knowledge_of(conditions, evidences, names).conditions}
    assert found == {f"Condition {number}" for number in range(20)} - {"Condition 3"}


def test_the_hash_follows_what_the_cases_follow_from():
    conditions, evidences, names = made_up_files()
    assert knowledge_of(dict(reversed(conditions.items())), evidences, names) == made_up()
    assert knowledge_of(conditions, evidences, {**names, "E_1": "other"}).sha256 != made_up().sha256


def test_missing_and_changed_files_are_refused_by_name(tmp_path):
    with pytest.raises(KnowledgeError, match=r"release_conditions\.json: No such file"):
        read_knowledge(tmp_path)
    conditions, _, _ = made_up_files()
    (tmp_path / "release_conditions.json").write_text(json.dumps(conditions))
    with pytest.raises(KnowledgeError, match=r"release_conditions\.json is not the file of DDXPlus"):
        read_knowledge(tmp_path)


@needs_ddxplus
def test_the_release_gives_46_conditions_and_every_name_is_of_a_yes_or_no_symptom():
    known = read_knowledge(DDXPLUS)
    assert len(known.conditions) == 46
    evidences = json.loads((DDXPLUS / knowledge.EVIDENCES_FILE).read_text(encoding="utf-8"))
    conditions = json.loads((DDXPLUS / knowledge.CONDITIONS_FILE).read_text(encoding="utf-8"))
    symptoms = {code for entry in conditions.values() for code in entry["symptoms"]}
    assert set(phrases()) <= {code for code in symptoms if evidences[code]["data_type"] == "B"}
