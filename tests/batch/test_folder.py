"""A run folder: one writer at a time, one run, and nothing in it that anything ever overwrites."""

import os
import re
import signal
import socket
import subprocess
import sys
import tracemalloc
from contextlib import contextmanager
from pathlib import Path

import pytest
from journeys import CASE, FREE

from ddxgraph.batch.folder import RunFolder, open_run
from ddxgraph.batch.manifest import Manifest, manifest
from ddxgraph.batch.runner import jobs_of, run
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import RunFolderError, TraceFileError
from ddxgraph.common.jsonl import line_of, sealed
from ddxgraph.graph.strategy import GraphStrategy
from ddxgraph.graph.trace import Provenance, StrategySettings, Trace
from ddxgraph.nodes.settings import Sampling
from ddxgraph.testing import ScriptedChatModel

RUN = manifest([CASE], 3, GraphStrategy().settle(ScriptedChatModel()))
OTHER = RUN.model_copy(update={"samples": 4})


def trace(number: int, outcome: str = "answered", **fields) -> Trace:
    return Trace(
        id=f"{number:016x}",
        case=CASE,
        strategy=StrategySettings(),
        provenance=Provenance(model="scripted"),
        outcome=outcome,
        ended="concluded",
        **fields,
    )


def number_of(record) -> int:
    return int(record["id"], 16)


def ids(*numbers: int):
    return lambda: (trace(number).id for number in numbers)


def fill(path: Path, *numbers: int, wanted: Manifest = RUN) -> None:
    with open_run(path, wanted) as folder:
        folder.append([trace(number) for number in numbers])


def stock(path: Path, wanted: Manifest = RUN, **how) -> list[int]:
    """What a folder says it has when it is opened."""
    seen: list[int] = []
    with open_run(path, wanted, seen=lambda record: seen.append(number_of(record)), **how) as folder:
        assert all(trace(number).id in folder for number in seen)
    return seen


def content(*folders: Path) -> dict[Path, bytes]:
    """Every byte of every file below folders."""
    return {
        file: file.read_bytes() for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()
    }


@contextmanager
def nothing_changes(*folders: Path):
    before = content(*folders)
    assert before
    yield
    assert content(*folders) == before


HOLDING = """
import sys
from pathlib import Path
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.folder import open_run
with open_run(Path(sys.argv[1]), Manifest.model_validate_json(sys.argv[2])):
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: Path, wanted: Manifest = RUN):
    """Another process holds the folder."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path), wanted.model_dump_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        assert holder.stdout.readline() == "\n"
        yield holder
    finally:
        holder.communicate(timeout=60)


def test_a_folder_is_made_with_those_above_it_and_holds_its_manifest(tmp_path):
    path = tmp_path / "runs" / "2026" / "pilot"
    fill(path, 1, 2)
    assert Manifest.model_validate_json((path / "run.json").read_bytes()) == RUN
    assert sorted(file.name for file in path.iterdir()) == [
        "errors.jsonl",
        "run.json",
        "run.lock",
        "traces.jsonl",
    ]
    assert stock(path) == [1, 2]


@pytest.mark.parametrize("name", ["runs/pilot/", "runs//pilot", "runs/./pilot", "runs/x/../pilot"])
def test_a_folder_may_be_written_in_several_ways(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "x").mkdir(parents=True)
    fill(tmp_path / "runs" / "pilot", 1)
    assert stock(Path(name)) == [1]
    assert stock(Path(name), OTHER, fork=True, ids=ids(1)) == [1]
    assert (tmp_path / "runs" / "pilot-2" / "run.json").exists()


@pytest.mark.parametrize("name", [".", "..", "../."])
def test_a_fork_of_the_folder_one_stands_in_lies_beside_it(name, tmp_path, monkeypatch):
    fill(tmp_path / "pilot", 1)
    below = tmp_path / "pilot" / ("" if name == "." else "below")
    below.mkdir(exist_ok=True)
    monkeypatch.chdir(below)
    assert stock(Path(name), OTHER, fork=True, ids=ids(1)) == [1]
    assert (
        Manifest.model_validate_json((tmp_path / "pilot-2" / "run.json").read_bytes()).forked_from == "pilot"
    )


