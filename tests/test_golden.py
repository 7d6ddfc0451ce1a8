"""Files that commit 3c43d86 wrote are still read, resumed and made again: see `golden/README.md`."""

import asyncio
import json
import math
import shutil
import sqlite3
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
from commandline import Done, ddxgraph
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from loops import Bench, Told, go
from scripted_server import scripted_server

from ddxgraph import (
    CompileError,
    GateConfig,
    GenerationStrategy,
    GraphStrategy,
    Patience,
    RunSource,
    Sampling,
    Strategy,
    Trace,
    compile_journey,
    inspect_set,
    make_journeys,
    read_cases,
    read_traces,
    run,
)
from ddxgraph.eval.report.evaluation import Evaluation
from ddxgraph.lab.teacher import Teacher
from ddxgraph.testing import ScriptedChatModel

REWRITTEN: Mapping[str, str] = {
    # The gate's rules, in its report and in the card.
    "answered, by the graph strategy": "the graph gave an answer",
    "no move was made by an answer key": "no answer key made a move, and the model saw every prompt whole",
    "length within its limits": "the length is within limits",
    "the same is not said again and again": "the reasoning does not repeat itself",
    "neither question nor reasoning is a test set's": (
        "neither the question nor the reasoning is from a test set"
    ),
    "no course of a case twice": "no two traversals of a case take the same course",
    "no reasoning in nearly the same words twice": "no two traversals reason in nearly the same words",
    "at most so many of one case": "no case has too many traversals",
    "letters and backtracks in proportion": "answer letters and backtracks are in proportion",
    # gate.md
    "| Not taken | Of all | Reason | |": "| Rejected | Of all | Reason | |",
    "A traversal counts at the first rule that it fails; the rules are below, in their order.": (
        "A traversal counts under the first rule that it fails, in the order below."
    ),
    ": not on this machine, and the configuration allows that. Nothing here is known to be clear of it: make no "
    "claim on that benchmark with a model trained on this. To get it:": (
        " is not on this machine, as the configuration allows. Nothing here is known to be free of it: make no "
        "claim on that benchmark with a model trained on this data. To get it:"
    ),
    "| Run | Of | Model | Prompts | Traversals | Taken | Reviewed |": (
        "| Run | Cases | Model | Prompts | Traversals | Accepted | Reviewed |"
    ),
    "| # | Rule | What it asks for | In | Out | Not taken |": "| # | Rule | Requirement | In | Out | Rejected |",
    "The cases are 6 groups of near-duplicate questions; a group goes to one side as a whole.": (
        "The cases form 6 groups of near-duplicate questions; all cases of a group are on the same side."
    ),
    "The cases are 2 groups of near-duplicate questions; a group goes to one side as a whole.": (
        "The cases form 2 groups of near-duplicate questions; all cases of a group are on the same side."
    ),
    "A question counts as a test question where the two share": (
        "A question counts as a test question if the two share"
    ),
    "Reasoning quotes a test question where it holds": "Reasoning quotes a test question if it holds",
    "or, wherever they stand, at least 0.3 of its distinct ones where it has 13 or more; what stands in its own "
    "case does not count. A question that was reworded throughout, or translated, is not found in this way.": (
        "or at least 0.3 of its distinct ones anywhere, if it has 13 or more; what the case itself holds does "
        "not count. Questions that were reworded throughout, or translated, are not found in this way."
    ),
    "| Test set | Questions | Not here |": "| Test set | Questions | Missing |",
    "What differs from the defaults is in bold.": "Settings that differ from the defaults are in bold.",
    "| provenance.allow_answer_key | no |\n": (
        "| provenance.allow_answer_key | no |\n| provenance.expert_edits | allow |\n"
        "| provenance.allow_cut_prompts | no |\n"
    ),
    # The rule for stated answers allows for typography.
    '"rule":"1"': '"rule":"2"',
    # The samples: an expert's edit is a trigger.
    '"allow_answer_key": false': (
        '"allow_answer_key": false, "expert_edits": "allow", "allow_cut_prompts": false'
    ),
    '"label":0}': '"label":0,"expert":0}',
    '      - name: "label"\n        dtype: "int64"\n': (
        '      - name: "label"\n        dtype: "int64"\n      - name: "expert"\n        dtype: "int64"\n'
    ),
    # The card
    "that a gate let through, out of": "that passed a gate, out of",
    "No case is on both sides, nor are cases that ask nearly the same.": (
        "No case is on both sides, and cases that ask nearly the same are on the same side."
    ),
    "and `meta`: where the sample comes from. The gold answers of the cases are no part of it.": (
        "and `meta`, which says where the sample comes from. The gold answers of the cases are not included."
    ),
    "So the types of the fields are those declared above.": (
        "This uses the field types that are declared above."
    ),
    "reads the files as well, and guesses the types: case ids that look like dates would become dates.": (
        "reads the files as well, but guesses the types: case ids that look like dates become dates."
    ),
    "The gate took out what one of its rules speaks against; [gate.md](gate.md) has examples, the settings and "
    "what was compared with which test set.": (
        "The gate rejected the traversals that fail one of its rules; [gate.md](gate.md) has examples, the "
        "settings and the test sets that it compared."
    ),
    "| Rule | In | Out | Not taken |": "| Rule | In | Out | Rejected |",
    "The wording follows from the seed 0 and the trace.": (
        "The wording is determined by the seed 0 and the trace."
    ),
    "Its licence is not settled here (`license: unknown`): whoever passes it on has to, by the licences of": (
        "Its licence is not settled (`license: unknown`). Before you pass the set on, settle it by the "
        "licences of"
    ),
    "unknown: yours to state": "unknown, state it",
    "by that model's licence; unknown: yours to look up": "under that model's licence; unknown, look it up",
    "Report beside any result which sets were compared with the benchmarks, and which were not.": (
        "With every result, report which benchmarks the set was compared with, and which not."
    ),
    "A journey is here because its form holds and its answer is correct.": (
        "A journey is included because it is well-formed and its answer is correct."
    ),
    "Whether its reasoning is true was judged by nobody, but for 1 journey that": (
        "Nobody judged whether its reasoning is true, except for 1 journey that"
    ),
    "Whether its reasoning is true was judged by nobody.": "Nobody judged whether its reasoning is true.",
    "too few for a loss that means something": "too few for a meaningful loss",
}
"""Sentences of the golden files that were rewritten on purpose since then, old to new."""

