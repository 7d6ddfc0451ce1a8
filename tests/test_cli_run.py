"""`ddxgraph run` as a user meets it: a folder, two streams, exit codes, signals; the real command over HTTP."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from benchmarkmaker import JAMA_OTHER, JAMA_TEST, jama_record
from commandline import ddxgraph
from journeys import prompt_of
from scripted_server import Dropped, HttpError, scripted_server

from ddxgraph.batch.folder import ERRORS, LOCK, MANIFEST, TRACES
from ddxgraph.batch.runner import GRACE_S
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.eval.benchmarks.jama import import_jama
from ddxgraph.testing import Request, smallest

OPTIONS = {"A": "Influenza", "B": "Pneumonia", "C": "Pulmonary embolism"}
FREE_GOLD = "legionnaires disease of the old kind"
ANSWER_B = {"justification": "It fits.", "answer": "B"}


def case(number: int, **fields: Any) -> dict[str, Any]:
    vignette = f"Patient {number} has fever and a productive cough."
    return {"id": f"case-{number}", "vignette": vignette, "options": OPTIONS, **fields}


def free_case(number: int, **fields: Any) -> dict[str, Any]:
    return case(number, **fields) | {"options": None, "question": "What is it?"}


def heed_signals() -> None:
    """Undo what the shell or `nohup` that started the tests has them ignore; children inherit that."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Place:
    """An empty folder with a case file, where the command is run, away from the user's environment."""

    def __init__(self, path: Path, base_url: str = "") -> None:
        self.path = path
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("DDXGRAPH_")} | {"COLUMNS": "200"}
        if base_url:
            self.env["DDXGRAPH_BASE_URL"] = base_url

    def cases(self, cases: Sequence[Mapping[str, Any]]) -> None:
        (self.path / "cases.jsonl").write_text("".join(json.dumps(one) + "\n" for one in cases))

    def start(self, *args: str, out: str = "run", **given: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *given.pop("shell", ()),
                sys.executable,
                "-m",
                "ddxgraph",
                "run",
                "cases.jsonl",
                "--out",
                out,
                *args,
            ],
            cwd=self.path,
            env=self.env | given.pop("env", {}),
            text=True,
            preexec_fn=heed_signals,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given},
        )

    def run(self, *args: str, **given: Any) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, **given)
        try:
            stdout, stderr = process.communicate(timeout=120)
        finally:
            process.kill()
        assert "Traceback" not in (stderr or "")
        return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)

    def traces(self, out: str = "run", name: str = TRACES) -> list[str]:
        """Case ids of a run's traces; reads them all, so that none can be torn."""
        return sorted(trace.case.id for trace in read_traces(self.path / out / name))


class Gate:
    """Lets some requests through, and holds the others until it is opened."""

    def __init__(self, through: int, then: Any = None) -> None:
        self._through, self._then = threading.Semaphore(through), then
        self.held, self.opened = threading.Semaphore(0), threading.Event()

    def __call__(self, request: Request) -> Any:
        if self.opened.is_set() or self._through.acquire(blocking=False):
            return smallest(request.schema)
        self.held.release()
        self.opened.wait(60)
        return self._then or smallest(request.schema)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.cases([case(1)])
    return found


@pytest.fixture
def served(place: Place) -> Iterator[Any]:
    """A server that answers B; the place's environment points at it."""
    with scripted_server({"conclude": ANSWER_B}) as server:
        place.env["DDXGRAPH_BASE_URL"] = server.base_url
        yield server


class Finished(NamedTuple):
    """A run that is over, and the same command again."""

    place: Place
    prompts: Sequence[str]
    """All that the server was sent."""
    first: subprocess.CompletedProcess[str]
    before: bytes
    """The traces as the first command left them."""
    asked_again: int
    """Requests that the second command sent."""
    again: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    with scripted_server({"conclude": ANSWER_B}) as server:
        place = Place(tmp_path_factory.mktemp("finished"), server.base_url)
        place.cases([case(1, answer="B"), case(2, answer="C"), case(3), free_case(4, answer=FREE_GOLD)])
        first = place.run(out="runs/pilot")
        before, asked = (place.path / "runs/pilot" / TRACES).read_bytes(), len(server.model.requests)
        again = place.run("--json", out="runs/pilot")
        prompts = [prompt_of(request) for request in server.model.requests]
        yield Finished(place, prompts, first, before, len(prompts) - asked, again)


