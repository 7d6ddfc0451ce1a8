"""`ddxgraph runs verify`: what it finds, what it prints, how it ends."""

import json
import shutil
from pathlib import Path

import pytest
from commandline import ddxgraph
from scoring import entries, make_run

ROWS = entries(["A", "B", "C"])


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "runs" / "pilot", ROWS, ["A", "B", "D"])


def changed(run: Path, old: str, new: str) -> Path:
    path = run / "traces.jsonl"
    path.write_text(path.read_text().replace(old, new, 1))
    return path


def test_a_run_that_is_whole(run):
    done = ddxgraph("runs", "verify", run, env={"COLUMNS": "300"})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{run}/traces.jsonl: whole, 3 lines" in done.stdout
    assert f"{run}/run.json: whole" in done.stdout


def test_a_changed_value_is_named_by_file_and_line(run):
    path = changed(run, '"answer":"B"', '"answer":"C"')
    done = ddxgraph("runs", "verify", run.parent, env={"COLUMNS": "300"})
    assert done.returncode == 1
    assert f"{path}: NOT WHOLE, 3 lines" in done.stdout
    assert f"  {path}, line 2: it has changed since it was saved" in done.stdout
    assert "1 fault in 1 of 3 files: restore these" in done.stderr
    told = json.loads(ddxgraph("runs", "verify", run, "--json").stdout)
    assert [check["path"] for check in told if not check["whole"]] == [str(path)]


def test_no_command_takes_a_changed_value_for_what_was_saved(run, tmp_path):
    path, gold = changed(run, '"answer":"B"', '"answer":"C"'), tmp_path / "cases.jsonl"
    rows = ({**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in ROWS if row.gold)
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in (("eval", run, "--cases", gold), ("view", run, "--out", tmp_path / "page.html")):
        done = ddxgraph(*command)
        assert done.returncode == 2
        assert f"{path.name}, line 2: it has changed since it was saved" in " ".join(done.stderr.split())


def test_several_places_at_once_and_what_is_no_run(run, tmp_path):
    shutil.copytree(run, tmp_path / "more" / "copy")
    done = ddxgraph("runs", "verify", run, tmp_path / "more", "--json")
    assert len(json.loads(done.stdout)) == 6
    done = ddxgraph("runs", "verify", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no file or folder" in done.stderr