GOLDEN = Path(__file__).parent / "golden"
TRACES = sorted(
    path
    for pattern in ("traces.jsonl", "solved.json", "runs/*/*s.jsonl", "loop/**/traces.jsonl")
    for path in GOLDEN.glob(pattern)
    if path.name not in {"reviews.jsonl", "judgements.jsonl"}
)
REWRITTEN_IN: Mapping[str, Mapping[str, str]] = {
    # It was asked for the wrong turns that it leaves out.
    "shortcut": {
        "name the candidate answers, weigh the evidence for and against each, reflect, conclude. Leave wrong "
        "turns in: when a hypothesis fails, say what refutes it, go back, and take up another.": (
            "name the answer, weigh the evidence for it, conclude."
        ),
        "9ebdab813db2": "e1a0629d6c69",  # hash of its prompts
    },
}
STYLES = ("longstep", "longmonolog", "shortcut", "cot", "graph")
VERSION = "0.1.0"
"""The `code_version` in the golden files. It may change."""
MEASURED = {"latency_s", "elapsed_s", "started_at", "code_version"}
"""Fields of a trace that differ from one walk to the next."""
AT_ONCE = Patience(away_s=0, attempts=1)


def renewed(text: str) -> str:
    """A golden text with its rewritten sentences, as plain text and as JSON writes them."""
    for old, new in REWRITTEN.items():
        for pair in {(old, new), (in_json(old), in_json(new))}:
            text = text.replace(*pair)
    return text


def in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def golden(*parts: str) -> str:
    """The text of a golden file, renewed."""
    return renewed(GOLDEN.joinpath(*parts).read_text(encoding="utf-8"))


