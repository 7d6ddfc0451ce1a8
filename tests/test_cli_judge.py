"""`ddxgraph judge` as a user meets it: a run's folder, a judge over HTTP, exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commandline import Done, ddxgraph
from journeys import prompt_of
from scoring import entries, lines_of, make_run
from scripted_server import HttpError, Served, scripted_server

ROWS = entries(["Bacterial pneumonia"] * 3, free=True)
SAID = ["bacterial pneumonia", "Pneumonia, bacterial", "Asthma"]


def sensible(request: Any) -> Any:
    return {"reason": "so", "equivalent": "<data>Asthma</data>" not in prompt_of(request)}


@pytest.fixture
def server() -> Iterator[Served]:
    with scripted_server({"judge": sensible}) as served:
        yield served


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "run", ROWS, SAID)


@pytest.fixture
def cases(tmp_path) -> Path:
    path = tmp_path / "cases.jsonl"
    rows = ({**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in ROWS if row.gold)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def judge(run: Path, server: Served, *args: object) -> Done:
    return ddxgraph("judge", run, "--base-url", server.base_url, "--patience", 0, *args)


def test_a_run_is_judged_and_what_came_of_it_is_said(run, cases, server):
    done = judge(run, server, "--cases", cases)
    assert done.returncode == 0, done.stderr
    assert "1 correct by normalised match, 1 more equivalent to the judge, 1 not" in done.stdout
    assert "accuracy 66.7% of 3" in done.stdout
    assert "2 calls" in done.stdout
    assert [
        line["equivalent"] for line in sorted(lines_of(run / "judgements.jsonl"), key=lambda x: x["case"])
    ] == [
        True,
        False,
    ]


def test_again_asks_nothing(run, cases, server):
    judge(run, server, "--cases", cases)
    asked = len(server.model.requests)
    done = judge(run, server, "--cases", cases, "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["asked"], told["left"]) == (0, 0)
    assert (told["judged"]["judge_only"], told["judged"]["neither"], told["judged"]["calls"]) == (1, 1, 2)
    assert len(server.model.requests) == asked


def test_a_judge_that_fails_is_asked_again_later(run, cases, server):
    with scripted_server({"judge": HttpError(400)}) as broken:
        done = judge(run, broken, "--cases", cases)
    assert done.returncode == 1
    assert "the judge failed at 2 answers; the same command asks again" in done.stderr
    assert "accuracy between 33.3% and 100.0% of 3" in done.stdout
    done = judge(run, server, "--cases", cases, "--json")
    assert (done.returncode, json.loads(done.stdout)["asked"]) == (0, 2)


def test_the_matches_can_be_checked(run, cases, server):
    done = judge(run, server, "--cases", cases, "--check-matches", "--json")
    assert json.loads(done.stdout)["judged"]["both"] == 1
    assert json.loads(done.stdout)["asked"] == 3


def test_a_run_of_letters_needs_no_judge(tmp_path, server):
    rows = entries("BB")
    run = make_run(tmp_path / "letters", rows, ["B", "A"])
    cases = tmp_path / "cases.jsonl"
    cases.write_text(
        "".join(json.dumps({**row.case.model_dump(mode="json"), "answer": "B"}) + "\n" for row in rows)
    )
    done = judge(run, server, "--cases", cases, "--json")
    assert done.returncode == 0
    assert "holds no answer that a judge is needed for" in done.stderr
    assert json.loads(done.stdout) == {"asked": 0, "left": 0, "judged": None}
    assert not server.model.requests


def test_a_judge_that_gave_the_answers_itself_is_remarked_on(run, cases):
    manifest = json.loads((run / "run.json").read_text())
    manifest["provenance"]["model"] = "scripted"
    (run / "run.json").write_text(json.dumps(manifest))
    with scripted_server({"judge": sensible}) as served:
        done = judge(run, served, "--cases", cases)
    assert done.returncode == 0
    assert "models favour their own" in done.stderr


def test_what_is_missing_or_broken_is_a_sentence(run, cases, server, tmp_path):
    for args, said in (
        ((run,), "--cases FILE"),
        ((tmp_path / "nowhere", "--cases", cases), "not a run folder"),
        ((run, "--cases", tmp_path / "none.jsonl"), "no file"),
    ):
        done = judge(args[0], server, *args[1:])
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    (run / "judgements.jsonl").write_text("{}\n")
    done = judge(run, server, "--cases", cases)
    assert done.returncode == 2
    assert "line 1: not a judgement" in done.stderr