def test_a_run_leaves_its_manifest_its_traces_and_its_errors(finished):
    folder = finished.place.path / "runs/pilot"
    assert finished.first.returncode == 0, finished.first.stderr
    assert {file.name for file in folder.iterdir()} == {MANIFEST, TRACES, ERRORS, LOCK}
    assert json.loads((folder / MANIFEST).read_text())["cases"]["count"] == 4
    assert finished.place.traces("runs/pilot") == ["case-1", "case-2", "case-3", "case-4"]
    assert (folder / ERRORS).read_bytes() == b""


def test_results_go_to_stdout_and_remarks_to_stderr(finished):
    assert "4 of 4 traversals are in runs/pilot in 0:0" in finished.first.stdout
    assert "traces/s" in finished.first.stdout
    assert finished.first.stderr == "scripted on tests; text stays on this machine\n"


def test_accuracy_counts_the_cases_that_have_a_gold_letter(finished):
    assert "accuracy 50.0% (1 of 2)" in finished.first.stdout


def test_no_gold_answer_is_in_any_request_trace_or_manifest(finished):
    folder = finished.place.path / "runs/pilot"
    seen = [*finished.prompts, *((folder / name).read_text() for name in (MANIFEST, TRACES, ERRORS))]
    assert len(seen) > 20
    assert not [text for text in seen if FREE_GOLD in text]


def test_the_same_command_again_does_nothing(finished):
    assert finished.again.returncode == 0
    assert finished.asked_again == 0
    assert (finished.place.path / "runs/pilot" / TRACES).read_bytes() == finished.before
    assert "4 of 4 traversals are in runs/pilot already" in finished.again.stderr


def test_the_json_summary_stands_alone_on_stdout(finished):
    summary = json.loads(finished.again.stdout)
    assert summary["folder"] == "runs/pilot"
    assert (summary["total"], summary["done"], summary["before"]) == (4, 4, 4)
    assert (summary["correct"], summary["judged"]) == (1, 2)
    assert summary["outcomes"] == {"answered": 4}


@pytest.mark.slow
def test_gold_answers_that_are_added_later_change_neither_run_nor_prompts(place, served):
    assert place.run().returncode == 0
    asked = len(served.model.requests)
    place.cases([case(1, answer="B")])
    again = place.run("--json")
    assert again.returncode == 0
    assert len(served.model.requests) == asked
    assert json.loads(again.stdout)["correct"] == 1


def test_quiet_is_silent_on_stderr(place, served):
    done = place.run("--quiet")
    assert done.returncode == 0
    assert done.stderr == ""


def test_every_sample_of_a_case_has_its_own_seed(place, served):
    done = place.run("--samples", "3", "--temperature", "0.7", "--seed", "5")
    assert done.returncode == 0
    assert "alike" not in done.stderr
    traces = list(read_traces(place.path / "run" / TRACES))
    assert sorted(trace.sample for trace in traces) == [0, 1, 2]
    assert len({trace.id for trace in traces}) == 3
    sent = {(request.options["seed"], request.options["temperature"]) for request in served.model.requests}
    assert sent == {(5, 0.7), (6, 0.7), (7, 0.7)}


@pytest.mark.slow
def test_samples_at_temperature_zero_are_warned_of(place, served):
    done = place.run("--samples", "2")
    assert "samples of a case will be alike" in done.stderr
    assert done.returncode == 0


