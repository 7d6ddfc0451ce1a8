"""A trace file holds whole lines or nothing, and nothing but traces is ever read from it or added to."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from threading import Thread

import pytest
from journeys import CASE

from ddxgraph import Trace
from ddxgraph.batch.tracefile import TraceLog, append_trace, find_trace, read_records, read_traces
from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.jsonl import line_of, sealed
from ddxgraph.graph.trace import Provenance, StrategySettings

SETTINGS = StrategySettings()
BEGINNING = b'{"version":1,"id":"'


def trace(number: int, **fields) -> Trace:
    known = {"outcome": "answered", "ended": "concluded", "answer": "B"}
    return Trace.model_validate(
        {
            "id": f"{number:016x}",
            "case": CASE,
            "strategy": SETTINGS,
            "provenance": Provenance(model="scripted"),
            **known,
            **fields,
        }
    )


PLAIN = {number: line_of(trace(number)) for number in (1, 2, 3)}
FIRST, SECOND, THIRD = (f"{sealed(line)}\n".encode() for line in PLAIN.values())
UNSEALED = f"{PLAIN[2]}\n".encode()
"""A line as earlier versions wrote it; what is wrong in one is said in detail."""


def ids(path: Path) -> list[int]:
    return [int(record["id"], 16) for record in read_records(path)]


def file_of(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    return path


def child(script: str, *args: str, **how) -> subprocess.Popen[str]:
    """Run a script in another process, with what this file imports."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        **how,
    )


def test_what_is_appended_is_read_again_in_its_order_one_line_each(tmp_path):
    path = tmp_path / "new" / "folders" / "t.jsonl"
    append_trace(path, trace(1, opening="one\nline\u2028each"))
    with TraceLog(path) as log:
        log.append([line_of(trace(2)), line_of(trace(3))])
        log.append([])
    assert list(read_traces(path)) == [trace(1, opening="one\nline\u2028each"), trace(2), trace(3)]
    assert list(read_traces(str(path))) == list(read_traces(path))
    assert path.read_bytes().count(b"\n") == 3


def test_an_append_returns_once_the_disk_has_it(tmp_path):
    """The calls to the system are watched, not replaced: the last after every write is one that waits."""
    calls: list[str] = []

    def watch(frame, event, function):
        name = getattr(function, "__qualname__", "")
        if event == "c_call" and name in {"FileIO.write", "fsync"}:
            calls.append(name)

    with TraceLog(tmp_path / "t.jsonl") as log:
        sys.setprofile(watch)
        try:
            log.append([line_of(trace(1)), line_of(trace(2))])
        finally:
            sys.setprofile(None)
    assert calls == ["FileIO.write", "fsync"]