def differences(old: Any, new: Any, *, place: str = "", more: bool = False) -> Iterator[str]:
    """Where today's JSON differs from the golden one.

    Args:
        old: golden.
        new: today's.
        place: path of the two.
        more: allow today's objects to have more fields.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | (set() if more else new.keys()):
            if key not in old or key not in new:
                yield f"{place}.{key} is in one only"
            elif key not in MEASURED:
                yield from differences(old[key], new[key], place=f"{place}.{key}", more=more)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield f"{place}: {len(old)} items, now {len(new)}"
        for number, pair in enumerate(zip(old, new, strict=False)):
            yield from differences(*pair, place=f"{place}[{number}]", more=more)
    elif old != (pytest.approx(new, rel=1e-9) if isinstance(new, float) else new):
        yield f"{place} was {old!r}, is {new!r}"


def assert_tells(trace: Trace, line: str) -> None:
    """A trace has every field of a golden line, with the same value."""
    assert [*differences(json.loads(line), json.loads(trace.to_json()), more=True)] == []


def copied(name: str, to: Path) -> Path:
    """A copy of a golden file or folder, which a test may write to."""
    to.parent.mkdir(parents=True, exist_ok=True)
    source = GOLDEN / name
    return Path(shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to))


@pytest.fixture(autouse=True)
def _no_test_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def log_odds(monkeypatch):
    """The credence started from the log-odds of the prior then. All else about a walk must be as it was."""
    monkeypatch.setattr("ddxgraph.graph.credence.log_prior", lambda prior: math.log(prior / (1 - prior)))


@pytest.fixture
def command(tmp_path):
    def run(*args: object) -> Done:
        return ddxgraph(*args, env={"DDXGRAPH_CACHE": str(tmp_path / "cache"), "COLUMNS": "100"})

    return run


def test_every_sentence_that_was_rewritten_stands_in_a_golden_file():
    files = [path for path in GOLDEN.rglob("*") if path.suffix in {".json", ".jsonl", ".md"}]
    texts = [path.read_text(encoding="utf-8") for path in files if path != GOLDEN / "README.md"]
    for old in REWRITTEN:
        assert any(old in text or in_json(old) in text for text in texts), old


# Traces

paths = pytest.mark.parametrize("path", TRACES, ids=lambda path: str(path.relative_to(GOLDEN)))


@paths
def test_traces_are_read_with_all_they_hold(path):
    traces = list(read_traces(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    for trace, line in zip(traces, lines, strict=True):
        assert_tells(trace, line)
        assert len(trace.trajectory()) == len(trace.steps)
        assert trace.messages()[0].content == trace.system


def replies(trace: Trace) -> dict[str, list[Any]]:
    """The model's replies as a script, so that the traversal can be repeated."""
    script = defaultdict(list)
    for step in trace.steps:
        lines = script[f"{step.node}:{step.branch}" if step.branch else step.node]
        lines += [attempt.text for attempt in step.attempts]
        if step.failure and step.failure.boundary == "engine":
            lines.append(ConnectionError("refused"))
        elif step.text and not step.failure:
            lines.append(step.text)
    return {stop: lines for stop, lines in script.items() if lines}


def strategy_of(trace: Trace, **settings: Any) -> Strategy:
    settled = trace.strategy
    common = {
        "budget": settled.budget,
        "sampling": Sampling(**trace.provenance.sampling),
        "context_window": settled.context_window,
        "patience": AT_ONCE,
    }
    if settled.name == "graph":
        return GraphStrategy(limits=settled.limits, policy=settled.policy, **common, **settings)
    return GenerationStrategy(style=settled.name, reply_tokens=settled.reply_tokens, **common)


def model_of(trace: Trace) -> Any:
    if trace.provenance.model.startswith("ddxlab-teacher"):
        return Teacher(misread=0.5, overlooked=0.4, seed=1)
    made_by = trace.provenance
    metadata = {"engine": made_by.engine}
    return ScriptedChatModel(script=replies(trace), model_name=made_by.model, metadata=metadata)


@paths
@pytest.mark.usefixtures("log_odds")
def test_the_same_replies_make_the_same_traces_with_the_same_ids(path):
    """Interrupted traces and those with log-probabilities are left out: a trace does not hold what it takes to
    repeat them."""
    for line in golden(*path.relative_to(GOLDEN).parts).splitlines():
        trace = Trace.model_validate_json(line)
        if trace.ended != "interrupted" and trace.distribution_from != "logprobs":
            assert_tells(asyncio.run(strategy_of(trace)(trace.case, model_of(trace))), line)


def test_traces_come_to_the_same_journeys():
    traces = {trace.id: trace for trace in read_traces(GOLDEN / "traces.jsonl")}
    for line in map(json.loads, golden("compiled.jsonl").splitlines()):
        try:
            sample = compile_journey(traces[line["trace"]], line["style"], seed=3, tries=line["tries"])
            text = sample.messages[-1].content
        except CompileError:
            text = None
        assert text == line["text"]


# Run folders


def source(name: str) -> RunSource:
    """A run with the cases that it was made of."""
    cases = {"teacher": "lab", "cot": "lab", "vanilla": "lab"}.get(name, name)
    return RunSource(GOLDEN / "runs" / name, list(read_cases(GOLDEN / "cases" / f"{cases}.jsonl")))


@pytest.mark.parametrize("name", ["teacher", "cot", "vanilla", "ward", "free"])
async def test_a_run_goes_on_where_it_ended(name, tmp_path):
    folder = copied(f"runs/{name}", tmp_path / name)
    known = list(read_traces(folder / "traces.jsonl"))
    left = list(read_traces(folder / "errors.jsonl")) if (folder / "errors.jsonl").exists() else []
    cases = [entry.case for entry in source(name).cases]
    traces = run(cases, model_of(known[0]), strategy=strategy_of(known[0]), out=folder)
    assert [trace.id async for trace in traces] == [trace.id for trace in left]
    assert len(list(read_traces(folder / "traces.jsonl"))) == len(cases)


