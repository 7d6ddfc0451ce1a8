"""Cases through Inspect's own provider to the real embedded engine, served over HTTP."""

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.model import get_model
from inspected import Items

from ddxgraph import serve
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.eval.cases import CaseEntry, Gold
from ddxgraph.eval.inspect.logs import import_logs
from ddxgraph.eval.inspect.tasks import journey, task_of
from ddxgraph.nodes.case import Case

pytestmark = pytest.mark.alone

CASES = [
    Case(
        id=name,
        vignette=f"A {age}-year-old woman has burning with urination for 2 days. Urinalysis shows nitrites.",
        question="Which of the following is the most likely diagnosis?",
        options={"A": "Cystitis", "B": "Nephrolithiasis"},
    )
    for name, age in (("young", 24), ("old", 71))
]
ITEMS = Items(None, [CaseEntry(case, Gold(case=case.id, answer="A")) for case in CASES])


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with serve(engine="embedded", slots=2, log=tmp_path_factory.mktemp("engine") / "engine.log") as endpoint:
        yield endpoint


@pytest.mark.parametrize("strategy", ["graph", "vanilla", "cot"])
def test_traces_are_whole_and_come_out_of_the_log(tmp_path, engine, strategy):
    model = get_model(
        f"openai-api/local/{engine.model}", base_url=engine.base_url, api_key=engine.api_key or "none"
    )
    task = task_of(ITEMS, journey(strategy=strategy, max_backtracks=0, brief=True))
    (log,) = inspect_eval(task, model=model, display="none", log_dir=str(tmp_path), temperature=0, seed=0)
    assert log.status == "success"
    folder = import_logs([log.location], tmp_path / "run").folder
    traces = list(read_traces(folder / "traces.jsonl"))
    assert sorted((trace.case for trace in traces), key=lambda case: case.id, reverse=True) == CASES
    for trace in traces:
        assert trace.provenance.model == f"openai-api/local/{engine.model}"
        assert trace.provenance.sampling == {"temperature": 0.0, "seed": 0}
        assert not trace.usage.estimated
        assert trace.usage.prompt_tokens > 100
        if strategy != "cot":  # a free text of a small model may state no answer
            assert trace.outcome == "answered"
            assert trace.distribution_from == "logprobs"
            assert sum(trace.distribution.values()) == pytest.approx(1)
        assert not any(step.attempts for step in trace.steps), "the engine did not enforce a form"
