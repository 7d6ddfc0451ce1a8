"""The quick laboratory experiment for real: a teacher's journeys, two students, vLLM on their merged weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ddxgraph.common.files import cache_folder
from ddxgraph.eval.benchmarks.rawfile import DATA
from ddxgraph.eval.benchmarks.registry import find
from ddxgraph.eval.benchmarks.store import fetch
from ddxgraph.experiment.config import shipped

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("DDXGRAPH_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
DDXPLUS = ROOT.parent / "shared" / "data" / "ddxplus"

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not PYTHON.exists(), reason="no environment with vLLM; `make vllm` makes one"),
    pytest.mark.skipif(not DDXPLUS.is_dir(), reason="DDXPlus is not beside the checkout"),
]


def command(path: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0-1"}
    arguments = [sys.executable, "-m", "ddxgraph", "experiment", str(path), "--json"]
    return subprocess.run(arguments, env=env, capture_output=True, text=True, check=False)


def test_the_quick_experiment_shows_the_machinery_and_the_direction(tmp_path):
    fetch(find("ddxplus"), source=DDXPLUS, folder=cache_folder() / DATA)
    path = tmp_path / "lab.toml"
    path.write_text(shipped("quick").replace("merge = true", f'merge = true\npython = "{PYTHON}"'))
    done = command(path)
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(done.stdout)
    arms = {arm["name"]: arm for arm in summary["arms"]}
    journeys, shortcut = arms["longstep"], arms["shortcut"]
    assert journeys["training"]["samples"] == shortcut["training"]["samples"] == 100
    assert journeys["training"]["backtracking"] > 0
    for arm in (journeys, shortcut):
        assert json.loads((tmp_path / "lab" / "seed-0" / arm["name"] / "liveness.json").read_text())["live"]
        assert arm["levels"][0]["unparsed"] <= 5
    assert journeys["accuracy"]["count"] > shortcut["accuracy"]["count"]
    assert journeys["levels"][0]["output_tokens"] > 1.5 * shortcut["levels"][0]["output_tokens"]

    again = command(path)
    assert json.loads(again.stdout) == summary
    assert "step 0 of" not in again.stderr, "nothing is trained again"
