"""From cases to a report on a real model: three strategies on the embedded engine, scored and compared."""

import json
from pathlib import Path

import pytest
from commandline import ddxgraph

from ddxgraph.eval.evaluation import Evaluation
from ddxgraph.graph.tracefile import read_traces

pytestmark = pytest.mark.alone

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


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("strategies")
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in CASES))
    for name in STRATEGIES:
        done = ddxgraph(
            *("run", folder / "cases.jsonl", "--out", folder / name, "--strategy", name),
            *("--concurrency", 2, "--max-backtracks", 0, "--quiet"),
        )
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_case_has_a_trace_of_its_strategy(place, name):
    traces = list(read_traces(place / name / "traces.jsonl"))
    assert sorted(trace.case.id for trace in traces) == ["old", "young"]
    for trace in traces:
        assert trace.strategy.name == name
        assert {step.node == "generate" for step in trace.steps} == {name != "graph"}
        # What a small model writes freely may state no answer; what the engine enforces is one.
        assert trace.outcome in ({"answered", "unparsed"} if name == "cot" else {"answered"})
        if trace.outcome == "answered":
            assert sum(trace.distribution.values()) == pytest.approx(1)
            assert trace.distribution_from == "logprobs"


def test_the_report_compares_them(place):
    runs = [place / name for name in STRATEGIES]
    told = ddxgraph("eval", *runs, "--cases", place / "cases.jsonl", "--report", place / "report", "--json")
    assert told.returncode == 0, told.stderr
    found = Evaluation.model_validate_json(told.stdout)
    assert [run.strategy for run in found.runs] == list(STRATEGIES)
    assert len(found.comparisons.made) == 3
    cost = [run.cost.output_tokens.mean for run in found.runs]
    assert cost[0] < cost[2]
    assert (place / "report" / "report.html").stat().st_size < 2_000_000
