"""`verify`: every line of a run against its checksum."""

from pathlib import Path
from random import Random

import pytest
from journeys import CASE

from ddxgraph.batch.folder import open_run
from ddxgraph.batch.manifest import manifest
from ddxgraph.batch.tracefile import append_trace
from ddxgraph.batch.verify import FileCheck, verify
from ddxgraph.common.errors import RunFolderError
from ddxgraph.common.jsonl import line_of
from ddxgraph.graph.strategy import GraphStrategy
from ddxgraph.graph.trace import Provenance, StrategySettings, Trace
from ddxgraph.testing import ScriptedChatModel

RUN = manifest([CASE], 3, GraphStrategy().settle(ScriptedChatModel()))


def trace(number: int, outcome: str = "answered") -> Trace:
    return Trace(
        id=f"{number:016x}",
        case=CASE,
        strategy=StrategySettings(),
        provenance=Provenance(model="scripted"),
        answer="B" if outcome == "answered" else None,
        outcome=outcome,
        ended="concluded" if outcome == "answered" else "failure",
    )


@pytest.fixture
def run(tmp_path) -> Path:
    with open_run(tmp_path / "pilot", RUN) as folder:
        folder.append([trace(1), trace(2), trace(3), trace(4, "error")])
    return tmp_path / "pilot"


def checked(source: Path) -> dict[str, FileCheck]:
    return {str(check.path.relative_to(source)): check for check in verify(source)}


def test_a_run_as_it_was_saved_is_whole(run):
    found = checked(run)
    assert {name: (check.lines, check.whole) for name, check in found.items()} == {
        "run.json": (0, True),
        "traces.jsonl": (3, True),
        "errors.jsonl": (1, True),
    }
    assert not any(check.unsealed or check.cut_bytes for check in found.values())


def test_every_changed_byte_of_a_trace_file_is_found_and_its_line_named(run):
    path = run / "traces.jsonl"
    whole = path.read_bytes()
    dice = Random(7)
    for place in [dice.randrange(len(whole)) for _ in range(300)]:
        changed = bytearray(whole)
        changed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(bytes(changed))
        check = checked(run)["traces.jsonl"]
        # The last newline turned into something else is a last line that is not whole.
        if place < len(whole) - 1:
            assert not check.whole, place
            number = whole[:place].count(b"\n") + 1
            assert f"{path}, line {number}" in " ".join(check.faults)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ('"answer":"B"', '"answer":"C"'),
        ('"answered"', '"unparsed"'),
        ('"model":"scripted"', '"model":"gpt-9"'),
    ],
)
def test_a_value_changed_on_purpose_is_found_too(field, other, run):
    path = run / "traces.jsonl"
    lines = path.read_text().splitlines()
    assert field in lines[1]
    lines[1] = lines[1].replace(field, other, 1)
    path.write_text("\n".join(lines) + "\n")
    check = checked(run)["traces.jsonl"]
    assert check.faults == (f"{path}, line 2: it has changed since it was saved",)
    assert check.lines == 3


def test_faults_do_not_end_the_search(run):
    path = run / "traces.jsonl"
    path.write_text(
        "".join(line.replace('"B"', '"A"') for line in path.read_text().splitlines(keepends=True))
    )
    assert checked(run)["traces.jsonl"].fault_count == 3


def test_a_last_line_that_was_cut_short_is_no_fault(run):
    path = run / "traces.jsonl"
    path.write_bytes(path.read_bytes()[:-40])
    check = checked(run)["traces.jsonl"]
    assert (check.whole, check.lines) == (True, 2)
    assert check.cut_bytes > 100


def test_lines_of_earlier_versions_are_counted(run):
    path = run / "traces.jsonl"
    path.write_text("".join(f"{line_of(trace(number))}\n" for number in (1, 2)))
    append_trace(path, trace(3))
    check = checked(run)["traces.jsonl"]
    assert (check.whole, check.lines, check.unsealed) == (True, 3, 2)


def test_a_line_that_is_no_trace_is_a_fault_with_or_without_a_checksum(run):
    path = run / "traces.jsonl"
    path.write_text('{"version":1,"id":"x"}\nnotes\n' + path.read_text() + "notes")
    check = checked(run)["traces.jsonl"]
    assert check.fault_count == 3
    assert all(f"line {number}: " in fault for number, fault in zip((1, 2, 6), check.faults, strict=True))


def test_a_manifest_that_cannot_be_read_is_a_fault(run):
    (run / "run.json").write_text("{}")
    assert not checked(run)["run.json"].whole
    assert checked(run)["traces.jsonl"].whole


def test_every_run_below_a_folder_is_checked_and_a_file_by_itself(run, tmp_path):
    with open_run(tmp_path / "deep" / "er", RUN) as folder:
        folder.append([trace(1)])
    assert set(checked(tmp_path)) == {
        "deep/er/errors.jsonl",
        "deep/er/run.json",
        "deep/er/traces.jsonl",
        "pilot/errors.jsonl",
        "pilot/run.json",
        "pilot/traces.jsonl",
    }
    append_trace(tmp_path / "one.jsonl", trace(1))
    [check] = verify(tmp_path / "one.jsonl")
    assert (check.lines, check.whole) == (1, True)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_holds_no_run_is_said(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunFolderError, match="name a "):
        verify(tmp_path / name)
