"""Inspect's logs as run folders: taken over whole, again without effect, or refused in a sentence."""

import json
import math
import sys

import pytest
from commandline import ddxgraph
from inspect_ai import Task
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, ProvenanceData, read_eval_log, write_eval_log
from inspect_ai.solver import generate
from inspected import Items, entry, evaluate, said

from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import InspectLogError
from ddxgraph.common.extras import install
from ddxgraph.eval.inspect.logs import import_logs
from ddxgraph.eval.inspect.tasks import TRACE_KEY
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.eval.scoring.run import score_run

ITEMS = Items(None, [entry("right", "A"), entry("wrong", "B"), entry("failing", "A"), entry("garbled", "A")])


def line(asked):
    if asked.node == "conclude" and "called garbled" in asked.prompt:
        return said("no JSON at all")
    if asked.node == "reflect" and "called failing" in asked.prompt and asked.config.seed == 8:
        raise RuntimeError("the engine went up in smoke")
    return None


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> EvalLog:
    return evaluate(ITEMS, tmp_path_factory.mktemp("logs"), line, epochs=2, temperature=0.5, seed=7)[0]


@pytest.fixture(scope="module")
def mended(tmp_path_factory) -> EvalLog:
    """The same run once more, on an engine that holds."""
    return evaluate(ITEMS, tmp_path_factory.mktemp("logs"), epochs=2, temperature=0.5, seed=7)[0]


def changed(log: EvalLog, path, change) -> str:
    """A log's copy in which something else stands."""
    copy = read_eval_log(log.location)
    change(copy)
    write_eval_log(copy, str(path))
    return path


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_log_becomes_a_run_folder(log, tmp_path):
    done = import_logs([log.location], tmp_path / "run")
    assert (done.traces, done.errors, done.before, done.missing) == (7, 1, 0, 1)
    told = Manifest.model_validate_json((done.folder / "run.json").read_bytes())
    assert (told.cases.count, told.samples, told.strategy.name) == (4, 2, "graph")
    assert told.provenance.sampling == {"temperature": 0.5, "seed": 7}
    assert (told.provenance.model, told.provenance.started_at) == ("mockllm/model", "")
    held = {(t.case.id, t.sample): t for t in read_traces(done.folder / "traces.jsonl")}
    for sample in log.samples:
        if not sample.error:
            assert held[sample.id, sample.epoch - 1].model_dump(mode="json") == sample.store[TRACE_KEY]
    (failed,) = read_traces(done.folder / "errors.jsonl")
    assert (failed.case.id, failed.sample, failed.outcome) == ("failing", 1, "error")


def test_what_a_log_lacks_is_told(log, tmp_path):
    remarks = import_logs([log.location], tmp_path / "run").remarks
    assert any("has the status 'error'" in remark for remark in remarks)
    assert any("1 samples failed, which is no wrong answer" in remark for remark in remarks)


def test_the_strict_score_of_the_folder_is_that_of_the_log(log, tmp_path):
    scored = score_run(import_logs([log.location], tmp_path / "run").folder, ITEMS.entries)
    assert len(scored.golds) == 4
    by_log = {
        (sample.id, sample.epoch - 1): sample.scores["strict"].metadata["verdict"]
        for sample in log.samples
        if sample.scores
    }
    of_folder = {
        (score.case, score.sample): score.verdict
        for score in scored.scores
        if score.verdict is not Verdict.ERROR
    }
    assert of_folder == by_log
    assert len(of_folder) == 7
    per_case = [
        [score.correct for score in scores if score.correct is not None] for scores in scored.by_case.values()
    ]
    means = [sum(known) / len(known) for known in per_case]
    assert log.results.scores[0].metrics["accuracy"].value == pytest.approx(math.fsum(means) / len(means))
    assert dict(scored.incomplete) == {"other": 1}


def test_importing_again_changes_nothing(log, tmp_path):
    import_logs([log.location], tmp_path / "run")
    before = content(tmp_path / "run")
    done = import_logs([log.location, log.location], tmp_path / "run")
    assert (done.traces, done.errors, done.before, done.missing) == (0, 0, 16, 1)
    assert content(tmp_path / "run") == before


def test_a_json_log_gives_the_same(log, tmp_path):
    copy = changed(log, tmp_path / "log.json", lambda copy: None)
    import_logs([log.location], tmp_path / "one")
    import_logs([copy], tmp_path / "other")
    one, other = (
        {name: sorted(text.splitlines()) for name, text in content(tmp_path / run).items()}
        for run in ("one", "other")
    )
    assert one == other


def test_logs_of_one_run_are_merged(log, mended, tmp_path):
    done = import_logs([log.location, mended.location], tmp_path / "run")
    assert (done.traces, done.errors, done.before, done.missing) == (8, 1, 7, 0)
    traces = list(read_traces(done.folder / "traces.jsonl"))
    assert len({trace.id for trace in traces}) == 8
    garbled = [trace.outcome for trace in traces if trace.case.id == "garbled"]
    assert garbled == ["unparsed", "unparsed"], "the first that came to an end counts"


def test_logs_of_different_runs_are_refused_by_name(log, tmp_path):
    other, _ = evaluate(ITEMS, tmp_path / "logs", temperature=0.9, seed=7)
    with pytest.raises(InspectLogError) as told:
        import_logs([log.location, other.location], tmp_path / "run")
    assert f"{other.location} is of another run than {log.location}" in str(told.value)
    assert "provenance.sampling.temperature was 0.5, now 0.9" in str(told.value)
    assert not (tmp_path / "run").exists()


