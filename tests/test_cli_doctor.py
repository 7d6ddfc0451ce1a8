"""`ddxgraph doctor` as a user meets it: streams, exit codes, 80 columns."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping

import pytest
from scripted_server import HttpError, Page, scripted_server

from ddxgraph import read_cases
from ddxgraph.cli.serving.findings import ORDINARY, needed, rows
from ddxgraph.common.errors import CaseTooLong
from ddxgraph.graph.plan import plan
from ddxgraph.serving.doctor.finding import NAMES, Finding, Status
from ddxgraph.serving.doctor.machine import NAMES as MACHINE_NAMES
from ddxgraph.testing import ScriptedChatModel

KEY = "sk-very-secret-0123456789"


def environment(served=None, **more: str) -> Mapping[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("DDXGRAPH_")}
    where = {"DDXGRAPH_BASE_URL": served.base_url} if served else {}
    return {**clean, "NO_PROXY": "127.0.0.1", "COLUMNS": "80", **where, **more}


def doctor(*args: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ddxgraph", "doctor", *args]
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def test_each_finding_is_a_line_of_80_columns_on_stdout_and_the_progress_is_on_stderr():
    with scripted_server() as served:
        done = doctor(env=environment(served))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    words = {status.value for status in Status}
    named = [line for line in lines if line.partition(" ")[0] in words]
    assert [next(n for n in (*NAMES, *MACHINE_NAMES) if line[9:].startswith(n)) for line in named] == [
        *NAMES,
        *MACHINE_NAMES,
    ]
    assert lines[-1].startswith("The graph can run here (")
    assert "looking at JSON schema" in done.stderr
    assert "looking at" not in done.stdout
    assert "\x1b" not in done.stdout


def test_the_status_alone_is_coloured_and_the_mend_stands_below_the_value():
    finding = Finding(name="GPU", status=Status.MISSING, value="none " * 20, cost="slow", mend="buy one")
    lines = rows(finding, 60)
    assert [line.plain for line in lines[-2:]] == [" " * 28 + "slow", " " * 28 + "mend: buy one"]
    assert len(lines) == 6
    assert [(span.start, span.end) for line in lines for span in line.spans] == [(0, len("skipped"))]
    assert not any(line.style for line in lines)


def test_where_the_graph_cannot_run_the_exit_code_is_1_and_the_last_line_says_why():
    with scripted_server({"odd": "Hello!"}) as served:
        done = doctor("--quiet", env=environment(served))
    assert done.returncode == 1
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "The graph cannot run here: JSON schema."
    assert "mend: serve the model with an engine that enforces" in done.stdout


def test_json_holds_the_findings_and_the_verdict():
    with scripted_server() as served:
        done = doctor("--json", "--quiet", env=environment(served))
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["endpoint"] == served.base_url
    assert said["can_run"] is True
    assert said["verdict"].startswith("The graph can run here")
    assert [finding["name"] for finding in said["findings"]] == [*NAMES, *MACHINE_NAMES]
    assert set(said["findings"][0]) == {"name", "status", "value", "cost", "mend"}


def test_nobody_there_is_a_sentence_and_the_machine_is_described_all_the_same():
    with scripted_server() as served:
        pass
    done = doctor("--base-url", served.base_url, env=environment())
    assert done.returncode == 1
    assert "no server answers" in done.stdout
    assert "Traceback" not in done.stderr
    assert "ok       hardware" in done.stdout
    assert done.stdout.splitlines()[-1] == "The graph cannot run here: reachable."


def test_the_key_is_not_shown():
    pages = {"/v1/load_lora_adapter": Page(500, {"error": {"message": f"bad key {KEY}"}})}
    script = {"odd": f"Your key is {KEY}", "conclude": HttpError(401)}
    with scripted_server(script, api_key=KEY, pages=pages) as served:
        done = doctor(env=environment(served, DDXGRAPH_API_KEY=KEY))
    assert done.returncode == 1
    assert "Your key is ***" in done.stdout
    assert KEY not in done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_it_with_130_and_a_word():
    over = threading.Event()

    def hang(request):
        over.wait(60)
        return "{}"

    with scripted_server({"odd": hang}) as served:
        command = [sys.executable, "-m", "ddxgraph", "doctor"]
        with subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(served),
            # Whoever runs the tests in the background may have had it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as running:
            try:
                assert any("looking at JSON schema" in line for line in running.stderr)
                running.send_signal(signal.SIGINT)
                _, said = running.communicate(timeout=30)
            finally:
                over.set()
                running.kill()
    assert running.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said


def test_the_help_explains_each_finding():
    done = doctor("--help", env=environment())
    for name in (*NAMES, *MACHINE_NAMES):
        assert name in done.stdout, name


def test_the_least_window_is_the_one_below_which_the_graph_refuses_an_ordinary_case():
    model = ScriptedChatModel()
    least = needed(model).least
    plan(model, context_window=least).setting(ORDINARY)
    with pytest.raises(CaseTooLong):
        plan(model, context_window=least - 1).setting(ORDINARY)
    example = next(read_cases("examples/pneumonia.json")).case
    plan(model, context_window=least).setting(example)
