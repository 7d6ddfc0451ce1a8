"""What scoring and reporting cost on 50,000 traces; see `benchmarks/evaluation.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "evaluation.py"


@pytest.mark.alone
def test_fifty_thousand_traces_are_scored_and_reported_within_a_minute_and_a_gigabyte():
    done = subprocess.run([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, text=True, check=True)
    measured = json.loads(done.stdout)
    assert measured["traces"] == 50_000
    assert measured["total_s"] < 60
    assert measured["peak_mib"] < 1_000
