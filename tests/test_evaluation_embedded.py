"""From a benchmark to a report on a real model: three strategies on the embedded engine, scored and compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from benchmarkmaker import SHARED
from commandline import Done, ddxgraph

from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.report.evaluation import Evaluation
from ddxgraph.serving.weights import pull

pytestmark = pytest.mark.alone

MEDQA_DEV = SHARED / "medqa" / "dev.jsonl"
CASES = [
    {
        "id": name,
        "vignette": f"A {age} has burning with urination and frequency for 2 days. Urinalysis shows nitrites.",
        "question": "Which of the following is the most likely diagnosis?",
        "options": {"A": "Asthma", "B": "Cystitis", "C": "Migraine"},
        "answer": "B",
    }
    for name, age in (("young", "24-year-old woman"), ("old", "71-year-old woman"))
]
STRATEGIES = ("vanilla", "cot", "graph")
SMALL = {"vanilla": (), "cot": ("--reply-tokens", 96), "graph": ("--max-backtracks", 0, "--max-calls", 4)}
"""Budgets that each strategy can just answer within."""


class Place(NamedTuple):
    """Where the runs lie."""

    path: Path
    cases: Sequence[object]
    """What `ddxgraph run` takes."""
    golds: Sequence[object]
    """What `ddxgraph eval` needs beside the folders; nothing for a benchmark."""
    env: Mapping[str, str]

    def command(self, *args: object) -> Done:
        return ddxgraph(*args, env=self.env)


def place_in(folder: Path) -> Place:
    """MedQA's own cases where its file is beside the checkout, else cases made here."""
    if not MEDQA_DEV.is_file():
        file = folder / "cases.jsonl"
        file.write_text("".join(json.dumps(case) + "\n" for case in CASES))
        return Place(folder, (file,), ("--cases", file), {})
    cache = folder / "cache"
    cache.mkdir()
    (cache / "data").symlink_to(SHARED)
    (cache / "models").symlink_to(pull().parent)
    chosen = ("medqa", "--split", "dev", "--limit", 2)
    return Place(folder, chosen, (), {CACHE_VARIABLE: str(cache)})


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    made = place_in(tmp_path_factory.mktemp("strategies"))
    for name in STRATEGIES:
        done = made.command(
            *("run", *made.cases, "--out", made.path / name, "--strategy", name),
            *(*SMALL[name], "--concurrency", 2, "--quiet"),
        )
        assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_case_has_a_trace_of_its_strategy(place, name):
    traces = list(read_traces(place.path / name / "traces.jsonl"))
    assert len({trace.case.id for trace in traces}) == len(traces) == 2
    for trace in traces:
        assert trace.strategy.name == name
        assert {step.node == "generate" for step in trace.steps} == {name != "graph"}
        # What a small model writes freely may state no answer; what the engine enforces is one.
        assert trace.outcome in ({"answered", "unparsed"} if name == "cot" else {"answered"})
        if trace.outcome == "answered":
            assert sum(trace.distribution.values()) == pytest.approx(1)
            assert trace.distribution_from == "logprobs"


@pytest.fixture(scope="module")
def found(place) -> Evaluation:
    runs = [place.path / name for name in STRATEGIES]
    told = place.command("eval", *runs, *place.golds, "--report", place.path / "report", "--json")
    assert told.returncode == 0, told.stderr
    return Evaluation.model_validate_json(told.stdout)


def test_the_report_compares_them(place, found):
    assert [run.strategy for run in found.runs] == list(STRATEGIES)
    assert len(found.comparisons.made) == 3
    cost = [run.cost.output_tokens.mean for run in found.runs]
    assert cost[0] < cost[2]
    assert (place.path / "report" / "report.html").stat().st_size < 2_000_000


@pytest.mark.skipif(not MEDQA_DEV.is_file(), reason="MedQA's dev file is not beside the checkout")
def test_a_benchmarks_runs_are_evaluated_without_a_case_file(place, found):
    assert place.golds == ()
    assert {run.items for run in found.runs} == {"MedQA dev, 2 of 1,272"}
    assert {run.size for run in found.runs} == {2}
    (gains,) = found.gains
    assert (gains.own[0].parameters, gains.own[0].n) == (0.135, 2)
    drawn = {path.name.split("-")[0] for path in (place.path / "report" / "plots").glob("*.svg")}
    assert {"accuracy.svg", "models", "gains", "scaling", "differences.svg"} <= drawn