@pytest.mark.parametrize("before", [b"", FIRST], ids=["alone", "after another"])
@pytest.mark.parametrize(
    "left", [1, 9, len(BEGINNING) - 1, len(BEGINNING), len(BEGINNING) + 1, len(SECOND) // 2, len(SECOND) - 2]
)
def test_a_last_line_that_was_cut_short_is_left_out_and_taken_off(left, before, tmp_path):
    path = file_of(tmp_path, before + SECOND[:left])
    assert ids(path) == [1] * bool(before)
    with TraceLog(path) as log:
        assert log.cut == left
        assert path.read_bytes() == before + SECOND[:left]  # not before there is something to write
        log.append([PLAIN[3]])
    assert path.read_bytes() == before + THIRD


def test_a_last_line_longer_than_what_is_read_at_a_time_is_taken_off(tmp_path):
    long = line_of(trace(2, opening="x" * 3_000_000)).encode()
    path = file_of(tmp_path, FIRST + long[:-1])
    with TraceLog(path) as log:
        assert log.cut == len(long) - 1
        log.mend()
    assert path.read_bytes() == FIRST


@pytest.mark.parametrize("nuls", [1, 4096])
def test_what_a_power_cut_left_empty_is_taken_off(nuls, tmp_path):
    path = file_of(tmp_path, FIRST + b"\0" * nuls)
    assert ids(path) == [1]
    append_trace(path, trace(2))
    assert path.read_bytes() == FIRST + SECOND


def test_a_whole_last_line_without_its_newline_is_kept(tmp_path):
    path = file_of(tmp_path, FIRST + SECOND.rstrip(b"\n"))
    assert ids(path) == [1, 2]
    with TraceLog(path) as log:
        assert log.cut == 0
        log.append([PLAIN[3]])
    assert path.read_bytes() == FIRST + SECOND + THIRD


FOREIGN = {
    "text": b"my notes\n",
    "text without a newline": b"my notes",
    "a last line of text": FIRST + b"my notes",
    "a case file": b'{"vignette": "Fever."}\n',
    "a case file without a newline": b'{"vignette": "Fever."}',
    "a last line that is a case": FIRST + b'{"vignette": "Fever."}',
    "cut short, but not by us": b'{"vignette": "Fev',
    "another version": UNSEALED.replace(b'"version":1', b'"version":2'),
    "a list": b"[]\n",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0\0",
    "a table": b"id,answer\n1,B\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_and_not_touched(name, tmp_path):
    path = file_of(tmp_path, FOREIGN[name])
    with pytest.raises(TraceFileError, match=r"no trace|not a trace") as refused:
        append_trace(path, trace(1))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == FOREIGN[name]


CORRUPT = {
    "not UTF-8": UNSEALED.replace(b"fever", b"f\xe9ver"),
    "a flipped bit in a quote": UNSEALED.replace(b'"', b"\xa2", 1),
    "a flipped bit in a brace": bytes([UNSEALED[0] ^ 0b100]) + UNSEALED[1:],
    "cut short": UNSEALED[: len(UNSEALED) // 2] + b"\n",
    "NUL bytes": b"\0" * 512 + b"\n",
    "NUL bytes within": UNSEALED[:40] + b"\0" * 40 + UNSEALED[80:],
    "two lines run together": UNSEALED[:100] + UNSEALED,
    "a number": b"1\n",
    "an object that is no trace": b'{"vignette": "Fever."}\n',
    "a trace of another version": UNSEALED.replace(b'"version":1', b'"version":2'),
    "an id that is none": UNSEALED.replace(b'"id":"0000000000000002"', b'"id":["2"]'),
    "a case that is none": UNSEALED.replace(b'"case":{', b'"case":1,"x":{'),
    "an outcome that is none": UNSEALED.replace(b'"answered"', b'"guessed"'),
    "an answer that is none": UNSEALED.replace(b'"answer":"B"', b'"answer":2'),
    "an answer that is missing": UNSEALED.replace(b',"answer":"B"', b""),
    "too deep": b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("read", [read_records, read_traces])
@pytest.mark.parametrize("name", CORRUPT)
def test_a_corrupt_line_in_the_middle_is_named_by_file_and_line(name, read, tmp_path):
    assert CORRUPT[name] not in {SECOND, UNSEALED}
    path = file_of(tmp_path, FIRST + CORRUPT[name] + THIRD)
    if name == "an answer that is missing" and read is read_traces:
        assert len(list(read(path))) == 3  # to the full check, which knows the default, it is a trace
        return
    lines = read(path)
    next(lines)
    with pytest.raises(TraceFileError) as refused:
        next(lines)
    assert f"{path}, line 2: not a trace of version 1 (" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500 + len(str(path))


def test_blank_lines_and_foreign_line_ends_do_no_harm(tmp_path):
    path = file_of(tmp_path, b"\n" + FIRST.replace(b"\n", b"\r\n") + b"\n \n" + SECOND)
    assert ids(path) == [1, 2]
    append_trace(path, trace(3))
    assert ids(path) == [1, 2, 3]


def test_the_last_trace_of_an_id_is_found(tmp_path):
    path = tmp_path / "t.jsonl"
    assert find_trace(path, trace(1).id) is None
    for outcome in ("error", "answered"):
        append_trace(path, trace(1, outcome=outcome))
    append_trace(path, trace(2))
    assert find_trace(path, trace(1).id) == trace(1)
    assert find_trace(path, trace(3).id) is None


def test_half_a_surrogate_pair_in_a_reply_does_not_cost_the_trace(tmp_path):
    path = tmp_path / "t.jsonl"
    append_trace(path, trace(1, opening="fine 🫀", system="odd \ud83d"))
    [read] = read_traces(path)
    assert (read.opening, read.system) == ("fine 🫀", "odd ?")
    append_trace(path, trace(2))
    assert ids(path) == [1, 2]


UNWRITABLE = {
    "a folder": (lambda path: path.mkdir(), "Is a directory"),
    "below a file": (lambda path: path.parent.write_bytes(b"x"), "Not a directory|File exists"),
}


@pytest.mark.parametrize("name", UNWRITABLE)
def test_a_place_that_cannot_be_written_is_named(name, tmp_path):
    path = tmp_path / "runs" / "t.jsonl"
    prepare, said = UNWRITABLE[name]
    if name == "a folder":
        path.parent.mkdir()
    prepare(path)
    with pytest.raises(TraceFileError, match=f"cannot write {path}: ({said})"):
        append_trace(path, trace(1))


def test_a_missing_file_cannot_be_read_and_is_named(tmp_path):
    with pytest.raises(TraceFileError, match=r"cannot read .*t\.jsonl: No such file"):
        ids(tmp_path / "t.jsonl")


FILLING = """
import resource, sys
from pathlib import Path
from ddxgraph.common.errors import TraceFileError
from ddxgraph.batch.tracefile import TraceLog
path, line = Path(sys.argv[1]), sys.argv[2]
room = path.stat().st_size + 2 * len(line) + 2 + len(line) // 2
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
log = TraceLog(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
log.append([line])
try:
    log.append([line, line])
except TraceFileError as error:
    print(error)
print(path.stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.append([line])
"""


def test_a_write_that_fails_midway_leaves_the_file_as_it_was_and_can_be_done_again(tmp_path):
    """A limit on the size of files lets half of the write through, as a disk does that is filling up."""
    path = file_of(tmp_path, FIRST)
    filling = child(FILLING, str(path), PLAIN[2])
    said, size = filling.communicate(timeout=60)[0].splitlines()
    assert filling.returncode == 0
    assert said.startswith(f"cannot write {path}: File too large; 2 traces were not saved")
    assert said.endswith("the same command goes on")
    assert int(size) == len(FIRST + SECOND)
    assert path.read_bytes() == FIRST + SECOND + SECOND


WRITING_IN_PIECES = """
import os, sys
line = os.fsencode(sys.argv[2])
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
print(flush=True)
for number in range(4_000):
    os.write(file, line[:300])
    os.write(file, line[300:] + b"\\n")
"""


def test_what_another_process_is_writing_is_never_read_by_halves(tmp_path):
    path = file_of(tmp_path, FIRST)
    writing = child(WRITING_IN_PIECES, str(path), SECOND.decode().rstrip("\n"))
    assert writing.stdout.readline() == "\n"
    counts = []
    while writing.poll() is None:
        counts.append(sum(record["answer"] == "B" for record in read_records(path)))
    writing.communicate(timeout=60)
    assert counts == sorted(counts)
    assert len(ids(path)) == 4_001


def test_reading_ends_where_the_file_had_no_newline_yet(tmp_path):
    """What is written behind it meanwhile could be the rest of a line that was read by half."""
    path = file_of(tmp_path, FIRST.rstrip(b"\n"))
    records = read_records(path)
    next(records)
    with path.open("ab") as file:
        file.write(b"\n" + SECOND)
    assert list(records) == []
    assert ids(path) == [1, 2]


APPENDING = """
import sys
from pathlib import Path
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.batch.tracefile import append_trace
path, mine, sample = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
[trace] = read_traces(sample)
print(flush=True)
sys.stdin.readline()
for number in range(mine, mine + 8):
    append_trace(path, trace.model_copy(update={"id": f"{number:016x}"}))
"""


def test_processes_that_append_to_one_file_wait_for_each_other(tmp_path):
    """The lines are long: a writer that came in the middle of one would take it for one that was cut short."""
    append_trace(tmp_path / "sample.jsonl", trace(0, opening="x" * 400_000))
    path = tmp_path / "t.jsonl"
    writers = [child(APPENDING, str(path), str(k), str(tmp_path / "sample.jsonl")) for k in (0, 8, 16)]
    assert [writer.stdout.readline() for writer in writers] == ["\n"] * 3
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [(writer.communicate(timeout=120), writer.returncode)[1] for writer in writers] == [0, 0, 0]
    assert sorted(ids(path)) == list(range(24))
    assert path.read_bytes().count(b"\n") == 24


HOLDING = """
import sys
from pathlib import Path
from ddxgraph.batch.tracefile import TraceLog
with TraceLog(Path(sys.argv[1])) as log:
    print(flush=True)
    sys.stdin.read()
    log.append([sys.argv[2]])
"""


def test_a_file_that_another_process_has_open_is_waited_for(tmp_path):
    path = tmp_path / "t.jsonl"
    holding = child(HOLDING, str(path), FIRST.decode().rstrip("\n"))
    assert holding.stdout.readline() == "\n"
    appending = Thread(target=append_trace, args=(path, trace(2)))
    appending.start()
    appending.join(0.5)
    assert appending.is_alive()
    assert ids(path) == []
    holding.communicate(timeout=60)
    appending.join(60)
    assert ids(path) == [1, 2]


@pytest.mark.slow
def test_a_file_that_another_process_keeps_open_is_refused_in_the_end(tmp_path):
    path = tmp_path / "t.jsonl"
    holding = child(HOLDING, str(path), FIRST.decode().rstrip("\n"))
    assert holding.stdout.readline() == "\n"
    with pytest.raises(TraceFileError, match=f"another process is writing {path}"):
        append_trace(path, trace(2))
    holding.communicate(timeout=60)
    assert ids(path) == [1]


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "t.jsonl"
    line = line_of(trace(1, opening="x" * 10_000))
    tracemalloc.start()
    try:
        with TraceLog(path) as log:
            for _ in range(30):
                log.append([line] * 100)
        assert sum(1 for _ in read_records(path)) == 3_000
        with TraceLog(path):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 30_000_000
    assert peak < 6_000_000