@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("below", ["", "pilot"], ids=["the folder", "the one above it"])
def test_a_file_in_the_place_of_the_folder_is_said_to_be_one(below, fork, tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(RunFolderError, match="cannot be a run's folder: a file is in its place"):
        stock(tmp_path / "taken" / below, fork=fork, ids=ids())
    assert (tmp_path / "taken").read_text() == "mine"


def test_errors_are_kept_apart_every_attempt_of_them_and_are_not_done(tmp_path):
    with open_run(tmp_path, RUN) as folder:
        folder.append([trace(1, "error"), trace(2), trace(1, "error")])
        folder.append([trace(1, "error")])
        assert trace(1).id not in folder
    assert stock(tmp_path) == [2]
    with open_run(tmp_path, RUN) as folder:
        folder.append([trace(1)])
    assert stock(tmp_path) == [2, 1]
    assert [found.outcome for found in read_traces(tmp_path / "errors.jsonl")] == ["error"] * 3


def test_a_trace_is_saved_once_however_often_it_comes(tmp_path):
    with open_run(tmp_path, RUN) as folder:
        folder.append([trace(1), trace(1)])
        folder.append([trace(1), trace(2)])
    fill(tmp_path, 1, 2, 3)
    assert [number_of({"id": found.id}) for found in read_traces(tmp_path / "traces.jsonl")] == [1, 2, 3]


def test_an_id_that_stands_twice_counts_once(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1, 2)
    traces = path / "traces.jsonl"
    once = traces.read_bytes()
    traces.write_bytes(once * 2)
    assert stock(path) == [1, 2]
    assert stock(path, OTHER, fork=True, ids=ids(1, 2)) == [1, 2]
    assert (tmp_path / "pilot-2" / "traces.jsonl").read_bytes() == once


def test_an_error_that_somebody_put_among_the_traces_is_tried_again(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1)
    with (path / "traces.jsonl").open("a") as traces:
        traces.write(line_of(trace(2, "error")) + "\n")
    assert stock(path) == [1]
    assert stock(path, OTHER, fork=True, ids=ids(1, 2)) == [1]


def test_a_last_line_that_was_cut_short_is_taken_off_and_its_trace_is_done_again(tmp_path):
    fill(tmp_path, 1, 2)
    traces = tmp_path / "traces.jsonl"
    whole = traces.read_bytes()
    traces.write_bytes(whole[:-20])
    with open_run(tmp_path, RUN) as folder:
        assert folder.cut == len(sealed(line_of(trace(2)))) + 1 - 20
        assert trace(1).id in folder
        assert trace(2).id not in folder
        folder.append([trace(1), trace(2)])
    assert traces.read_bytes() == whole
    with open_run(tmp_path, RUN) as folder:
        assert folder.cut == 0


def test_a_cut_line_is_told_by_the_next_process_where_one_was_killed_before_it_could_tell(tmp_path):
    fill(tmp_path, 1, 2)
    traces = tmp_path / "traces.jsonl"
    traces.write_bytes(traces.read_bytes()[:-20])
    torn = traces.read_bytes()
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path, RUN):
        raise KeyboardInterrupt
    assert traces.read_bytes() == torn
    with open_run(tmp_path, RUN) as folder:
        assert folder.cut
    assert list(read_traces(traces)) == [trace(1)]
    assert traces.read_bytes().endswith(b"\n")


def test_a_last_line_of_the_errors_that_was_cut_short_is_taken_off(tmp_path):
    with open_run(tmp_path, RUN) as folder:
        folder.append([trace(1, "error"), trace(2, "error")])
    errors = tmp_path / "errors.jsonl"
    whole = errors.read_bytes()
    errors.write_bytes(whole[:-20])
    with open_run(tmp_path, RUN) as folder:
        folder.append([trace(2, "error")])
    assert errors.read_bytes() == whole


def corrupt_a_line(path: Path) -> str:
    lines = (path / "traces.jsonl").read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:60] + b"\xff" + lines[1][61:]
    (path / "traces.jsonl").write_bytes(b"".join(lines))
    return f"{path / 'traces.jsonl'}, line 2: it has changed since it was saved"


def cut_short(path: Path) -> None:
    for name in ("traces.jsonl", "errors.jsonl"):
        with (path / name).open("a") as file:
            file.write(line_of(trace(9))[:80])


def corrupt_the_end(path: Path) -> str:
    cut_short(path)
    with (path / "traces.jsonl").open("a") as file:
        file.write("\nmy notes")
    return f"{path / 'traces.jsonl'}, line "


def corrupt_the_last_line(path: Path) -> str:
    with (path / "traces.jsonl").open("a") as file:
        file.write("my notes")
    with (path / "errors.jsonl").open("a") as file:
        file.write(line_of(trace(9))[:80])
    return f"{path / 'traces.jsonl'} ends in a line that is not a trace of version 1"