def test_a_changed_manifest_is_refused_by_the_field_and_forked_on_demand(place, served):
    place.cases([case(1), case(2)])
    assert place.run().returncode == 0
    asked = len(served.model.requests)
    before = {file: file.read_bytes() for file in (place.path / "run").iterdir() if file.name != LOCK}
    place.cases([case(1), case(2), case(3)])
    refused = place.run()
    assert refused.returncode == 2
    assert "cases.count was 2, now 3" in refused.stderr
    assert len(served.model.requests) == asked
    assert {file: file.read_bytes() for file in before} == before
    forked = place.run("--fork", "--json")
    assert forked.returncode == 0, forked.stderr
    assert "run-2 is a fork of run" in forked.stderr
    summary = json.loads(forked.stdout)
    assert (summary["folder"], summary["before"], summary["done"]) == ("run-2", 2, 3)
    assert place.traces("run-2") == ["case-1", "case-2", "case-3"]


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "no file 'cases.jsonl'"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is a pipe or a device"),
    "a malformed line": (lambda path: path.open("a").write("{}\n"), "cases.jsonl, line 2: vignette"),
    "a torn line": (lambda path: path.open("a").write('{"vign'), "cases.jsonl, line 2: broken JSON"),
    "two cases of one id": (
        lambda path: path.open("a").write(json.dumps(case(2, id="case-1")) + "\n"),
        "two different cases have the id 'case-1'",
    ),
    "two answers to one case": (
        lambda path: path.write_text(
            "".join(json.dumps(case(1, answer=letter)) + "\n" for letter in "AB"),
        ),
        "the case 'case-1' occurs twice, with two different answers",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_case_file_is_named_before_anything_is_started(name, place):
    spoil, said = BAD_FILES[name]
    spoil(place.path / "cases.jsonl")
    # With no server there: had it been looked for first, that would be said.
    done = place.run("--base-url", "http://127.0.0.1:9/v1")
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert not (place.path / "run").exists()


@pytest.mark.slow
def test_a_file_in_the_place_of_the_run_folder_is_named(place, served):
    (place.path / "run").write_text("mine")
    done = place.run()
    assert done.returncode == 2
    assert "run cannot be a run's folder: a file is in its place" in done.stderr
    assert (place.path / "run").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--base-url", "http://127.0.0.1:9/v1"], "no server answers at http://127.0.0.1:9/v1"),
        (["--model", "other"], "model 'other' is not served"),
    ],
)
def test_no_server_and_no_such_model_are_said_before_any_folder_is_made(args, said, place, served):
    done = place.run(*args)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (place.path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [(401, "authentication", "check the API key"), (404, "model_not_found", "check the model's name")],
)
def test_an_engine_that_refuses_everything_ends_the_run_early(status, kind, said, place):
    place.cases([case(number) for number in range(100)])
    with scripted_server({"review_history": HttpError(status)}) as server:
        done = place.run("--json", "--concurrency", "4", "--base-url", server.base_url)
        asked = len(server.model.requests)
    assert done.returncode == 1
    [sentence] = [line for line in done.stderr.splitlines() if line.startswith("ddxgraph:")]
    assert "failures in a row" in sentence
    assert said in sentence
    assert asked < 40
    assert json.loads(done.stdout)["errors"].keys() == {kind}


@pytest.mark.slow
def test_a_call_that_keeps_failing_costs_its_own_traversal_only_and_is_tried_again(place):
    place.cases([case(1), case(2)])
    answers = iter([HttpError(500)] * 4)

    def ailing(request: Request) -> Any:
        return next(answers, None) if "Patient 2 " in prompt_of(request) else smallest(request.schema)

    with scripted_server({"reflect": lambda request: ailing(request) or smallest(request.schema)}) as server:
        place.env["DDXGRAPH_BASE_URL"] = server.base_url
        failed = place.run("--json")
        again = place.run("--json")
    assert failed.returncode == 1
    assert "1 traversals failed: see run/errors.jsonl" in failed.stderr
    summary = json.loads(failed.stdout)
    assert (summary["done"], summary["errors"], summary["calls_made_again"]) == (
        1,
        {"server": 1},
        {"server": 3},
    )
    assert place.traces(name=ERRORS) == ["case-2"]
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["before"] == 1
    assert place.traces() == ["case-1", "case-2"]


def test_a_run_outlasts_an_engine_that_is_stopped_and_started_again(place):
    place.cases([case(number) for number in range(5)])
    gate = Gate(through=2, then=Dropped())
    with scripted_server({"reflect": gate}) as server:
        process = place.start("--json", "--concurrency", "2", "--base-url", server.base_url)
        assert gate.held.acquire(timeout=60)
        port = int(server.base_url.split(":")[2].split("/")[0])
    gate.opened.set()
    with scripted_server(port=port):
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    summary = json.loads(stdout)
    assert summary["done"] == 5
    assert summary["calls_made_again"]["connection"] >= 1
    assert summary["errors"] == {}
    assert len(place.traces()) == 5