def test_a_run_is_shown_as_a_page(command, tmp_path):
    done = command("view", copied("runs/ward", tmp_path / "ward"), "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(trace.id in page for trace in read_traces(GOLDEN / "runs/ward/traces.jsonl"))


@pytest.mark.parametrize("name", ["teacher", "ward"])
def test_reviews_still_hold(name, command, tmp_path):
    done = command("review", copied(f"runs/{name}", tmp_path / name), "--summary", "--json")
    summary = json.loads(done.stdout)
    assert (summary["reviewed"], summary["outdated"], summary["accepted"]) == (1, 0, int(name == "ward"))
    assert summary["reviewers"][0]["reviewer"] == "Dr Lee"


# Sets of journeys


@pytest.fixture
def compiled(request, tmp_path) -> Path:
    """A set in the requested style, made by today's code."""
    style, config = request.param, GateConfig.model_validate(tomllib.loads(golden("gate.toml")))
    runs = [source("teacher")] if style == "graph" else [source("ward"), source("teacher")]
    make_journeys(runs, style, tmp_path / style, config=config)
    return tmp_path / style


def golden_set(style: str) -> dict[str, str]:
    """The files of a set, renewed. The four styles of the same runs share the gate's report in `longstep`."""
    names = {path.name: style for path in (GOLDEN / "sets" / style).iterdir()}
    places = {"gate.json": "longstep", "gate.md": "longstep"} | names
    files = {name: golden("sets", place, name) for name, place in places.items()}
    for old, new in REWRITTEN_IN.get(style, {}).items():
        files = {name: text.replace(old, new) for name, text in files.items()}
    return files


def without(record: Any, *names: str) -> Any:
    return {key: value for key, value in record.items() if key not in names}


def words_of(lines: str) -> dict[str, float]:
    """How the assistant's words are spread over the samples of a file."""
    counts = []
    for sample in map(json.loads, lines.splitlines()):
        replies = [turn["content"] for turn in sample["messages"] if turn["role"] == "assistant"]
        counts.append(len(" ".join(replies).split()))
    mean = round(fmean(counts), 1)
    return {"least": min(counts), "median": median(counts), "mean": mean, "most": max(counts)}


@pytest.mark.parametrize(("compiled", "style"), [(style, style) for style in STYLES], indirect=["compiled"])
def test_a_set_compiles_to_the_same_bytes(compiled, style):
    """All files, except for the version, and for hashes, sizes and word counts, which change with the version and
    with `REWRITTEN`: those are compared with today's files instead."""
    old = golden_set(style)
    new = {path.name: path.read_bytes().decode() for path in compiled.iterdir()}
    assert new.keys() == old.keys()
    for name in ("train.jsonl", "validation.jsonl"):
        assert new[name].encode() == old[name].encode()
    was, now = json.loads(old["journeys.json"]), json.loads(new["journeys.json"])
    assert now["files"].keys() == was["files"].keys()
    for name, file in now["files"].items():
        assert file == {"sha256": sha256(new[name].encode()).hexdigest(), "bytes": len(new[name].encode())}
    for side in ("train", "validation"):
        assert now[side].pop("words") == words_of(new[f"{side}.jsonl"])
        was[side].pop("words")
    assert [*differences(without(was, "files"), without(now, "files"))] == []
    assert [*differences(json.loads(old["gate.json"]), json.loads(new["gate.json"]))] == []
    rows = tuple(f"| {name} |" for name in now["files"])
    for name, file in now["files"].items():
        assert name == "README.md" or f"| {name} | {file['bytes']} | {file['sha256']} |" in new["README.md"]
    for name in ("gate.md", "README.md"):
        lines = old[name].replace(f"ddxgraph {VERSION}", f"ddxgraph {now['code_version']}").splitlines()
        pairs = zip(lines, new[name].splitlines(), strict=True)
        assert [(a, b) for a, b in pairs if a != b and not a.startswith(("| Words of the", *rows))] == []


@pytest.mark.parametrize("style", STYLES)
def test_a_set_is_read(style, tmp_path):
    folder = copied(f"sets/{style}", tmp_path / style)
    for name in golden_set(style).keys() - {path.name for path in folder.iterdir()}:
        copied(f"sets/longstep/{name}", folder / name)
    inspected = inspect_set(folder)
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    assert (list(inspected.changed), inspected.all.samples) == ([], len(lines))
    assert (inspected.train, inspected.validation) == (
        inspected.manifest.train,
        inspected.manifest.validation,
    )


def test_rewritings_are_found_again_and_nothing_is_asked(command, tmp_path):
    templates = {}
    for path in (GOLDEN / "sets/longmonolog").glob("*.jsonl"):
        for sample in map(json.loads, path.read_text(encoding="utf-8").splitlines()):
            templates[sample["meta"]["trace"]] = sample["messages"][-1]["content"]
    tries = [json.loads(line) for line in (GOLDEN / "rewrites/rewrites.jsonl").read_text().splitlines()]
    for record in tries:
        assert record["template"] == digest(templates[record["trace"]])
        record["template"] = digest(renewed(templates[record["trace"]]))
    store = tmp_path / "rewrites"
    store.mkdir()
    (store / "rewrites.jsonl").write_text("".join(json.dumps(record) + "\n" for record in tries))
    with scripted_server() as served:
        done = command(
            *("journeys", GOLDEN / "runs/teacher", "--cases", GOLDEN / "cases/lab.jsonl"),
            *("--config", GOLDEN / "gate.toml", "--style", "longmonolog", "--out", tmp_path / "set"),
            *("--rewrite", "--rewrites", store, "--base-url", served.base_url),
        )
        assert served.model.requests == []
    assert done.returncode == 0, done.stderr
    made = [json.loads(line) for path in (tmp_path / "set").glob("*.jsonl") for line in path.open()]
    accepted = {
        sample["meta"]["trace"]: sample["messages"][-1]["content"]
        for sample in made
        if sample["meta"]["wording"] == "rewritten"
    }
    assert accepted == {record["trace"]: record["text"] for record in tries if not record["faults"]}
    assert len(accepted) == 1


def digest(text: str) -> str:
    """The digest by which a rewriting names its template."""
    return sha256(text.encode()).hexdigest()[:16]


# Evaluations


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("lab", ["teacher", "cot", "vanilla", "--cases", GOLDEN / "cases/lab.jsonl"]),
        ("free", ["free", "--cases", GOLDEN / "cases/free.jsonl", "--judge", "only"]),
        ("jama", ["jama"]),
    ],
)
def test_an_evaluation_is_read_and_comes_to_the_same_numbers(name, args, command):
    old = golden("evaluations", f"{name}.json")
    if name == "jama":
        command("data", "import", "jama", GOLDEN / "cases/jama_raw.json")
    runs = {path.name: path for path in (GOLDEN / "runs").iterdir()}
    done = command("eval", *(runs.get(arg, arg) for arg in args), "--json")
    read = json.loads(Evaluation.model_validate_json(old).model_dump_json())
    for new in (read, json.loads(done.stdout)):
        assert [*differences(json.loads(old), new)] == []


