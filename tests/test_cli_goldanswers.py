"""Gold answers for pages: from a case file, from the run's benchmark, or from nowhere, and why."""

import json
from pathlib import Path

import pytest
from benchmarkmaker import as_lines, medqa_row, mini
from scoredruns import selection
from scoring import alter_manifest
from viewed import many, write_cases, write_run

from ddxgraph import Case
from ddxgraph.cli.cases import gold_answers
from ddxgraph.common.errors import CaseFileError, ScoreError
from ddxgraph.eval.benchmarks.items import items_of
from ddxgraph.view.data.row import Judged

CASE = Case(id="c", vignette="A man coughs.", question="Why?", options={"A": "Influenza", "B": "Pneumonia"})


def record(case: Case = CASE, answer: str | None = "B", outcome: str = "answered") -> dict:
    return {"case": case.model_dump(mode="json"), "answer": answer, "outcome": outcome}


def judge(folder: Path, *lines: dict):
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return gold_answers(folder, path).judge


def line(case: Case = CASE, **fields) -> dict:
    return {**case.model_dump(mode="json"), "answer": "B", **fields}


@pytest.mark.parametrize(
    ("answer", "outcome", "verdict"),
    [
        ("B", "answered", "correct"),
        ("A", "answered", "incorrect"),
        ("b", "answered", "unparsed"),
        ("Pneumonia", "answered", "unparsed"),
        (None, "abstained", "abstained"),
        (None, "unparsed", "unparsed"),
        (None, "error", "error"),
        ("B", "error", "error"),
    ],
)
def test_a_trace_is_judged_by_the_strict_rule(tmp_path, answer, outcome, verdict):
    assert judge(tmp_path, line())(record(answer=answer, outcome=outcome)) == Judged("B", verdict)


def test_a_verdict_is_a_plain_word(tmp_path):
    found = judge(tmp_path, line())(record())
    assert type(found.verdict) is str


def test_an_answer_in_words_is_judged_by_its_words(tmp_path):
    free = CASE.model_copy(update={"options": {}})
    judged = judge(tmp_path, line(free, answer="Legionnaires' disease"))
    assert judged(record(free, "legionnaires disease")).verdict == "correct"
    assert judged(record(free, "asthma")).verdict == "incorrect"


@pytest.mark.parametrize(
    "changes",
    [
        {"vignette": "A woman coughs."},
        {"question": "Why not?"},
        {"options": {"A": "Pneumonia", "B": "Influenza"}},
        {"options": {}},
        {"id": "d"},
    ],
    ids=["vignette", "question", "shuffled", "free", "id"],
)
def test_a_trace_of_other_content_is_not_judged(tmp_path, changes):
    other = CASE.model_copy(update=changes)
    assert judge(tmp_path, line())(record(other)) is None


def test_where_a_case_comes_from_does_not_matter(tmp_path):
    told = CASE.model_copy(update={"source": "medqa", "split": "dev"})
    assert judge(tmp_path, line())(record(told)) == Judged("B", "correct")


def test_a_case_without_an_answer_is_not_judged(tmp_path):
    assert judge(tmp_path, line(answer=None))(record()) is None


def test_a_record_without_its_case_is_not_judged(tmp_path):
    assert judge(tmp_path, line())({"case": {"id": "c"}, "answer": "B", "outcome": "answered"}) is None


def test_a_case_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(CaseFileError, match="no file"):
        gold_answers(tmp_path, tmp_path / "nowhere.jsonl")
    (tmp_path / "bad.jsonl").write_text("no json\n")
    with pytest.raises(CaseFileError, match=r"bad\.jsonl: broken JSON"):
        gold_answers(tmp_path, tmp_path / "bad.jsonl")


def test_a_trace_file_and_a_run_of_a_case_file_ask_for_the_file(tmp_path):
    run = write_run(tmp_path / "run", many(1))
    for source in (run, run / "traces.jsonl"):
        found = gold_answers(source, None)
        assert found.unknown == "give the case file that holds them: --cases FILE"
        assert found.judge(record()) is None
    assert gold_answers(run, write_cases(tmp_path / "c.jsonl", many(1))).unknown == ""


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(ScoreError):
        gold_answers(tmp_path, None)


def test_a_benchmark_that_is_not_there_is_no_error_and_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    run = write_run(tmp_path / "run", many(1))
    alter_manifest(run, selection=selection())
    found = gold_answers(run, None)
    assert "medqa" in found.unknown
    assert found.judge(record()) is None


def test_a_benchmark_that_is_there_judges_its_runs(tmp_path, monkeypatch):
    rows = [medqa_row(number) for number in range(4)]
    bench = mini(tmp_path / "digests", rows)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "test.jsonl").write_bytes(as_lines(rows))
    monkeypatch.setattr(
        "ddxgraph.eval.benchmarks.items.load", lambda wanted: items_of(bench, wanted, tmp_path)
    )
    run = write_run(tmp_path / "run", many(1))
    for number, shuffle in ((2, None), (3, 7)):
        chosen = selection("mini", "test", shuffle=shuffle, limit=None)
        alter_manifest(run, selection=chosen)
        found = gold_answers(run, None)
        assert found.unknown == ""
        entry = list(items_of(bench, chosen, tmp_path))[number]
        gold = entry.gold.answer
        assert found.judge(record(entry.case, gold)) == Judged(gold, "correct")
        wrong = next(letter for letter in entry.case.options if letter != gold)
        assert found.judge(record(entry.case, wrong)) == Judged(gold, "incorrect")