@pytest.mark.slow
def test_a_second_process_is_refused_by_the_name_of_the_first(place):
    gate = Gate(through=0)
    with scripted_server({"reflect": gate}) as server:
        place.env["DDXGRAPH_BASE_URL"] = server.base_url
        process = place.start()
        assert gate.held.acquire(timeout=60)
        second = place.run()
        gate.opened.set()
        process.communicate(timeout=60)
    assert second.returncode == 2
    assert f"run is being written by process {process.pid} on " in second.stderr
    assert process.returncode == 0
    assert place.traces() == ["case-1"]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_a_signal_lets_what_is_in_flight_end_and_the_same_command_goes_on(number, place):
    place.cases([case(number) for number in range(6)])
    gate = Gate(through=2)
    with scripted_server({"conclude": gate}) as server:
        place.env["DDXGRAPH_BASE_URL"] = server.base_url
        process = place.start("--concurrency", "2")
        for _ in range(2):
            assert gate.held.acquire(timeout=60)
        process.send_signal(number)
        assert process.stderr
        heard = [process.stderr.readline() for _ in range(2)]
        gate.opened.set()
        stdout, stderr = process.communicate(timeout=60)
        assert "stopping: what is in flight has 5 s to end" in heard[1]
        assert process.returncode == 130
        assert "stopped; the same command goes on from there" in stderr
        assert "Traceback" not in stderr
        assert "4 of 6 traversals are in run" in stdout
        assert len(place.traces()) == 4
        assert place.traces(name=ERRORS) == []
        again = place.run("--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["before"] == 4
    assert len(place.traces()) == 6


@pytest.mark.slow
def test_ctrl_c_ends_within_seconds_where_the_engine_hangs(place):
    place.cases([case(number) for number in range(4)])
    gate = Gate(through=2)
    with scripted_server({"conclude": gate}) as server:
        process = place.start("--concurrency", "2", "--base-url", server.base_url)
        for _ in range(2):
            assert gate.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=GRACE_S + 10)
        gate.opened.set()
    assert process.returncode == 130
    assert "2 of 4 traversals are in run" in stdout
    assert "Traceback" not in stderr
    assert len(place.traces()) == 2


@pytest.mark.slow
def test_ctrl_c_twice_ends_at_once_and_a_third_changes_nothing(place):
    place.cases([case(number) for number in range(4)])
    gate = Gate(through=2)
    with scripted_server({"conclude": gate}) as server:
        process = place.start("--concurrency", "2", "--json", "--base-url", server.base_url)
        for _ in range(2):
            assert gate.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        while "stopping" not in process.stderr.readline():
            assert process.poll() is None
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        took = time.monotonic() - start
        gate.opened.set()
    assert took < GRACE_S - 1
    assert process.returncode == 130
    assert "the same command goes on from there" in stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout)["done"] == 2
    assert len(place.traces()) == 2