# Checkpoints


async def test_a_traversal_that_was_kept_to_its_end_is_read(tmp_path, caplog):
    store = copied("checkpoints.sqlite", tmp_path / "walks.sqlite")
    [line] = [line for line in golden("traces.jsonl").splitlines() if "spent, compacted" in line]
    old = Trace.model_validate_json(line)
    model = ScriptedChatModel(model_name=old.provenance.model)
    async with AsyncSqliteSaver.from_conn_string(str(store)) as saver:
        trace = await strategy_of(old, checkpointer=saver)(old.case, model)
    assert_tells(trace, line)
    assert model.requests == []
    assert caplog.messages == []


@pytest.mark.usefixtures("log_odds")
def test_a_command_that_was_killed_goes_on_to_the_same_trace(command, tmp_path):
    store = copied("checkpoints.sqlite", tmp_path / "walks.sqlite")
    line = golden("solved.json")
    script = replies(Trace.model_validate_json(line))
    lines = {"check_evidence": script["check_evidence:B"], **script}
    with scripted_server(lines) as served:
        where = ("--checkpoints", store, "--base-url", served.base_url, "--json")
        done = command("solve", GOLDEN / "cases/solve.json", *where)
        asked = [request.node for request in served.model.requests]
    assert asked == ["check_evidence", "reflect", "conclude"]
    assert_tells(Trace.model_validate_json(done.stdout), line)
    with closing(sqlite3.connect(store)) as database:
        assert database.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)


# The improvement loop


def test_a_loop_goes_on_after_the_evaluation_that_it_has(tmp_path):
    loop, told = copied("loop", tmp_path / "loop") / "loop.toml", Told()
    ended = go(loop, Bench(), told)
    assert ended.state == "done"
    assert told.there == ["base: evaluate"]
