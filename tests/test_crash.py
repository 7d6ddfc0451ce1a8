"""A run whose process is killed again and again, at random moments, ends with the traces of an unbroken one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "crash.py"
KILLS = 21


@pytest.mark.slow
def test_a_run_killed_21_times_ends_with_the_traces_of_an_uninterrupted_one():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--cases", "120", "--kills", str(KILLS), "--seed", "3"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.stdout, done.stderr[-2_000:]
    measured = json.loads(done.stdout)
    wrong = ("lost", "unknown", "twice", "torn_at_the_end", "different")
    assert {name: measured[name] for name in wrong} == dict.fromkeys(wrong, 0)
    assert measured["held"]
    assert done.returncode == 0
    assert measured["kills"] == sum(measured["kills_fell"].values()) == KILLS
    assert set(measured["kills_fell"]) == {"before the lock", "taking stock", "working"}
    assert measured["said_to_be_mended"] >= measured["torn_by_hand"] > 0
    assert measured["errors_recorded"] > 0
    assert measured["traversals_done_again"] > measured["of_these_because_the_engine_failed"]