def holds_open(process: subprocess.Popen[str], path: Path) -> bool:
    """Whether a process has a file open."""
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            if link.samefile(path):
                return True
    return False


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_ctrl_c_while_the_cases_are_read_is_one_word(place):
    place.cases([case(number) for number in range(40_000)])
    process = place.start("--base-url", "http://127.0.0.1:9/v1")
    wait_until(lambda: holds_open(process, place.path / "cases.jsonl"), process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "ddxgraph: interrupted\n"
    assert stdout == ""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_ctrl_c_while_stock_is_taken_is_not_put_off(place, served):
    assert place.run().returncode == 0
    traces = place.path / "run" / TRACES
    with traces.open("a") as file:
        for number in range(1_000_000):
            file.write(
                f'{{"version":1,"id":"{number}","case":{{"id":"x"}},"answer":null,"outcome":"answered"}}\n'
            )
    size = traces.stat().st_size
    process = place.start()
    wait_until(lambda: holds_open(process, traces), process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "scripted on tests; text stays on this machine\nddxgraph: interrupted\n"
    assert traces.stat().st_size == size


@pytest.mark.slow
def test_ctrl_c_is_left_alone_where_the_process_was_told_to_ignore_it(place):
    gate = Gate(through=0)
    with scripted_server({"conclude": gate}) as server:
        process = place.start(
            *("--json", "--base-url", server.base_url), shell=("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
        )
        assert gate.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        gate.opened.set()
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(stdout)["done"] == 1


ASCII = {
    "PYTHONIOENCODING": "ascii",
    "LANG": "C",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}


@pytest.mark.slow
def test_a_terminal_without_utf_8_breaks_nothing(place, served):
    place.cases([case(1, id="ménière")])
    done = place.run(out="läufe", env=ASCII)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 traversals are in l" in done.stdout
    assert place.traces("läufe") == ["ménière"]


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_streams_and_a_full_log_do_not_stop_the_run(redirection, place, served):
    # With a remark in any case; a stream that is closed gives its number away to the next file that is opened.
    process = place.start("--samples", "2", shell=("sh", "-c", f'exec "$@" {redirection}', "sh"))
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stdout + stderr
    assert place.traces() == ["case-1", "case-1"]
    for name in (LOCK, MANIFEST, ERRORS):
        assert "scripted on tests" not in (place.path / "run" / name).read_text()


def nobody_reads() -> int:
    """The writing end of a pipe whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.slow
def test_a_log_whose_reader_is_gone_does_not_stop_the_run(place, served):
    pipe = nobody_reads()
    done = place.run("--json", stderr=pipe)
    os.close(pipe)
    assert done.returncode == 0
    assert json.loads(done.stdout)["done"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("args", [[], ["--json"]])
def test_results_that_nobody_reads_lose_no_trace_and_say_nothing(args, place, served):
    pipe = nobody_reads()
    done = place.run(*args, "--quiet", stdout=pipe)
    os.close(pipe)
    assert done.stderr == ""
    assert place.traces() == ["case-1"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_results_that_cannot_be_written_are_a_sentence(place, served):
    with Path("/dev/full").open("w") as full:
        done = place.run("--json", "--quiet", stdout=full)
    assert done.returncode == 1
    assert done.stderr == "ddxgraph: [Errno 28] No space left on device\n"
    assert place.traces() == ["case-1"]


@pytest.fixture
def here(place, served, monkeypatch):
    """The command within the test's own process, in the place."""
    monkeypatch.chdir(place.path)
    env = {"DDXGRAPH_BASE_URL": served.base_url, "DDXGRAPH_CACHE": str(place.path)}
    return lambda cases, *args: ddxgraph("run", cases, "--out", "run", *args, env=env)


@pytest.fixture
def jama(place):
    """Two test items and four others of JAMA, of our own making, in the place's data folder."""
    source = place.path / "jama_raw.json"
    source.write_text(json.dumps([jama_record(url) for url in (*JAMA_TEST, *JAMA_OTHER)]))
    return import_jama(source, place.path / "data")


def manifest_of(place: Place) -> dict[str, Any]:
    return json.loads((place.path / "run" / MANIFEST).read_text())


def test_a_benchmark_is_run_by_its_name_and_the_manifest_says_which_cases(here, place, jama):
    (place.path / "jama").write_text("a file of that name, which is not meant")
    done = here("jama", "--split", "train", "--limit", 2, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["done"], summary["judged"], summary["correct"]) == (2, 2, 0)
    assert manifest_of(place)["selection"] == {
        "benchmark": "jama",
        "split": "train",
        "five_options": False,
        "free_form": False,
        "shuffle": None,
        "subset": None,
        "limit": 2,
        "limit_seed": 0,
        "size": 4,
        "sha256": jama.stored["train"].sha256,
    }
    again = here("jama", "--split", "train", "--limit", 3)
    assert again.returncode == 2
    assert "selection.limit was 2, now 3" in again.stderr


def test_an_incomplete_benchmark_is_said_before_it_is_run(here, place, jama):
    done = here("jama", "--options", "shuffle", "--shuffle-seed", 2)
    assert done.returncode == 0, done.stderr
    assert "644 of the 646 cases of jama test are not on this machine" in done.stderr
    assert manifest_of(place)["selection"]["shuffle"] == 2
    for trace in read_traces(place.path / "run" / TRACES):
        assert sorted(trace.case.options) == ["A", "B", "C", "D"]
        assert (trace.case.source, trace.case.split) == ("jama", "test")


def test_a_case_file_takes_a_sample_without_its_options(here, place, served):
    place.cases([case(number, answer="B") for number in range(6)])
    done = here("./cases.jsonl", "--limit", 2, "--free-form", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 2
    assert manifest_of(place)["selection"] is None
    sent = "".join(prompt_of(request) for request in served.model.requests)
    assert not [text for text in OPTIONS.values() if text in sent]


def test_a_case_files_options_are_shuffled_with_their_answers(here, place):
    place.cases([case(number, answer="B") for number in range(4)])
    done = here("cases.jsonl", "--options", "shuffle", "--json")
    summary = json.loads(done.stdout)
    shown = {trace.case.id: trace.case.options for trace in read_traces(place.path / "run" / TRACES)}
    assert summary["judged"] == 4
    assert summary["correct"] == sum(options["B"] == OPTIONS["B"] for options in shown.values())
    assert any(options != OPTIONS for options in shown.values())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--split", "dev"], "--split: only benchmarks (medqa, medbullets, jama, ddxlab) have these"),
        (["--subset", "step1", "--five-options"], "--subset, --five-options: only benchmarks"),
        (["--limit-seed", "1"], "give --limit too"),
        (["--shuffle-seed", "1"], "give --options shuffle too"),
        (["--free-form", "--options", "shuffle"], "leave out --options shuffle"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(args, said, place):
    done = ddxgraph("run", place.path / "cases.jsonl", "--out", place.path / "run", *args)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (place.path / "run").exists()


def test_a_benchmark_that_is_not_here_is_said_with_how_to_get_it(place):
    done = ddxgraph("run", "jama", "--out", place.path / "run", env={"DDXGRAPH_CACHE": str(place.path)})
    assert done.returncode == 2
    assert "ddxgraph data import jama" in done.stderr