def test_a_log_of_other_cases_is_refused(log, tmp_path):
    other, _ = evaluate(Items(None, ITEMS.entries[:2]), tmp_path / "logs", temperature=0.5, seed=7)
    with pytest.raises(InspectLogError, match=r"cases.count was 4, now 2"):
        import_logs([log.location, other.location], tmp_path / "run")


def test_a_part_of_the_cases_leaves_the_others_missing(tmp_path):
    part, _ = evaluate(ITEMS, tmp_path / "logs", limit=2)
    done = import_logs([part.location], tmp_path / "run")
    assert (done.traces, done.missing) == (2, 2)
    assert any(
        "Inspect took 2 of the task's 4 cases (--limit or --sample-id)" in told for told in done.remarks
    )
    scored = score_run(done.folder, ITEMS.entries)
    assert dict(scored.incomplete) == {"missing": 2}


def test_a_cancelled_log_is_imported_and_its_gap_is_told(log, tmp_path):
    def cancel(copy):
        copy.status = "cancelled"
        del copy.samples[:3]

    done = import_logs([changed(log, tmp_path / "log.eval", cancel)], tmp_path / "run")
    assert done.missing == 8 - done.traces > 1
    assert any("has the status 'cancelled'" in remark for remark in done.remarks)
    assert any("3 samples are not in the log; `inspect eval-retry`" in remark for remark in done.remarks)


def test_samples_declared_invalid_are_left_out(log, tmp_path):
    def invalidate(copy):
        copy.samples[0].invalidation = ProvenanceData(author="tester", reason="leak")

    done = import_logs([changed(log, tmp_path / "log.eval", invalidate)], tmp_path / "run")
    assert done.traces == 6
    assert any("1 samples were declared invalid, and are left out" in remark for remark in done.remarks)


def test_a_sample_without_a_trace_is_told_with_its_reason(log, tmp_path):
    def forget(copy):
        bare = next(sample for sample in copy.samples if sample.error)
        bare.store = {}

    done = import_logs([changed(log, tmp_path / "log.eval", forget)], tmp_path / "run")
    assert (done.traces, done.errors) == (7, 0)
    assert any("ended without a trace (" in told and "went up in smoke" in told for told in done.remarks)


def test_a_log_without_any_trace_is_refused(log, tmp_path):
    def forget(copy):
        for sample in copy.samples:
            sample.store = {}

    path = changed(log, tmp_path / "log.eval", forget)
    with pytest.raises(InspectLogError, match="holds no trace"):
        import_logs([path], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_trace_that_stands_with_another_sample_is_refused(log, tmp_path):
    def swap(copy):
        first, second = copy.samples[0], copy.samples[1]
        first.store, second.store = second.store, first.store

    path = changed(log, tmp_path / "log.eval", swap)
    with pytest.raises(
        InspectLogError, match=r"sample \S+ of epoch \d holds the trace of sample \d of the case"
    ):
        import_logs([path], tmp_path / "run")


def test_a_trace_that_is_none_is_refused(log, tmp_path):
    def break_it(copy):
        copy.samples[0].store[TRACE_KEY]["outcome"] = "lucky"

    path = changed(log, tmp_path / "log.eval", break_it)
    with pytest.raises(InspectLogError, match=r"not a trace of version 1 \(outcome: "):
        import_logs([path], tmp_path / "run")


def test_a_log_of_another_task_is_refused(tmp_path):
    task = Task(name="arithmetic", dataset=[Sample(input="1 + 1", target="2")], solver=generate())
    other, _ = evaluate(task, tmp_path / "logs", lambda asked: said("2"))
    with pytest.raises(InspectLogError, match="a log of the task 'arithmetic', which is none of ddxgraph's"):
        import_logs([other.location], tmp_path / "run")


def test_the_command_imports_and_says_what_is_missing(log, tmp_path):
    done = ddxgraph("inspect", "import", log.location, "--out", tmp_path / "run")
    assert done.returncode == 0
    assert f"7 traces and 1 errors imported into {tmp_path / 'run'}" in done.stdout
    assert "1 traces of the run are missing" in done.stdout
    assert "1 samples failed, which is no wrong answer" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("nowhere.eval", None, "no file"),
        ("log.eval", "no archive", "cannot be read as a log of Inspect's"),
        ("log.json", json.dumps({"some": "thing"}), "cannot be read as a log of Inspect's"),
    ],
)
def test_a_file_that_is_no_log_is_bad_input(tmp_path, name, text, told):
    if text is not None:
        (tmp_path / name).write_text(text)
    done = ddxgraph("inspect", "import", tmp_path / name, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run_is_bad_input(log, tmp_path):
    other, _ = evaluate(Items(None, ITEMS.entries[:2]), tmp_path / "logs")
    import_logs([other.location], tmp_path / "run")
    before = content(tmp_path / "run")
    done = ddxgraph("inspect", "import", log.location, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"{tmp_path / 'run'} is another run: cases.count was 2, now 4" in done.stderr
    assert content(tmp_path / "run") == before


def test_without_the_extra_the_command_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    done = ddxgraph("inspect", "import", tmp_path / "log.eval", "--out", tmp_path / "run")
    assert done.returncode == 2
    assert f"importing logs needs inspect_ai, which this Python lacks: {install('inspect')}" in done.stderr
