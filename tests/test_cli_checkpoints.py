"""`--checkpoints`: a command that was killed goes on from its last step, in an SQLite file and in PostgreSQL."""

import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from scripted_server import HttpError, scripted_server

from ddxgraph.common.extras import install

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
CASE = {
    "id": "cough",
    "vignette": "A 67-year-old man has fever and a productive cough. No leg swelling.",
    "question": "What is the most likely diagnosis?",
    "options": {"A": "Influenza", "B": "Pneumonia"},
}
FITS = {"justification": "It fits.", "answer": "B"}
PASSWORD = "p%40ss-word"


pytestmark = pytest.mark.slow


def ordinary_user():
    """Whom to run PostgreSQL as: it refuses root."""
    if os.geteuid():
        return None
    return next(
        (name for name in ("postgres", "nobody") if name in {u.pw_name for u in pwd.getpwall()}), None
    )


@pytest.fixture(scope="module")
def postgres():
    """URL of a private PostgreSQL server on a free loopback port."""
    found = PROGRAMS[-1] if PROGRAMS else Path(shutil.which("postgres") or "/nowhere/postgres").parent
    if not (found / "initdb").exists():
        pytest.skip("no PostgreSQL server programs (initdb, postgres) are installed")
    user = ordinary_user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = Path(tempfile.mkdtemp())
    if user:
        shutil.chown(home, user)
    secret = home / "password"
    secret.write_text("p@ss-word")
    secret.chmod(0o644)
    options = {"user": user, "cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(
        [
            found / "initdb",
            "-D",
            home / "data",
            "-U",
            "ward",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "-N",
        ],
        check=True,
        timeout=120,
        **options,
    )
    server = subprocess.Popen(
        [found / "postgres", "-D", home / "data", "-p", str(port), "-k", home, "-h", "127.0.0.1", "-F"],
        **options,
    )
    try:
        for _ in range(200):
            ready = subprocess.run([found / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])
            if ready.returncode == 0:
                break
            time.sleep(0.05)
        yield f"postgresql://ward:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        shutil.rmtree(home)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request, tmp_path):
    """Where checkpoints are kept."""
    if request.param == "sqlite":
        return str(tmp_path / "new folder" / "walks.sqlite")
    return request.getfixturevalue("postgres")


def rows(store):
    """What is kept there."""
    tables = ("checkpoints", "writes") if "://" not in store else ("checkpoints", "checkpoint_writes")
    if "://" in store:
        import psycopg

        with psycopg.connect(store) as database:
            return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
    with closing(sqlite3.connect(store)) as database:
        return sum(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


def settled(store):
    """Wait until the writes that go on beside a call in flight have ended: their number stays the same."""
    last = -1
    while last != (last := rows(store)):
        time.sleep(0.2)


@contextmanager
def command(folder, *args, base_url=None):
    """A `ddxgraph` command as a process of its own, at work."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DDXGRAPH_")}
    with subprocess.Popen(
        [sys.executable, "-m", "ddxgraph", *map(str, args)],
        cwd=folder,
        env={**clean, "COLUMNS": "200"} | ({"DDXGRAPH_BASE_URL": base_url} if base_url else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Shells start what runs in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(folder, *args, base_url=None):
    with command(folder, *args, base_url=base_url) as process:
        stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)


class Gate:
    """A line of the script that answers once the test lets it."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, request):
        self.reached.set()
        self.opened.wait(60)
        return {**FITS}


@pytest.fixture
def case(tmp_path):
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**CASE, "answer": "B"}))
    return path


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_a_command_that_was_broken_off_goes_on_from_its_last_step(stop, store, case, tmp_path):
    gate = Gate()
    with scripted_server({"conclude": [gate, FITS]}) as served:
        asked = served.model.requests
        with command(tmp_path, "solve", case, "--checkpoints", store, base_url=served.base_url) as process:
            assert gate.reached.wait(60)
            before = len(asked)
            if stop == signal.SIGKILL:
                settled(store)
            process.send_signal(stop)
            _, said = process.communicate(timeout=20)
        gate.opened.set()
        assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
        done = finished(tmp_path, "solve", case, "--checkpoints", store, base_url=served.base_url)
    assert done.returncode == 0, done.stderr
    assert [request.node for request in asked[before:]] == ["conclude"]
    assert "Answer: B. Pneumonia" in done.stdout
    for title in ("History", "Differential", "Evidence on A", "Evidence on B", "Reflection", "Conclusion"):
        assert done.stderr.count(title) == 1
    assert rows(store) == 0
    assert_clean(said + done.stderr)
    if stop == signal.SIGINT:
        kept_in = "the PostgreSQL database" if "://" in store else store
        assert f"the steps so far are in {kept_in}; the same command goes on from there" in said


