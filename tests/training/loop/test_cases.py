"""The cases of a loop: all with a gold answer, and none for both purposes."""

import json

import pytest
from gated import case, entry
from loops import TRAIN, VALIDATION, write_cases, write_loop

from ddxgraph.common.errors import CaseFileError, LoopError
from ddxgraph.training.loop.cases import LoopCases, cases_of, check_apart
from ddxgraph.training.loop.config import read_loop


def cases(tmp_path, **settings):
    file = read_loop(write_loop(tmp_path))
    return cases_of(file.config.generate.model_copy(update=settings), file)


def together(*rows) -> LoopCases:
    return LoopCases(tuple(rows), None)


def test_a_case_file_lies_beside_the_configuration(tmp_path):
    found = cases(tmp_path)
    assert [one.id for one in found] == [row.case.id for row in TRAIN]
    assert found.golds == {row.case.id: row.gold.answer for row in TRAIN}
    assert found.selection is None


def test_a_limit_draws_a_sample(tmp_path):
    assert len(cases(tmp_path, limit=2).entries) == 2


def test_the_digest_tells_cases_and_gold_answers(tmp_path):
    plain = cases(tmp_path).digest
    assert plain == cases(tmp_path).digest
    assert plain != cases(tmp_path, limit=2).digest
    assert together(entry(case(1), "A")).digest != together(entry(case(1), "B")).digest


def test_a_case_without_a_gold_answer_is_named(tmp_path):
    path = write_loop(tmp_path)
    (tmp_path / "train.jsonl").write_text(json.dumps({"id": "bare", "vignette": "Fever."}) + "\n")
    file = read_loop(path)
    with pytest.raises(LoopError, match=r"the case 'bare' in train\.jsonl has no gold answer"):
        cases_of(file.config.generate, file)


def test_a_split_is_for_benchmarks(tmp_path):
    with pytest.raises(LoopError, match="split is only for a benchmark"):
        cases(tmp_path, split="train")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CaseFileError, match="no file"):
        cases(tmp_path, cases="missing.jsonl")


def test_cases_for_different_purposes_are_apart():
    check_apart(together(*TRAIN), together(*VALIDATION))


def test_a_case_for_both_is_refused_by_its_id():
    with pytest.raises(LoopError, match=r"\[evaluate\] and \[generate\] share the cases 'case-0', 'case-1'"):
        check_apart(together(*TRAIN), together(*VALIDATION, *TRAIN[:2]))


def test_a_question_for_both_is_refused_whatever_its_id_and_options():
    same = case(0, id="other", options={"A": "something", "B": "else"})
    with pytest.raises(LoopError, match="other asks what case-0 asks"):
        check_apart(together(*TRAIN), together(entry(same)))


def test_many_shared_cases_are_counted(tmp_path):
    rows = [entry(case(number)) for number in range(6)]
    with pytest.raises(LoopError, match="'case-2' and 3 more"):
        check_apart(together(*rows), together(*rows))
    assert write_cases(tmp_path / "x.jsonl", rows).read_text().count("\n") == 6
