"""`ddxgraph eval` as a user meets it: run folders made by real walks, two streams, exit codes."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from commandline import Done, ddxgraph
from langchain_core.exceptions import ModelConnectionError
from scoring import entries, make_run

from ddxgraph.common.extras import install
from ddxgraph.eval.report.evaluation import Evaluation

GOLDS = "BBBBBBAA"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two complete runs, one with an error in it, and their case file."""
    folder = tmp_path_factory.mktemp("eval")
    rows = entries(GOLDS)
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in rows if row.gold]
    (folder / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    make_run(folder / "always-b", rows, ["B"] * 8)
    make_run(folder / "mixed", rows, ["B", "A", "", "B", "A", "A", "A", "A"])
    make_run(folder / "torn", rows, ["B"] * 7 + [ModelConnectionError("refused")])
    return folder


def evaluated(place: Path, *args: Any) -> Done:
    args = tuple(place / arg if (place / str(arg)).exists() else arg for arg in args)
    return ddxgraph("eval", *args, "--cases", place / "cases.jsonl", env={"COLUMNS": "200"})


def test_a_table_and_the_tests_are_printed(place):
    done = evaluated(place, "always-b", "mixed")
    assert done.returncode == 0
    assert "always-b 75.0% correct" in done.stdout
    assert "mixed less always-b: −25.0 points" in done.stdout
    assert "exact McNemar" in done.stdout
    assert "not a medical device" in done.stdout
    assert done.stderr == ""


def test_json_alone_is_on_stdout(place):
    done = evaluated(place, "always-b", "mixed", "--json")
    found = Evaluation.model_validate_json(done.stdout)
    assert done.returncode == 0
    assert [(run.name, run.correct, run.unparsed) for run in found.runs] == [
        ("always-b", 6, 0),
        ("mixed", 4, 1),
    ]
    assert found.baseline is None
    assert evaluated(place, "always-b", "mixed", "--json").stdout == done.stdout


def test_a_report_is_written(place, tmp_path):
    done = evaluated(place, "always-b", "mixed", "--report", tmp_path / "report")
    assert done.returncode == 0
    assert f"{tmp_path}/report/report.html" in done.stderr.replace("\n", "")
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "not a medical device" in page
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "report.html",
        "report.md",
        "evaluation.json",
        "plots",
    }


def test_on_a_terminal_bars_go_through_scoring_computing_and_drawing(place, tmp_path):
    here, there = pty.openpty()
    command = ["eval", "always-b", "mixed", "--cases", "cases.jsonl", "--report", str(tmp_path / "report")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ddxgraph", *command],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=there,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(there)
    seen = b""
    with suppress(OSError):  # that is how a terminal ends whose other side is closed
        while part := os.read(here, 65536):
            seen += part
    os.close(here)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    for what in ("always-b", "mixed", "computing", "drawing"):
        assert re.search(rf"{what} [━╸╺ ]+\s*\d+%", shown), what
    parts = {int(share) for share in re.findall(r"drawing [━╸╺ ]+\s*(\d+)%", shown)}
    assert len(parts) > 1, "the bar moves from plot to plot"
    assert b"always-b 75.0% correct" in printed


def test_an_incomplete_result_is_said_loudly_and_not_exit_code_0(place, tmp_path):
    done = evaluated(place, "torn", "--report", tmp_path / "report")
    assert done.returncode == 1
    assert "INCOMPLETE: torn" in done.stderr
    assert "75.0 to 87.5% (incomplete)" in done.stdout
    assert (tmp_path / "report" / "report.html").exists()
    told = evaluated(place, "torn", "--json")
    assert told.returncode == 1
    assert Evaluation.model_validate_json(told.stdout).runs[0].accuracy.bounds == (0.75, 0.875)


def test_a_baseline_need_not_be_named_twice(place):
    for runs in (["mixed"], ["mixed", "always-b"], ["mixed", "mixed", "always-b"]):
        done = evaluated(place, *runs, "--baseline", place / "always-b", "--json")
        found = Evaluation.model_validate_json(done.stdout)
        assert found.baseline == "always-b"
        assert [(one.a, one.b) for one in found.comparisons.made] == [("always-b", "mixed")]
        assert len(found.runs) == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "not a run folder"),
        (["cases.jsonl"], "not a run folder"),
        (["always-b", "--report", "mixed"], "holds other files"),
        (["always-b", "--report", "cases.jsonl"], "is a file"),
    ],
)
def test_bad_input_is_one_sentence(place, args, said):
    done = evaluated(place, *args)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_a_run_of_a_case_file_needs_the_file(place):
    done = ddxgraph("eval", place / "always-b")
    assert done.returncode == 2
    assert "--cases" in done.stderr


def test_without_the_extra_it_says_what_to_install(place):
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['numpy', 'scipy', 'matplotlib']))\n"  # as if they were not there
        "from ddxgraph.cli import main\n"
        f"sys.argv = ['ddxgraph', 'eval', {str(place / 'always-b')!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert install("eval") in done.stderr
    assert "Traceback" not in done.stderr
