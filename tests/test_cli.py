"""The command line as a user meets it: streams, exit codes, sentences instead of tracebacks."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jsonschema
import pytest
from scripted_server import HttpError, scripted_server

from ddxgraph.batch.tracefile import read_traces
from ddxgraph.cli.schema import trace_schema
from ddxgraph.testing import Request

EXAMPLE = Path(__file__).parents[1] / "examples" / "pneumonia.json"
CASE = {
    "vignette": "A 67-year-old man has fever and a productive cough. No leg swelling.",
    "question": "What is the most likely diagnosis?",
    "options": {"A": "Influenza", "B": "Pneumonia", "C": "Pulmonary embolism"},
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ddxgraph(tmp_path: Path) -> Run:
    """Run the command in an empty folder, away from the user's environment."""

    def run(*args: str, stdin: str | None = None, env: Mapping[str, str] | None = None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DDXGRAPH_")}
        return subprocess.run(
            [sys.executable, "-m", "ddxgraph", *args],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**clean, "COLUMNS": "200", **(env or {})},
            timeout=120,
        )

    return run


@pytest.fixture
def server() -> Iterator[Mapping[str, str]]:
    """Environment that points at a scripted server."""
    with scripted_server({"conclude": {"justification": "It fits.", "answer": "B"}}) as served:
        yield {"DDXGRAPH_BASE_URL": served.base_url}


def test_solve_prints_the_answer_on_stdout_and_the_journey_on_stderr(ddxgraph, server, tmp_path):
    done = ddxgraph("solve", str(EXAMPLE), "--out", "trace.jsonl", env=server)
    assert done.returncode == 0, done.stderr
    assert "Answer: B. Infection with Streptococcus pneumoniae" in done.stdout
    assert "own answer is B: correct" in done.stdout
    assert "not a medical device" in done.stdout
    for title in ("History", "Differential", "Evidence on A", "Reflection", "Conclusion"):
        assert title in done.stderr
        assert title not in done.stdout
    [trace] = read_traces(tmp_path / "trace.jsonl")
    assert (trace.answer, trace.outcome, trace.ended) == ("B", "answered", "concluded")


def test_the_same_command_again_reads_the_trace_instead_of_computing_it(ddxgraph, server, tmp_path):
    first = ddxgraph("solve", str(EXAMPLE), "--out", "t.jsonl", "--json", env=server)
    again = ddxgraph("solve", str(EXAMPLE), "--out", "t.jsonl", "--json", env=server)
    assert again.returncode == 0
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert "already in t.jsonl" in again.stderr
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 1
    ddxgraph("solve", str(EXAMPLE), "--out", "t.jsonl", "--seed", "1", env=server)
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 2


def test_json_and_quiet_leave_one_valid_object_on_stdout_and_nothing_on_stderr(ddxgraph, server):
    done = ddxgraph("solve", "-", "--json", "--quiet", stdin=json.dumps(CASE), env=server)
    assert done.stderr == ""
    trace = json.loads(done.stdout)
    jsonschema.validate(trace, trace_schema())
    assert trace["answer"] == "B"


def test_text_with_options_and_without(ddxgraph, server):
    lettered = ddxgraph(
        "solve", "--text", "Fever.", "--option", "A=Influenza", "--option", "B = Pneumonia", env=server
    )
    assert "Answer: B. Pneumonia" in lettered.stdout
    free = ddxgraph("solve", "--text", "Fever and cough. What is it?", env=server)
    assert free.returncode == 0
    assert "Answer: B" in free.stdout


def test_schema_is_a_json_schema(ddxgraph):
    done = ddxgraph("schema")
    assert done.returncode == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


BAD_CASES = {
    "broken JSON": ("{", "broken JSON at line 1"),
    "empty": ("", "empty"),
    "unknown field": (json.dumps({**CASE, "diagnosis": "x"}), "unknown field 'diagnosis'"),
    "empty vignette": (json.dumps({**CASE, "vignette": "  "}), "vignette is empty"),
    "duplicate letters": ('{"vignette": "x", "options": {"A": "1", "A": "2"}}', "'A' occurs twice"),
    "one option": (json.dumps({**CASE, "options": {"A": "x"}}), "one option is no choice"),
    "too long": (json.dumps({**CASE, "vignette": "x" * 200_000}), "100000 characters"),
    "not an object": ("[1, 2]", "not list"),
    "foreign answer": (json.dumps({**CASE, "answer": "Z"}), "none of the options"),
    "two cases": (json.dumps(CASE) + "\n" + json.dumps(CASE), "2 cases"),
}