def corrupt_the_errors(path: Path) -> str:
    with (path / "traces.jsonl").open("a") as file:
        file.write(line_of(trace(9))[:80])
    (path / "errors.jsonl").write_text("my notes")
    return f"{path / 'errors.jsonl'} ends in a line that is not a trace of version 1"


@pytest.mark.parametrize(
    "corrupt", [corrupt_a_line, corrupt_the_end, corrupt_the_last_line, corrupt_the_errors]
)
def test_a_corrupt_file_is_named_and_nothing_in_the_folder_changes(corrupt, tmp_path):
    """Not even a last line that was cut short, which would have been taken off otherwise."""
    path = tmp_path / "pilot"
    fill(path, 1, 2, 3)
    said = corrupt(path)
    with nothing_changes(path), pytest.raises(TraceFileError, match=re.escape(said)):
        stock(path)


def test_a_corrupt_line_beside_a_last_line_that_was_cut_short_changes_neither(tmp_path):
    fill(tmp_path, 1, 2, 3)
    said = corrupt_a_line(tmp_path)
    cut_short(tmp_path)
    with nothing_changes(tmp_path), pytest.raises(TraceFileError, match=re.escape(said)):
        stock(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        '{"version":1,"id":["x"],"case":{"id":"x"},"answer":null,"outcome":"answered"}',
        '{"version":1,"id":"x","case":"x","answer":null,"outcome":"answered"}',
        '{"version":1,"id":"x","case":{},"outcome":"answered"}',
        '{"version":2,"id":"x","case":{"id":"x"},"answer":null,"outcome":"answered"}',
    ],
)
def test_what_only_looks_like_a_trace_never_reaches_who_is_told_of_traces(line, tmp_path):
    fill(tmp_path, 1)
    with (tmp_path / "traces.jsonl").open("a") as traces:
        traces.write(f"{line}\n")
    with pytest.raises(TraceFileError, match="line 2: not a trace"):
        stock(tmp_path)


@pytest.mark.parametrize("file", ["traces.jsonl", "errors.jsonl"])
def test_traces_without_a_manifest_are_nobodys(file, tmp_path):
    (tmp_path / file).write_text(line_of(trace(1)) + "\n")
    with pytest.raises(RunFolderError, match=rf"holds {file} but no run\.json"):
        stock(tmp_path)
    assert not (tmp_path / "run.json").exists()
    assert (tmp_path / file).read_text() == line_of(trace(1)) + "\n"


@pytest.mark.parametrize("file", ["traces.jsonl", "errors.jsonl"])
def test_an_empty_file_without_a_manifest_is_in_nobodys_way(file, tmp_path):
    (tmp_path / file).touch()
    assert stock(tmp_path) == []


@pytest.mark.parametrize("left", ["", '{"version": 1, "cas', "x" * 10_000])
def test_a_manifest_that_was_being_written_when_the_power_went_is_no_manifest(left, tmp_path):
    (tmp_path / "run.json.new").write_text(left)
    assert stock(tmp_path) == []
    assert Manifest.model_validate_json((tmp_path / "run.json").read_bytes()) == RUN
    assert not (tmp_path / "run.json.new").exists()


BAD_MANIFESTS = {
    "empty": b"",
    "cut short": RUN.model_dump_json(indent=2).encode()[:200],
    "NUL bytes": b"\0" * 500,
    "not UTF-8": RUN.model_dump_json().encode().replace(b"scripted", b"\xff"),
    "a list": b"[]",
    "another version": RUN.model_dump_json().encode().replace(b'"version":1', b'"version":2'),
    "an unknown field": RUN.model_dump_json().encode().replace(b'"samples"', b'"x":1,"samples"'),
    "no field": b"{}",
}


@pytest.mark.parametrize("fork", [False, True])
@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_a_corrupt_manifest_is_named_and_nothing_changes(name, fork, tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1)
    (path / "run.json").write_bytes(BAD_MANIFESTS[name])
    with nothing_changes(tmp_path), pytest.raises(RunFolderError) as refused:
        stock(path, fork=fork, ids=ids(1))
    assert f"{path / 'run.json'} is no manifest of version 1 (" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_manifest_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunFolderError, match=r"cannot read .*run\.json: Is a directory"):
        stock(tmp_path)


