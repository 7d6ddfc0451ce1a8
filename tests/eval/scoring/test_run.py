"""Run folders scored: nothing leaves the denominator, an error is no answer, and other data are refused."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarkmaker import JAMA_TEST, SHARED, jama_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journeys import OPTIONS
from langchain_core.exceptions import ModelConnectionError
from scoring import alter_manifest, case, entries, lines_of, make_run, write_lines

from ddxgraph import Gold, TraceFileError
from ddxgraph.batch.manifest import CaseSet, Selection, case_set
from ddxgraph.common.errors import CaseConflict, ScoreError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.jama import import_jama
from ddxgraph.eval.benchmarks.rawfile import data_folder
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.eval.scoring.run import ScoredRun, score_run

ROWS = entries("BBBBB")
SAID = ["B", "A", "", ModelConnectionError("refused"), "B"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Correct, incorrect, unparsed, failed, and one that the run has not come to."""
    folder = make_run(tmp_path_factory.mktemp("runs") / "mixed", ROWS, SAID)
    write_lines(
        folder / "traces.jsonl", [t for t in lines_of(folder / "traces.jsonl") if t["case"]["id"] != "case-4"]
    )
    return folder


@pytest.fixture
def copy(mixed, tmp_path) -> Path:
    """A copy of `mixed`, to be altered."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in mixed.glob("*.json*"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def refusal(folder: Path, rows=ROWS) -> str:
    with pytest.raises(ScoreError) as refused:
        score_run(folder, rows)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def alter_trace(folder: Path, number: int = 0, /, **fields) -> str:
    """Change fields of a case's trace; gives the trace's id."""
    traces = lines_of(folder / "traces.jsonl")
    (chosen,) = (trace for trace in traces if trace["case"]["id"] == f"case-{number}")
    chosen.update(fields)
    write_lines(folder / "traces.jsonl", traces)
    return chosen["id"]


def place(folder: Path, trace: str) -> str:
    """How a refusal names a trace: by file, line and id."""
    path = folder / "traces.jsonl"
    number = [record["id"] for record in lines_of(path)].index(trace) + 1
    return f"{path}, line {number} (trace {trace})"


def test_every_pair_is_accounted_for(mixed):
    run = score_run(mixed, ROWS)
    verdicts = {score.case: score.verdict for score in run.scores}
    assert verdicts == {
        "case-0": Verdict.CORRECT,
        "case-1": Verdict.INCORRECT,
        "case-2": Verdict.UNPARSED,
        "case-3": Verdict.ERROR,
    }
    assert (run.name, run.size, run.pairs, run.missing, run.unscored) == ("mixed", 5, 5, 1, 2)
    assert run.incomplete == {"connection": 1, "missing": 1}
    assert run.accuracy == 1 / 5
    assert run.bounds == (1 / 5, 3 / 5)
    assert run.accuracy_scored == 1 / 3
    assert list(run.by_case) == list(run.golds) == [f"case-{n}" for n in range(5)]
    assert [len(scores) for scores in run.by_case.values()] == [1, 1, 1, 1, 0]


def test_a_score_says_what_the_trace_cost(mixed):
    run = score_run(mixed, ROWS)
    for trace in lines_of(mixed / "traces.jsonl"):
        ((score),) = run.by_case[trace["case"]["id"]]
        usage = trace["usage"]
        assert (score.calls, score.prompt_tokens, score.completion_tokens) == (
            usage["calls"],
            usage["prompt_tokens"],
            usage["completion_tokens"],
        )
        assert (score.trace, score.ended, score.elapsed_s) == (
            trace["id"],
            trace["ended"],
            trace["elapsed_s"],
        )
        assert score.distribution == trace["distribution"]
        assert score.failure == ""
    repaired = {case: score.repairs for case, (score, *_) in list(run.by_case.items())[:3]}
    assert repaired == {"case-0": 0, "case-1": 0, "case-2": 1}


def test_an_answers_choice_does_not_depend_on_its_letter(mixed):
    assert [score.choice for score in score_run(mixed, ROWS).scores] == [
        OPTIONS["B"],
        OPTIONS["A"],
        None,
        None,
    ]


def test_the_looser_rule_stands_beside(mixed):
    run = score_run(mixed, ROWS)
    assert [(score.loose_first, score.loose_last) for score in run.scores] == [
        (True, True),
        (False, False),
        (False, False),
        (None, None),
    ]
    assert run.loose_accuracy == 1 / 5


def test_the_looser_figure_is_the_better_of_first_and_last_over_the_whole_run(copy):
    for number, text in ((0, "A, or B"), (1, "A, no: B"), (2, "B, no: A")):
        traces = lines_of(copy / "traces.jsonl")
        steps = next(t["steps"] for t in traces if t["case"]["id"] == f"case-{number}")
        alter_trace(copy, number, steps=[*steps[:-1], {**steps[-1], "text": text}])
    run = score_run(copy, ROWS)
    assert [(s.loose_first, s.loose_last) for s in run.scores[:3]] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    assert run.loose_accuracy == 2 / 5
    assert run.accuracy == 1 / 5  # the strict rule does not look at the text


def test_a_conclusion_that_made_no_call_has_no_text_for_the_looser_rule(copy):
    steps = lines_of(copy / "traces.jsonl")[0]["steps"]
    alter_trace(copy, 0, steps=[*steps[:-1], {**steps[-1], "text": ""}])
    score = score_run(copy, ROWS).scores[0]
    assert (score.verdict, score.loose_first, score.loose_last) == (Verdict.CORRECT, False, False)


def test_what_failed_and_then_ended_counts_as_it_ended(tmp_path):
    rows = entries("BB")
    folder = make_run(tmp_path / "again", rows, ["B", ModelConnectionError("refused")])
    before = score_run(folder, rows)
    assert before.bounds == (1 / 2, 1)
    assert before.lost.calls == before.by_case["case-1"][0].calls > 0
    make_run(folder, rows, ["B", "A"])
    after = score_run(folder, rows)
    assert [score.verdict for score in after.scores] == [Verdict.CORRECT, Verdict.INCORRECT]
    assert (after.incomplete, after.bounds) == ({}, (1 / 2, 1 / 2))
    assert after.lost == before.lost


def test_samples_each_count_in_their_order(tmp_path):
    rows = entries("BA")
    said = iter("BABABB")
    folder = make_run(tmp_path / "samples", rows, lambda _: next(said), samples=3)
    run = score_run(folder, rows)
    assert (run.size, run.pairs, len(run.scores)) == (2, 6, 6)
    for scores in run.by_case.values():
        assert [score.sample for score in scores] == [0, 1, 2]
    assert run.accuracy == sum(score.answer == score.gold for score in run.scores) / 6


def test_an_absent_case_stays_in_the_denominator(mixed):
    run = replace(score_run(mixed, ROWS), absent=5)
    assert (run.size, run.pairs) == (10, 10)
    assert run.incomplete == {"absent": 5, "connection": 1, "missing": 1}
    assert run.bounds == (1 / 10, 8 / 10)
    assert run.accuracy_scored == 1 / 3


def test_a_run_without_a_trace_is_all_missing(copy):
    for name in ("traces.jsonl", "errors.jsonl"):
        (copy / name).unlink()
    run = score_run(copy, ROWS)
    assert (run.scores, run.missing, run.bounds, run.accuracy_scored) == ([], 5, (0, 1), None)
    assert run.loose_accuracy is None


def test_a_line_that_is_being_written_is_left_out(copy):
    path = copy / "traces.jsonl"
    path.write_bytes(path.read_bytes()[:-100])
    run = score_run(copy, ROWS)
    assert (len(run.scores), run.missing) == (3, 2)


def test_of_an_id_that_stands_twice_the_later_line_counts(copy):
    first = next(t for t in lines_of(copy / "traces.jsonl") if t["case"]["id"] == "case-0")
    with (copy / "traces.jsonl").open("a") as lines:
        lines.write(json.dumps(first | {"answer": "C"}) + "\n")
    run = score_run(copy, ROWS)
    assert run.by_case["case-0"][0].answer == "C"
    assert len(run.scores) == 4


def test_an_error_among_the_traces_is_still_unscored(copy):
    alter_trace(copy, 0, outcome="error", failure={"kind": "timeout"})
    run = score_run(copy, ROWS)
    assert run.by_case["case-0"][0].verdict is Verdict.ERROR
    assert run.incomplete == {"connection": 1, "timeout": 1, "missing": 1}


def test_traces_of_two_runs_in_one_folder_are_refused(copy):
    trace = next(t for t in lines_of(copy / "traces.jsonl") if t["case"]["id"] == "case-0")
    with (copy / "traces.jsonl").open("a") as lines:
        lines.write(json.dumps(trace | {"id": "0123456789abcdef"}) + "\n")
    said = refusal(copy)
    assert said.startswith(f"{copy / 'traces.jsonl'}, line 4 (trace 0123456789abcdef) is a second trace")
    assert f"beside {trace['id']}" in said
    assert "'case-0', sample 0" in said


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("vignette", "Patient 0. Fever.", "vignette differs"),
        ("question", "What now?", "question differs"),
        ("options", {**OPTIONS, "D": "Pleurisy"}, "options differs"),
        (
            "options",
            {"A": "Pneumonia", "B": "Influenza", "C": "Asthma", "D": "Heart failure"},
            "options differs",
        ),
        ("source", "another", "source differs"),
        ("note", "more", "note differs"),
        ("id", "case-9", "'case-9', which is none of the 5 cases"),
    ],
)
def test_a_trace_of_a_changed_row_is_refused_with_the_row_named(field, value, named, copy):
    told = next(t["case"] for t in lines_of(copy / "traces.jsonl") if t["case"]["id"] == "case-0")
    trace = alter_trace(copy, 0, case={**told, field: value})
    said = refusal(copy)
    assert named in said
    assert said.startswith(place(copy, trace))
    assert "case-0" in said or field == "id"


def test_a_field_that_a_trace_leaves_out_is_its_default(copy):
    told = next(t["case"] for t in lines_of(copy / "traces.jsonl") if t["case"]["id"] == "case-0")
    alter_trace(copy, 0, case={key: told[key] for key in ("id", "vignette", "question", "options")})
    assert score_run(copy, ROWS).accuracy == 1 / 5


@pytest.mark.parametrize("sample", [1, -1, "0", None])
def test_a_sample_that_the_run_does_not_have_is_refused(sample, copy):
    trace = alter_trace(copy, 0, sample=sample)
    said = refusal(copy)
    assert said.startswith(place(copy, trace))
    assert f"sample {sample!r}" in said


def test_an_empty_line_counts_as_a_line(copy):
    trace = alter_trace(copy, 0, sample=7)
    path = copy / "traces.jsonl"
    number = [record["id"] for record in lines_of(path)].index(trace) + 1
    path.write_text("\n\n" + path.read_text())
    assert refusal(copy).startswith(f"{path}, line {number + 2} (trace {trace}) is sample 7")


def test_a_failed_attempt_is_named_by_its_own_file(copy):
    path = copy / "errors.jsonl"
    records = [record | {"sample": 7} for record in lines_of(path)]
    write_lines(path, records)
    assert refusal(copy).startswith(f"{path}, line 1 (trace {records[0]['id']}) is sample 7")


@pytest.mark.parametrize(
    "fields",
    [{"usage": "many"}, {"steps": [{}]}, {"steps": 3}, {"elapsed_s": "long"}, {"usage": {"calls": None}}],
)
def test_a_malformed_trace_is_named(fields, copy):
    trace = alter_trace(copy, 0, **fields)
    assert refusal(copy).startswith(f"{place(copy, trace)} is malformed")


def test_a_line_that_is_no_trace_is_named_by_its_number(copy):
    with (copy / "traces.jsonl").open("a") as lines:
        lines.write('{"version":2}\n')
    with pytest.raises(TraceFileError, match="line 4: not a trace"):
        score_run(copy, ROWS)


def test_other_cases_than_the_runs_are_refused(mixed):
    assert "it has 5 cases, not 6" in refusal(mixed, entries("BBBBBB"))
    assert "is none of the 3 cases" in refusal(mixed, ROWS[:3])
    assert "it has 5 cases, not 4" in refusal(mixed, ROWS[:4])
    changed = CaseEntry(case(4, vignette="Another."), ROWS[4].gold)  # of which there is no trace
    assert "the same number of cases, but others" in refusal(mixed, [*ROWS[:4], changed])


def test_two_cases_of_one_id_are_refused(mixed):
    with pytest.raises(CaseConflict, match="'case-0'"):
        score_run(mixed, [*ROWS, CaseEntry(case(0, vignette="Another."), ROWS[0].gold)])


def test_every_case_needs_a_gold_answer_among_its_options(mixed):
    assert "'case-0' has no gold answer" in refusal(mixed, [CaseEntry(ROWS[0].case, None), *ROWS[1:]])
    outside = CaseEntry(ROWS[0].case, Gold(case="case-0", answer="E"))
    assert "'E' of the case 'case-0' is none of its options A, B, C, D" in refusal(
        mixed, [outside, *ROWS[1:]]
    )
    other = CaseEntry(ROWS[0].case, Gold(case="case-0", answer="A"))
    assert "'case-0' occurs twice, with two different gold answers" in refusal(mixed, [*ROWS, other])
    assert "no cases" in refusal(mixed, [])


def test_a_case_that_stands_twice_alike_counts_once(mixed):
    assert score_run(mixed, [*ROWS, ROWS[0]]).size == 5


def test_a_run_of_a_case_file_says_that_it_needs_the_file(mixed):
    assert "--cases FILE" in refusal(mixed, None)


def test_a_folder_that_is_no_run_is_refused(tmp_path, copy):
    assert "not a run folder: it has no run.json" in refusal(tmp_path / "nowhere")
    assert "not a run folder: it has no run.json" in refusal(tmp_path)
    assert "not a run folder" in refusal(copy / "run.json")
    (copy / "run.json").write_text('{"version": 7}')
    assert "not a manifest of version 1 (version: " in refusal(copy)


def test_progress_reaches_the_end(mixed):
    told: list[tuple[int, int]] = []
    score_run(mixed, ROWS, progress=lambda done, total: told.append((done, total)))
    size = sum((mixed / name).stat().st_size for name in ("traces.jsonl", "errors.jsonl"))
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_where_the_benchmark_is_not_at_hand_it_says_so_itself(copy, monkeypatch, tmp_path):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    alter_manifest(copy, selection=Selection(benchmark="medqa", split="dev", limit=5))
    with pytest.raises(ValueError, match="medqa dev is not on this machine"):
        score_run(copy)
    assert score_run(copy, ROWS).accuracy == 1 / 5


def test_of_a_benchmark_the_absent_cases_count(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "jama_raw.json").write_text(json.dumps([jama_record(url) for url in JAMA_TEST]))
    import_jama(tmp_path / "jama_raw.json", data_folder())
    items = load(Selection(benchmark="jama"))
    folder = make_run(tmp_path / "run", items.entries, lambda _: "C")
    alter_manifest(folder, selection=items.selection)
    run = score_run(folder)
    assert (len(run.golds), run.size, run.incomplete) == (2, 646, {"absent": 644})
    assert run.bounds == (2 / 646, 1)
    assert run.accuracy_scored == 1


def test_the_absent_cases_count_wherever_the_cases_come_from(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "jama_raw.json").write_text(json.dumps([jama_record(url) for url in JAMA_TEST]))
    import_jama(tmp_path / "jama_raw.json", data_folder())
    items = load(Selection(benchmark="jama"))
    folder = make_run(tmp_path / "run", items.entries, lambda _: "C")
    given = score_run(folder, items)  # whatever the manifest says
    assert (given.size, given.absent, given.incomplete) == (646, 644, {"absent": 644})
    assert score_run(folder, items.entries).size == 2  # no benchmark is named anywhere
    alter_manifest(folder, selection=items.selection)
    assert (
        score_run(folder, items.entries).size
        == score_run(folder, items).size
        == score_run(folder).size
        == 646
    )


def test_of_a_sample_none_is_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "jama_raw.json").write_text(json.dumps([jama_record(url) for url in JAMA_TEST]))
    import_jama(tmp_path / "jama_raw.json", data_folder())
    items = load(Selection(benchmark="jama", limit=1))
    folder = make_run(tmp_path / "run", items.entries, lambda _: "C")
    alter_manifest(folder, selection=items.selection)
    for cases in (None, items, items.entries):
        assert (score_run(folder, cases).size, score_run(folder, cases).incomplete) == (1, {})


@pytest.mark.skipif(
    not (SHARED / "medqa" / "dev.jsonl").exists(), reason="needs MedQA's dev file in ../shared"
)
def test_the_gold_answers_are_the_benchmarks_and_another_order_of_options_is_another_row(
    tmp_path, monkeypatch
):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data").symlink_to(SHARED)
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))
    items = load(Selection(benchmark="medqa", split="dev", limit=4))
    folder = make_run(tmp_path / "run", items.entries, lambda _: "C")
    alter_manifest(folder, selection=items.selection)
    run = score_run(folder)
    assert (run.size, run.incomplete) == (4, {})
    assert run.counts[Verdict.CORRECT] == sum(gold.answer == "C" for _, gold in items)
    alter_manifest(folder, selection=items.selection.model_copy(update={"shuffle": 1}))
    with pytest.raises(ScoreError, match=r"its case 'medqa-dev-\d+' is not the row in hand, options differs"):
        score_run(folder)


PAIRS = st.lists(
    st.sampled_from(["correct", "incorrect", "unparsed", "abstained", "error", "missing"]),
    min_size=1,
    max_size=12,
)


@given(PAIRS, st.integers(1, 3))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_becomes_of_the_pairs_the_denominator_is_all_of_them(mixed, fates, samples):
    fates = (fates * samples)[: len(fates) // samples * samples] or ["missing"] * samples
    run = scored(mixed, fates, samples)
    assert run.pairs == len(fates)
    assert run.accuracy == fates.count("correct") / len(fates)
    assert run.unscored == sum(run.incomplete.values()) == fates.count("error") + fates.count("missing")
    low, high = run.bounds
    assert low <= high
    assert high - low == pytest.approx(run.unscored / run.pairs)
    assert run.accuracy_scored is None or low <= run.accuracy_scored <= 1
    for verdict in Verdict:
        assert run.counts[verdict] == fates.count(verdict)


def scored(source: Path, fates: list[str], samples: int) -> ScoredRun:
    """A folder in which that has become of the pairs."""
    rows = entries("B" * (len(fates) // samples))
    blank = lines_of(source / "traces.jsonl")[0]
    written = {
        "correct": ("answered", "B"),
        "incorrect": ("answered", "D"),
        "unparsed": ("unparsed", None),
        "abstained": ("abstained", None),
        "error": ("error", None),
    }
    records = [
        blank
        | {
            "id": f"{place:016x}",
            "case": rows[place // samples].case.model_dump(mode="json"),
            "sample": place % samples,
            "outcome": written[fate][0],
            "answer": written[fate][1],
        }
        for place, fate in enumerate(fates)
        if fate != "missing"
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run.json").write_bytes((source / "run.json").read_bytes())
        cases: CaseSet = case_set(row.case for row in rows)
        alter_manifest(folder, cases=cases, samples=samples)
        write_lines(folder / "errors.jsonl", [r for r in records if r["outcome"] == "error"])
        write_lines(folder / "traces.jsonl", [r for r in records if r["outcome"] != "error"])
        return score_run(folder, rows)
