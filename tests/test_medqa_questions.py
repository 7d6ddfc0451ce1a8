"""Real questions on the real embedded model, through the script that a user would run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddxgraph.graph.tracefile import read_traces

ROOT = Path(__file__).parents[1]
MEDQA_DEV = ROOT.parent / "shared" / "data" / "medqa" / "dev.jsonl"


@pytest.mark.slow
@pytest.mark.skipif(not MEDQA_DEV.is_file(), reason="MedQA's dev file is not beside the checkout")
def test_the_first_20_medqa_questions_all_end_with_a_letter_and_a_whole_trace(tmp_path):
    traces = tmp_path / "traces.jsonl"
    script = ROOT / "benchmarks" / "solve_questions.py"
    done = subprocess.run(
        [sys.executable, str(script), str(MEDQA_DEV), "--max-backtracks", "1", "--out", str(traces)],
        stdout=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k not in {"DDXGRAPH_BASE_URL", "DDXGRAPH_MODEL"}},
    )
    report = json.loads(done.stdout)
    assert len(report["rows"]) == 20
    assert report["all_whole"], [row for row in report["rows"] if not row["whole"]]
    assert done.returncode == 0
    assert report["cached_share"] >= 0.80
    for trace in read_traces(traces):
        assert trace.ended in {"concluded", "budget_backtracks"}
        assert trace.usage.cache_share is not None
        assert trace.usage.cache_share >= 0.80, trace.case.id
        assert trace.distribution_from == "logprobs"
        assert len(trace.trajectory()) == len(trace.steps)