def test_another_runs_folder_is_refused_every_difference_named_and_nothing_changes(tmp_path):
    fill(tmp_path, 1)
    cut_short(tmp_path)
    other = manifest([CASE, FREE], 2, GraphStrategy(sampling=Sampling(seed=7)).settle(ScriptedChatModel()))
    with nothing_changes(tmp_path), pytest.raises(RunFolderError) as refused:
        stock(tmp_path, other)
    said = str(refused.value)
    for difference in (
        "cases.count was 1, now 2",
        "cases.sha256 was ",
        "samples was 3, now 2",
        "provenance.sampling.seed was not there, now 7",
        "--fork",
    ):
        assert difference in said
    assert "created_at" not in said
    assert stock(tmp_path) == [1]


def test_a_run_is_the_same_at_another_time_and_keeps_when_it_began(tmp_path):
    began = RUN.model_copy(update={"created_at": "2020-01-01T00:00:00+00:00"})
    fill(tmp_path, 1, wanted=began)
    with open_run(tmp_path, RUN) as folder:
        assert folder.manifest == began


def test_the_second_process_is_told_who_holds_the_folder(tmp_path):
    fill(tmp_path, 1)
    with (
        held_elsewhere(tmp_path) as holder,
        pytest.raises(RunFolderError) as refused,
        nothing_changes(tmp_path),
    ):
        stock(tmp_path)
    said = str(refused.value)
    since = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
    held = (
        rf"process {holder.pid} on {re.escape(socket.gethostname())} since {since}; wait for it, or stop it"
    )
    assert re.search(held, said)
    assert str(tmp_path) in said
    assert stock(tmp_path) == [1]


def test_a_folder_is_held_once_within_a_process_too(tmp_path):
    with open_run(tmp_path, RUN), pytest.raises(RunFolderError, match=f"process {os.getpid()} on"):
        stock(tmp_path)
    assert stock(tmp_path) == []


