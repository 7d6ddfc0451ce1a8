"""Full disks, folders that cannot be written and corrupt lines, really provoked; see `benchmarks/faults.py`."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "faults.py"
FAULTS = {
    "disk_full_midway": "traces.jsonl: (No space left on device|File too large); [1-9]",
    "disk_full_at_the_manifest": "run.json: (No space left on device|File too large)",
    "read_only_folder": "cannot write in .*run: Permission denied",
    "read_only_parent": "cannot write in .*run: Permission denied",
    "read_only_file_system": "cannot write in .*run: Read-only file system",
    "corrupt_line": "traces.jsonl, line 2: it has changed since it was saved",
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reports() -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True, timeout=600)
    return json.loads(done.stdout) | {"exit_code": done.returncode}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_one_sentence_and_costs_nothing_that_was_there(fault, reports):
    report = reports[fault]
    if "not_provoked" in report:
        pytest.skip(report["not_provoked"])
    assert report["exit_code"] in {1, 2}
    assert report["error"].startswith("ddxgraph: ")
    assert re.search(FAULTS[fault], report["error"])
    assert not report["traceback"]
    assert report["unchanged"]


def test_a_run_on_a_full_disk_keeps_what_it_saved_and_ends_once_there_is_room(reports):
    report = reports["disk_full_midway"]
    assert 0 < report["saved"] < reports["cases"]
    assert report["whole_lines"]
    assert report["exit_code_while_full_still"] == report["exit_code"]
    assert "the same command goes on" in report["error"]
    assert report["finished_by_the_same_command"]


def test_a_run_that_could_not_be_begun_is_begun_once_there_is_room(reports):
    assert reports["disk_full_at_the_manifest"]["finished_by_the_same_command"]


def test_the_script_ends_well_as_all_was_borne(reports):
    assert reports["exit_code"] == 0
