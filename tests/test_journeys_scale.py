"""What journey-learning data cost on 10,000 traces; see `benchmarks/journey_sets.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "journey_sets.py"


@pytest.mark.alone
def test_ten_thousand_traces_are_gated_and_compiled_twice_within_a_minute_and_little_memory():
    """A tenth of 100,000 traces, and of their ten minutes; and no more memory than leaves those below 2 GB."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--traces", "10000"], stdout=subprocess.PIPE, text=True, check=True
    )
    measured = json.loads(done.stdout)
    assert measured["traces"] == 10_000
    assert measured["bytes"] > 200_000_000
    assert measured["samples"] == dict.fromkeys(("longmonolog", "longstep"), measured["accepted"])
    assert measured["accepted"] > 4_000
    assert set(measured["not_taken"]) == {"wrong_answer", "test_question", "same_course", "similar_reasoning"}
    assert measured["total_s"] < 60
    assert measured["peak_mib"] < 400