def test_a_killed_holder_holds_nothing(tmp_path):
    with held_elsewhere(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(60)
        assert str(holder.pid) in (tmp_path / "run.lock").read_text()
        fill(tmp_path, 1)
    assert stock(tmp_path) == [1]


def test_a_free_folder_names_no_holder(tmp_path):
    fill(tmp_path, 1)
    assert (tmp_path / "run.lock").read_bytes() == b""


def test_a_folder_is_free_again_when_its_user_raised(tmp_path):
    def broken():
        with open_run(tmp_path, RUN) as folder:
            folder.append([trace(1)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert stock(tmp_path) == [1]


def test_a_held_folder_can_be_read_and_forked(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1, 2)
    with held_elsewhere(path), nothing_changes(path):
        assert len(list(read_traces(path / "traces.jsonl"))) == 2
        assert stock(path, OTHER, fork=True, ids=ids(2)) == [2]


def test_a_fork_takes_what_still_holds_and_leaves_the_first_folder_as_it_was(tmp_path):
    path, beside = tmp_path / "pilot", tmp_path / "pilot-2"
    fill(path, 1, 2, 3)
    cut_short(path)
    with nothing_changes(path):
        assert stock(path, OTHER, fork=True, ids=ids(1, 3, 4)) == [1, 3]
    lines = (path / "traces.jsonl").read_bytes().splitlines(keepends=True)
    assert (beside / "traces.jsonl").read_bytes() == lines[0] + lines[2]
    known = Manifest.model_validate_json((beside / "run.json").read_bytes())
    assert (known.forked_from, known.changes(OTHER)) == ("pilot", [])


def test_the_same_command_goes_on_in_its_fork(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1, 2)
    for _ in range(2):
        assert stock(path, OTHER, fork=True, ids=ids(1, 4)) == [1]
    fill(tmp_path / "pilot-2", 4, wanted=OTHER)
    with nothing_changes(path, tmp_path / "pilot-2"):
        assert stock(path, OTHER, fork=True, ids=ids(1, 4)) == [1, 4]
    assert not (tmp_path / "pilot-3").exists()


def test_a_fork_where_none_is_needed_is_the_run_itself(tmp_path):
    path = tmp_path / "pilot"
    assert stock(path, fork=True, ids=ids(1)) == []
    fill(path, 1)
    assert stock(path, fork=True, ids=ids(1)) == [1]
    assert [folder.name for folder in tmp_path.iterdir()] == ["pilot"]


def test_a_third_run_takes_from_both_before_it_each_trace_once(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1, 2)
    assert stock(path, OTHER, fork=True, ids=ids(1)) == [1]
    fill(tmp_path / "pilot-2", 5, wanted=OTHER)
    third = RUN.model_copy(update={"samples": 5})
    with nothing_changes(path, tmp_path / "pilot-2"):
        assert stock(path, third, fork=True, ids=ids(1, 2, 5)) == [1, 2, 5]
    assert len(list(read_traces(tmp_path / "pilot-3" / "traces.jsonl"))) == 3


def test_a_fork_of_a_run_that_was_stopped_before_its_first_trace_starts_from_nothing(tmp_path):
    (tmp_path / "pilot").mkdir()
    (tmp_path / "pilot" / "run.json").write_text(RUN.model_dump_json())
    assert stock(tmp_path / "pilot", OTHER, fork=True, ids=ids(1)) == []


def test_a_fork_of_a_corrupt_run_names_the_line_and_can_be_repeated_once_it_is_mended(tmp_path):
    path = tmp_path / "pilot"
    fill(path, 1, 2, 3)
    whole = (path / "traces.jsonl").read_bytes()
    said = corrupt_a_line(path)
    with nothing_changes(path), pytest.raises(TraceFileError, match=re.escape(said)):
        stock(path, OTHER, fork=True, ids=ids(1, 2, 3))
    (path / "traces.jsonl").write_bytes(whole)
    assert stock(path, OTHER, fork=True, ids=ids(1, 2, 3)) == [1, 2, 3]
    assert not (tmp_path / "pilot-3").exists()


FORKING = """
import sys
from pathlib import Path
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.folder import open_run
path, wanted = Path(sys.argv[1]), Manifest.model_validate_json(sys.argv[2])
def seen(record):
    print(flush=True)
    sys.stdin.readline()
with open_run(path, wanted, fork=True, ids=lambda: iter(sys.argv[3].split(",")), seen=seen):
    pass
"""


def test_a_fork_that_is_killed_while_it_carries_over_is_finished_by_the_same_command(tmp_path):
    path, beside = tmp_path / "pilot", tmp_path / "pilot-2"
    long = [trace(number, opening="x" * 300_000) for number in range(8)]
    with open_run(path, RUN) as folder:
        folder.append(long)
    before = content(path)
    forking = subprocess.Popen(
        [
            sys.executable,
            "-c",
            FORKING,
            str(path),
            OTHER.model_dump_json(),
            ",".join(found.id for found in long),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert forking.stdout.readline() == "\n"
    forking.send_signal(signal.SIGKILL)
    forking.communicate(timeout=60)
    assert 0 < len(list(read_traces(beside / "traces.jsonl"))) < 8
    with (beside / "traces.jsonl").open("ab") as torn:  # as if it had come in the middle of a line
        torn.write(line_of(long[7]).encode()[:5_000])
    assert stock(path, OTHER, fork=True, ids=ids(*range(8))) == list(range(8))
    assert list(read_traces(beside / "traces.jsonl")) == long
    assert content(path) == before
    assert not (tmp_path / "pilot-3").exists()


async def test_more_samples_of_a_case_are_forked_from_fewer_and_only_the_new_ones_are_done(tmp_path):
    async def done(samples: int, *, fork: bool) -> tuple[list[int], int]:
        model = ScriptedChatModel()
        strategy = GraphStrategy(sampling=Sampling(temperature=1.0))
        made = [
            trace
            async for trace in run(
                [CASE, FREE], model, strategy=strategy, samples=samples, out=tmp_path / "pilot", fork=fork
            )
        ]
        settled = strategy.settle(model)
        wanted = {job.trace_id for job in jobs_of([CASE, FREE], samples, settled)}
        assert {trace.id for trace in made} <= wanted
        return sorted(trace.sample for trace in made), len(model.requests)

    assert (await done(2, fork=False))[0] == [0, 0, 1, 1]
    with nothing_changes(tmp_path / "pilot"):
        assert (await done(3, fork=True))[0] == [2, 2]
    assert await done(3, fork=True) == ([], 0)
    assert len(list(read_traces(tmp_path / "pilot-2" / "traces.jsonl"))) == 6


def test_memory_grows_by_ids_alone(tmp_path):
    line = trace(0, opening="x" * 10_000)
    tracemalloc.start()
    try:
        with open_run(tmp_path / "pilot", RUN) as folder:
            for number in range(0, 3_000, 50):
                folder.append([line.model_copy(update={"id": f"{number + k:016x}"}) for k in range(50)])
        assert len(stock(tmp_path / "pilot")) == 3_000
        assert len(stock(tmp_path / "pilot", OTHER, fork=True, ids=ids(*range(3_000)))) == 3_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "pilot-2" / "traces.jsonl").stat().st_size > 30_000_000
    assert peak < 8_000_000


def test_a_closed_folder_may_be_closed_again(tmp_path):
    with open_run(tmp_path, RUN) as folder:
        folder.close()
        folder.close()
    assert isinstance(folder, RunFolder)
