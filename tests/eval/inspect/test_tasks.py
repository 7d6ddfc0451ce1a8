"""The benchmarks' tasks through the real `inspect_ai.eval`, on a scripted model."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarkmaker import JAMA_TEST, jama_record
from inspect_ai.event import ModelEvent, SpanBeginEvent
from inspected import GOLD_TEXT, Items, entry, evaluate, said, with_logprobs

from ddxgraph.batch.manifest import Selection
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.jama import import_jama
from ddxgraph.eval.benchmarks.rawfile import data_folder
from ddxgraph.eval.inspect.logs import import_logs
from ddxgraph.eval.inspect.tasks import TASKS, TRACE_KEY, journey, strict, task_of
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.graph.trace import Trace

DATA = Path(__file__).parents[4] / "shared" / "data"
SELECTION = Selection(benchmark="medqa", split="dev", size=5)
ITEMS = Items(
    SELECTION,
    [
        entry("right", "A"),
        entry("wrong", "B"),
        entry("garbled", "A"),
        entry("failing", "A"),
        entry("open", GOLD_TEXT, {}),
    ],
)


def line(asked):
    if asked.node == "conclude" and "called garbled" in asked.prompt:
        return said("no JSON at all")
    if asked.node == "reflect" and "called failing" in asked.prompt and asked.config.seed == 8:
        raise RuntimeError("the engine went up in smoke")
    if asked.node == "conclude" and "called right" in asked.prompt:
        text = json.dumps({"justification": "It fits.", "answer": "A"})
        return with_logprobs(said(text), {"A": math.log(0.6), "B": math.log(0.2), "C": math.log(0.2)})
    return None


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    logs = tmp_path_factory.mktemp("logs")
    return evaluate(ITEMS, logs, line, epochs=2, temperature=0.5, seed=7)


@pytest.fixture(scope="module")
def log(evaluated):
    return evaluated[0]


def samples(log, name):
    return sorted((s for s in log.samples if s.id == name), key=lambda s: s.epoch)


def trace_of(sample) -> Trace:
    return Trace.model_validate(sample.store[TRACE_KEY])


def test_every_sample_holds_its_trace_whole(log):
    assert len(log.samples) == 10
    for sample in log.samples:
        trace = trace_of(sample)
        assert (trace.case.id, trace.sample) == (sample.id, sample.epoch - 1)
    whole = trace_of(samples(log, "right")[0])
    assert [step.node for step in whole.steps] == [
        "review_history",
        "generate_differential",
        *["check_evidence"] * 3,
        "reflect",
        "conclude",
    ]
    assert whole.usage.calls == 7
    assert whole.usage.completion_tokens == 35


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("right", "C", "correct"),
        ("wrong", "I", "incorrect"),
        ("garbled", "I", "unparsed"),
        ("open", "I", "incorrect"),
    ],
)
def test_the_score_is_that_of_the_strict_rule(log, name, value, verdict):
    for sample in samples(log, name):
        score = sample.scores["strict"]
        assert (score.value, score.metadata["verdict"]) == (value, verdict)
        assert score.metadata["scorer"] == "1"


def test_a_failure_is_an_error_and_never_a_wrong_answer(log):
    ended, failed = samples(log, "failing")
    assert ended.scores["strict"].value == "C"
    assert not failed.scores
    assert "the engine went up in smoke" in failed.error.message
    trace = trace_of(failed)
    assert (trace.outcome, trace.failure.boundary, trace.failure.node) == ("error", "engine", "reflect")
    assert len(trace.steps) == 6


def test_a_log_with_failures_has_the_status_of_an_error_and_all_other_samples(log):
    assert log.status == "error"
    assert log.results.completed_samples == 9
    accuracy = log.results.scores[0].metrics["accuracy"].value
    assert accuracy == pytest.approx((1 + 0 + 0 + 1 + 0) / 5)  # by case, over the epochs that were scored


def test_the_model_and_the_users_settings_are_in_the_provenance(log):
    told = trace_of(log.samples[0]).provenance
    assert told.model == "mockllm/model"
    assert told.engine.startswith("inspect 0.")
    assert told.sampling == {"temperature": 0.5, "seed": 7}


def test_epochs_are_samples_with_seeds_of_their_own(evaluated, log):
    assert {asked.config.seed for asked in evaluated[1]} == {7, 8}
    first, second = (trace_of(sample) for sample in samples(log, "right"))
    assert first.id != second.id


def test_no_gold_answer_reaches_the_model(evaluated, log):
    open_case = [asked for asked in evaluated[1] if "called open" in asked.prompt]
    assert open_case
    for asked in evaluated[1]:
        assert GOLD_TEXT.lower() not in f"{asked.prompt} {asked.config}".lower()
    for sample in log.samples:
        told = trace_of(sample).to_json() + json.dumps(sample.metadata)
        assert GOLD_TEXT.lower() not in told.lower()
        assert "target" not in sample.metadata


def test_caps_and_whole_forms_come_through_the_bridge(evaluated):
    reviews = [asked for asked in evaluated[1] if asked.node == "review_history"]
    assert len(reviews) == 10
    for asked in reviews:
        schema = asked.config.extra_body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["findings"]["maxItems"] == 16
        assert asked.config.max_tokens > 1000
        items = asked.config.response_schema.json_schema.properties["findings"].items
        assert items.properties["quote"].maxLength == 200, "the reference was not written out"


def test_log_probabilities_are_asked_for_and_come_back(evaluated, log):
    asked = {asked.config.top_logprobs for asked in evaluated[1] if asked.node == "conclude"}
    assert asked == {20, None}  # a free-form case has no letters
    trace = trace_of(samples(log, "right")[0])
    assert trace.distribution_from == "logprobs"
    assert trace.distribution == pytest.approx({"A": 0.6, "B": 0.2, "C": 0.2})
    assert trace_of(samples(log, "wrong")[0]).distribution_from == "credence"


def test_the_viewer_shows_the_journey(log):
    sample = samples(log, "right")[0]
    spans = [event.name for event in sample.events if isinstance(event, SpanBeginEvent)]
    assert [name for name in spans if name.split()[0] in {"reflect", "conclude", "check_evidence"}] == [
        "check_evidence A",
        "check_evidence B",
        "check_evidence C",
        "reflect",
        "conclude",
    ]
    assert sum(isinstance(event, ModelEvent) for event in sample.events) == 7
    assert [message.role for message in sample.messages] == [
        "system",
        "user",
        *["assistant", "user"] * 6,
        "assistant",
    ]
    assert sample.output.completion == "A"
    assert sample.choices == ["Influenza", "Pneumonia", "Asthma"]


def test_a_limit_of_inspects_leaves_a_sample_unscored(tmp_path):
    log, _ = evaluate(Items(SELECTION, ITEMS.entries[:1]), tmp_path, token_limit=60)
    (sample,) = log.samples
    assert sample.limit.type == "token"
    assert sample.error is None
    score = sample.scores["strict"]
    assert math.isnan(score.value)
    assert "a limit of Inspect's ended the sample" in score.explanation
    trace = trace_of(sample)
    assert (trace.outcome, trace.ended, trace.failure.kind) == ("error", "interrupted", "interrupted")
    assert log.results.scores[0].unscored_samples == 1


def test_a_reasoning_models_thoughts_stay_in_the_transcript(tmp_path):
    from inspect_ai.model import ContentReasoning, ContentText

    def thinking(asked):
        if asked.node != "conclude":
            return None
        output = said("")
        reply = json.dumps({"justification": "", "answer": "B"})
        output.choices[0].message.content = [
            ContentReasoning(reasoning="First I think.", signature="s"),
            ContentText(text=reply),
        ]
        return output

    log, _ = evaluate(Items(SELECTION, ITEMS.entries[:1]), tmp_path, thinking)
    (sample,) = log.samples
    trace = trace_of(sample)
    assert (trace.outcome, trace.answer) == ("answered", "B")
    assert json.loads(trace.steps[-1].text)["answer"] == "B"
    thoughts = [e.output.choices[0].message.content for e in sample.events if isinstance(e, ModelEvent)][-1]
    assert thoughts[0].reasoning == "First I think."


def test_the_other_strategies_run_as_well_and_take_the_users_settings(tmp_path):
    way = journey(strategy="cot", logprobs=False, reply_tokens=300)

    def reason(asked):
        return said("Consolidation speaks for it.\nAnswer: B")

    log, asked = evaluate(
        Items(SELECTION, ITEMS.entries[1:2]), tmp_path, reason, way=way, reasoning_effort="low", top_k=5
    )
    (sample,) = log.samples
    trace = trace_of(sample)
    assert sample.scores["strict"].value == "C"
    assert (trace.strategy.name, trace.answer) == ("cot", "B")
    assert trace.provenance.sampling == {"reasoning_effort": "low", "top_k": 5}
    (only,) = asked
    assert (only.config.max_tokens, only.config.top_k, only.config.reasoning_effort) == (300, 5, "low")
    assert (only.config.logprobs, only.config.top_logprobs, only.config.extra_body) == (None, None, None)


def test_a_strategy_that_is_none_is_told_at_once():
    from inspect_ai._util.error import PrerequisiteError

    with pytest.raises(PrerequisiteError) as told:
        journey(strategy="graf")
    assert "there is no strategy 'graf': use one of graph, vanilla" in told.value.message


def test_a_case_without_a_gold_answer_is_refused():
    case = ITEMS.entries[0].case
    with pytest.raises(ValueError, match="the case 'right' has no gold answer"):
        task_of(Items(None, [ITEMS.entries[0]._replace(case=case, gold=None)]), journey())


@pytest.mark.slow
def test_the_entry_point_registers_the_tasks_and_nothing_more(tmp_path):
    script = (
        "import inspect_ai, sys, threading\n"
        "import ddxgraph.eval.inspect.tasks\n"
        "from inspect_ai._util.registry import registry_find, registry_info\n"
        "own = registry_find(lambda info: info.name.startswith('ddxgraph/'))\n"
        "print(sorted(f'{registry_info(o).type} {registry_info(o).name}' for o in own))\n"
        "assert 'langchain_openai' not in sys.modules, 'the client was loaded'\n"
        "assert threading.active_count() == 1, 'a thread was started'\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(
        [
            "scorer ddxgraph/strict",
            "solver ddxgraph/journey",
            "task ddxgraph/ddxlab",
            "task ddxgraph/jama",
            "task ddxgraph/medbullets",
            "task ddxgraph/medqa",
        ]
    )


def test_the_scorer_has_nothing_to_score_where_there_is_no_trace():
    import asyncio

    from inspect_ai.scorer import Target
    from inspect_ai.solver import TaskState

    state = TaskState(model="mockllm/model", sample_id="x", epoch=1, input="x", messages=[])
    score = asyncio.run(strict()(state, Target("A")))
    assert math.isnan(score.value)
    assert score.explanation == "The sample has no trace."


def test_a_benchmark_that_is_not_here_is_told_with_the_way_to_it(tmp_path, monkeypatch):
    from inspect_ai._util.error import PrerequisiteError

    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path))
    with pytest.raises(PrerequisiteError) as told:
        TASKS["medqa"](split="dev")
    assert "medqa dev is not on this machine" in told.value.message
    assert "ddxgraph data fetch medqa" in told.value.message


def test_what_an_incomplete_import_lacks_stays_in_the_denominator(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "jama_raw.json").write_text(json.dumps([jama_record(url) for url in JAMA_TEST]))
    import_jama(tmp_path / "jama_raw.json", data_folder())
    with caplog.at_level("WARNING", logger="ddxgraph"):
        task = TASKS["jama"](max_backtracks=0)
    assert "jama test: 644 of its 646 cases are not on this machine" in caplog.text
    log, _ = evaluate(task, tmp_path / "logs")
    assert log.eval.metadata["ddxgraph"]["absent"] == 644
    done = import_logs([log.location], tmp_path / "run")
    assert (done.traces, done.missing) == (2, 0)
    assert any("644 of the benchmark's 646 cases were not on the machine" in said for said in done.remarks)
    for cases in (None, task_cases(), task_cases().entries):
        scored = score_run(done.folder, cases)
        assert (scored.size, scored.incomplete) == (646, {"absent": 644})
    right = sum(score.correct for score in scored.scores)
    assert log.results.scores[0].metrics["accuracy"].value == right / 2
    assert scored.bounds == (right / 646, (right + 644) / 646)


def task_cases():
    return load(Selection(benchmark="jama"))


def test_of_a_sample_nothing_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "jama_raw.json").write_text(json.dumps([jama_record(url) for url in JAMA_TEST]))
    import_jama(tmp_path / "jama_raw.json", data_folder())
    assert TASKS["jama"](limit=1).metadata["ddxgraph"]["absent"] == 0
    assert task_of(Items(None, ITEMS.entries), journey()).metadata["ddxgraph"]["absent"] == 0


@pytest.mark.skipif(
    not (DATA / "medqa" / "dev.jsonl").is_file(), reason="MedQA's dev file is not beside the checkout"
)
def test_a_benchmark_runs_and_its_folder_is_scored_against_the_published_file(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data").symlink_to(DATA)
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    log, _ = evaluate(TASKS["medqa"](split="dev", limit=3, shuffle=1, max_backtracks=0), tmp_path / "logs")
    assert log.status == "success"
    assert log.eval.dataset.name == "medqa-dev"
    scored = score_run(import_logs([log.location], tmp_path / "run").folder)
    assert (scored.manifest.selection.limit, scored.manifest.selection.shuffle) == (3, 1)
    assert scored.manifest.selection.size == 1272
    assert dict(scored.incomplete) == {}
    right = sum(score.correct for score in scored.scores)
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(right / 3)
