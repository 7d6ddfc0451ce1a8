"""`ddxgraph improve` as a user meets it, as far as that takes no engine: settings, refusals, exit codes."""

import json
import os
import signal
import subprocess
import sys
import threading
import tomllib

import pytest
from commandline import Done, ddxgraph
from loops import CONFIG, TRAIN, Bench, Told, go, trace_ids, write_cases, write_loop
from scripted_server import scripted_server

from ddxgraph.training.loop.config import default_toml, read_loop
from ddxgraph.training.loop.folder import open_loop


@pytest.fixture
def improve(tmp_path):
    """The command, with an empty data folder."""

    def run(*args, env: dict[str, str] | None = None) -> Done:
        return ddxgraph("improve", *args, env={"DDXGRAPH_CACHE": str(tmp_path / "cache"), **(env or {})})

    return run


def said(done: Done) -> str:
    return " ".join(done.stderr.split())


def test_the_settings_are_printed(improve, tmp_path):
    done = improve("default-config")
    assert (done.returncode, done.stdout, done.stderr) == (0, default_toml(), "")
    assert tomllib.loads(done.stdout)["rounds"] == 2


def test_the_help_says_what_it_is_not():
    done = ddxgraph("--help", env={"COLUMNS": "200"})
    assert "improve" in done.stdout
    assert "not a medical device" in done.stdout


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("rouns = 2", "unknown key rouns; the nearest valid key is rounds"),
        ("rounds = 2\n[gate.length]\nmin_steps = -1", "length.min_steps"),
        ("[train]\npreset = 'none'", "there is no preset 'none'"),
        ("base_model = './nowhere'", "base_model: no folder"),
        ("[generate]\ncases = 'missing.jsonl'", "no file"),
        ("[generate]\nsplit = 'none'", "medqa has no split 'none'"),
        (
            "[generate]\ncases = 'train.jsonl'\n[evaluate]\ncases = 'train.jsonl'",
            "must be evaluated on cases that it",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(improve, tmp_path, text, wrong):
    path = write_loop(tmp_path, text)
    done = improve(path)
    assert (done.returncode, done.stdout) == (2, "")
    assert wrong in said(done)
    assert not path.with_suffix("").exists()


def test_a_benchmark_that_is_not_there_is_told_how_to_get(improve, tmp_path):
    done = improve(write_loop(tmp_path, ""))
    assert done.returncode == 2
    assert "medqa train is not on this machine" in said(done)


def test_test_sets_that_are_missing_are_told_before_hours_of_generation(improve, tmp_path):
    path = write_loop(tmp_path, CONFIG.replace("[gate.decontamination]\nenabled = false\n", ""))
    done = improve(path)
    assert done.returncode == 2
    assert "medqa" in said(done).lower()
    assert not path.with_suffix("").exists()


def test_without_a_server_it_says_how_to_name_one(improve, tmp_path):
    done = improve(write_loop(tmp_path))
    assert done.returncode == 1
    assert "base: serve" in said(done)
    assert "set base_url under [engine], or DDXGRAPH_BASE_URL" in said(done)


def test_a_server_that_does_not_answer_is_named(improve, tmp_path):
    done = improve(write_loop(tmp_path), env={"DDXGRAPH_BASE_URL": "http://127.0.0.1:9/v1"})
    assert done.returncode == 1
    assert "no server answers at http://127.0.0.1:9/v1" in said(done)


def test_a_changed_loop_is_refused_by_its_fields(improve, tmp_path):
    path = write_loop(tmp_path)
    improve(path)
    path.write_text(CONFIG.replace("samples = 1", "samples = 2"))
    done = improve(path)
    assert done.returncode == 2
    assert "config.generate.samples was 1, now 2" in said(done)
    write_cases(tmp_path / "train.jsonl", TRAIN[:3])
    assert "generate.count was 4, now 3" in said(improve(path))


def test_a_loop_that_is_at_work_is_not_entered(improve, tmp_path):
    path = write_loop(tmp_path)
    go(path, Bench())
    from ddxgraph.training.loop.cases import cases_of
    from ddxgraph.training.loop.folder import LoopManifest

    file = read_loop(path)
    digests = [cases_of(work, file).digest for work in (file.config.generate, file.config.evaluate)]
    with open_loop(path.with_suffix(""), LoopManifest.of(file.config, *digests)):
        done = improve(path)
    assert done.returncode == 2
    assert "a loop is at work in" in said(done)


def test_a_loop_that_is_done_is_told_of_without_an_engine(improve, tmp_path):
    path = write_loop(tmp_path)
    go(path, Bench({"base": 4}))
    done = improve(path, env={"COLUMNS": "120"})
    assert done.returncode == 0
    assert "base: evaluate is done already" in done.stderr
    assert "the adapter to use:" in done.stdout
    assert "round-02/adapter" in done.stdout.replace("\n", "")
    assert "not a medical device" in done.stdout
    told = json.loads(improve(path, "--json", "--quiet").stdout)
    assert (told["state"], len(told["rounds"])) == ("done", 2)
    assert improve(path, "--json", "--quiet").stderr == ""


def test_a_loop_that_its_rule_stopped_ends_with_exit_code_1(improve, tmp_path):
    path = write_loop(tmp_path)
    go(path, Bench({"round-01": 0}), Told())
    done = improve(path)
    assert done.returncode == 1
    assert "the adapter is not kept: it is worse" in said(done)
    assert (path.with_suffix("") / "summary.html").is_file()


def test_another_folder_can_be_named(improve, tmp_path):
    improve(write_loop(tmp_path), "--out", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "loop.json").is_file()


def heed_signals() -> None:
    """Undo what the shell that started the tests has them ignore; children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_ends_it_at_once_and_keeps_what_has_ended(tmp_path, number):
    """Of eight validation cases, taken one by one, the third is never answered."""
    path = write_loop(tmp_path, CONFIG.replace("[evaluate]", "[evaluate]\nconcurrency = 1"))
    asked, opened = [], threading.Event()

    def answer(_request: object) -> str:
        asked.append(None)
        if len(asked) == 3:
            held.release()
            opened.wait(60)
        return "Answer: A"

    held = threading.Semaphore(0)
    users = {name: value for name, value in os.environ.items() if not name.startswith("DDXGRAPH_")}
    with scripted_server({"generate": answer}) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "ddxgraph", "improve", str(path)],
            env={**users, "DDXGRAPH_BASE_URL": server.base_url},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,
        )
        assert held.acquire(timeout=60)
        process.send_signal(number)
        _, said = process.communicate(timeout=10)
        opened.set()
    assert process.returncode == 130, said
    assert "interrupted; the same command goes on from there" in said
    assert "Traceback" not in said
    assert len(trace_ids(path.with_suffix(""))) == 2