def assert_clean(said):
    for trouble in (
        "Traceback",
        "Warning",
        "Blocked",
        "Deserializing",
        PASSWORD,
        "p@ss-word",
        "error connecting",
    ):
        assert trouble not in said


def test_a_walk_that_the_engine_failed_is_kept_and_goes_on(store, case, tmp_path):
    with scripted_server({"conclude": [HttpError(400), FITS]}) as served:
        args = ("solve", case, "--checkpoints", store, "--json")
        failed = finished(tmp_path, *args, base_url=served.base_url)
        before = len(served.model.requests)
        done = finished(tmp_path, *args, base_url=served.base_url)
        assert (failed.returncode, done.returncode) == (1, 0), failed.stderr + done.stderr
        assert "the same command goes on from there" in failed.stderr
        assert len(served.model.requests) == before + 1
    assert json.loads(done.stdout)["answer"] == "B"
    assert rows(store) == 0
    assert_clean(failed.stderr + done.stderr)


def test_steps_that_a_crash_left_behind_a_saved_trace_are_taken_out(case, tmp_path):
    store = str(tmp_path / "walks.sqlite")
    with scripted_server({"conclude": [HttpError(400), FITS]}) as served:
        finished(tmp_path, "solve", case, "--checkpoints", store, base_url=served.base_url)
        assert rows(store) > 0
        args = ("solve", case, "--out", "t.jsonl")
        assert finished(tmp_path, *args, base_url=served.base_url).returncode == 0
        assert finished(tmp_path, *args, "--checkpoints", store, base_url=served.base_url).returncode == 0
    assert rows(store) == 0


def test_a_run_leaves_no_steps_of_what_is_saved(store, tmp_path):
    lines = [json.dumps({**CASE, "id": f"case {n}", "vignette": f"Fever, bed {n}."}) for n in range(12)]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    with scripted_server({"conclude": FITS}) as served:
        done = finished(
            tmp_path, "run", "cases.jsonl", "--out", "r", "--checkpoints", store, base_url=served.base_url
        )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "r" / "traces.jsonl").read_text().splitlines()) == 12
    assert rows(store) == 0
    assert_clean(done.stderr)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("text.sqlite", "file is not a database"),
        ("postgresql://ward:s3cret@127.0.0.1:1/x", "Connection refused"),
    ],
)
def test_a_place_that_cannot_keep_checkpoints_is_named_in_one_sentence(where, said, case, tmp_path):
    (tmp_path / "text.sqlite").write_text("no database at all, but a text of some length " * 50)
    assert_refused(tmp_path, case, where, said)


def assert_refused(folder, case, where, said):
    with scripted_server() as served:
        done = finished(folder, "solve", case, "--checkpoints", where, "-q", base_url=served.base_url)
        assert served.model.requests == []
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ddxgraph: ")
    assert "s3cret" not in done.stderr
    assert "ward:" not in done.stderr


def test_a_wrong_password_is_not_repeated(postgres, case, tmp_path):
    wrong = postgres.replace(PASSWORD, "s3cret")
    assert_refused(tmp_path, case, wrong, 'password authentication failed for user "ward"')


WITHOUT = """
import sys
MODULE = sys.argv[1]
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(MODULE):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
sys.argv = ["ddxgraph", *sys.argv[2:]]
from ddxgraph.cli import main
main()
"""


@pytest.mark.parametrize(
    ("where", "module", "extra"),
    [
        ("walks.sqlite", "langgraph.checkpoint.sqlite", "checkpoints"),
        ("postgresql://ward:s3cret@127.0.0.1:1/x", "psycopg", "postgres"),
    ],
)
def test_a_missing_extra_is_named(where, module, extra, case, tmp_path):
    with scripted_server() as served:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, module, "solve", str(case), "-q", "--checkpoints", where],
            cwd=tmp_path,
            env={**os.environ, "DDXGRAPH_BASE_URL": served.base_url, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 1
    assert install(extra) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "s3cret" not in done.stderr
