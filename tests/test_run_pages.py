"""The page of a run of 10,000 traces: built, opened and filtered within what a reader bears with."""

import json
import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "run_pages.py"


@pytest.mark.alone
@pytest.mark.skipif(not which("chromium"), reason="no Chromium on this machine; none is downloaded")
def test_ten_thousand_traces_are_built_opened_and_filtered_in_time():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["traces"] == 10_000
    assert told["build_s"] < 60, told
    assert told["open_ms"] < 3_000, told
    assert told["filter_to_frame_ms"] < 200, told