@pytest.mark.parametrize("name", BAD_CASES)
def test_a_bad_case_is_named_in_one_sentence(name, ddxgraph, server):
    text, said = BAD_CASES[name]
    done = ddxgraph("solve", "-", stdin=text, env=server)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["solve", "nowhere.json"], "no file 'nowhere.json'"),
        (["solve", "."], "is a folder"),
        (["solve"], "case file"),
        (["solve", "x.json", "--text", "y"], "either a case file"),
        (["solve", "--text", "x", "--option", "Influenza"], "LETTER=TEXT"),
        (["solve", "--text", "x", "--option", "A=1", "--option", "A=2"], "given twice"),
        (["solve", "--text", "x", "--max-tokens", "0"], "--max-tokens"),
        (["solve", "--text", "x", "--max-backtracks", "many"], "--max-backtracks"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_bad_command_line_ends_with_2(args, said, ddxgraph, server):
    done = ddxgraph(*args, env=server)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_case_beyond_the_context_window_is_refused_with_its_size(ddxgraph):
    with scripted_server(max_model_len=2_048) as served:
        case = json.dumps({**CASE, "vignette": "fever " * 2_000})
        done = ddxgraph("solve", "-", stdin=case, env={"DDXGRAPH_BASE_URL": served.base_url})
    assert done.returncode == 2
    assert "context window holds 2048" in done.stderr


def test_no_server_is_said_plainly(ddxgraph):
    done = ddxgraph("solve", "--text", "x", env={"DDXGRAPH_BASE_URL": "http://127.0.0.1:9/v1"})
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:9/v1" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_failing_midway_keeps_the_steps_and_exits_1(ddxgraph, tmp_path):
    with scripted_server({"reflect": HttpError(400)}) as served:
        env = {"DDXGRAPH_BASE_URL": served.base_url}
        done = ddxgraph("solve", "-", "--out", "t.jsonl", stdin=json.dumps(CASE), env=env)
    assert done.returncode == 1
    assert "No answer (error)" in done.stdout
    assert "Traceback" not in done.stderr
    [trace] = read_traces(tmp_path / "t.jsonl")
    assert [step.node for step in trace.steps][-1] == "reflect"
    assert trace.failure is not None
    assert trace.failure.boundary == "engine"
    assert len(trace.steps) == 6


def test_a_trace_file_that_cannot_be_written_is_named(ddxgraph, server, tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    done = ddxgraph("solve", "-", "--out", "taken/t.jsonl", stdin=json.dumps(CASE), env=server)
    assert done.returncode == 2
    assert "taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("place", ["taken/t.jsonl", "t.jsonl"])
def test_the_trace_file_is_tried_before_the_model_is_asked(ddxgraph, tmp_path, place):
    (tmp_path / "taken").write_text("a file where a folder should be")
    (tmp_path / "t.jsonl").write_text("my notes")
    with scripted_server({}) as served:
        env = {"DDXGRAPH_BASE_URL": served.base_url}
        done = ddxgraph("solve", "-", "--out", place, stdin=json.dumps(CASE), env=env)
        assert served.model.requests == []
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("args", "imported"),
    [
        ((), "ddxgraph.cli"),
        ((), "typer"),
        (("solve", "-"), "ddxgraph.graph.plan"),
        (("solve", "-"), "langgraph.graph"),
    ],
)
def test_ctrl_c_during_imports_is_no_traceback(args, imported):
    """At any moment of them: here as the import of a module begins."""
    script = (
        "import builtins, runpy, sys\n"
        "begin = builtins.__import__\n"
        "def interrupted(name, *rest, **named):\n"
        f"    if name == {imported!r}:\n"
        "        raise KeyboardInterrupt\n"
        "    return begin(name, *rest, **named)\n"
        "builtins.__import__ = interrupted\n"
        f"sys.argv = ['ddxgraph', *{list(args)!r}]\n"
        "runpy.run_module('ddxgraph', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(CASE), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr


def test_a_foreign_trace_file_is_not_appended_to(ddxgraph, server, tmp_path):
    (tmp_path / "t.jsonl").write_text('{"something": "else"}\n')
    done = ddxgraph("solve", "-", "--out", "t.jsonl", stdin=json.dumps(CASE), env=server)
    assert done.returncode == 2
    assert "line 1: not a trace" in done.stderr
    assert (tmp_path / "t.jsonl").read_text() == '{"something": "else"}\n'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_keeps_the_steps_so_far_and_says_so(tmp_path, number):
    asked, released = threading.Event(), threading.Event()

    def hang(request: Request) -> dict[str, object]:
        asked.set()
        released.wait(30)
        return {}

    with scripted_server({"reflect": hang}) as served:
        case = tmp_path / "case.json"
        case.write_text(json.dumps(CASE))
        process = subprocess.Popen(
            [sys.executable, "-m", "ddxgraph", "solve", str(case), "--out", str(tmp_path / "t.jsonl")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DDXGRAPH_BASE_URL": served.base_url},
            # A shell that runs the tests in the background has them ignore the signal, and children inherit it.
            preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
        )
        assert asked.wait(60)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        released.set()
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    [trace] = read_traces(tmp_path / "t.jsonl")
    assert (trace.outcome, trace.ended) == ("error", "interrupted")
    assert [step.node for step in trace.steps] == [
        "review_history",
        "generate_differential",
        *["check_evidence"] * 3,
    ]
