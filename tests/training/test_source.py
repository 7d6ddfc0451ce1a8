"""A run folder as the gate reads it: places, what it is of, and what was added since."""

import pytest
from gated import copy_run, entries, make_run, traces_of
from scoring import alter_manifest

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import GateError
from ddxgraph.eval.scoring.rule import Verdict
from ddxgraph.training.source import RunSource, as_source

ROWS = entries(3)


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", ROWS)


def read(source):
    return list(source.read(lambda place: None))


def test_a_trace_is_found_again_at_its_place(run):
    (run / "traces.jsonl").write_bytes(b"\n \n" + (run / "traces.jsonl").read_bytes())
    source = as_source(run)
    with source.open() as file:
        for offset, trace in read(source):
            assert source.trace_at(file, offset, trace.id) == trace
            with pytest.raises(GateError, match="was changed"):
                source.trace_at(file, offset + 1, trace.id)
            with pytest.raises(GateError, match="was changed"):
                source.trace_at(file, offset, "another")


def test_what_was_added_since_is_left_out(run):
    source = as_source(run)
    lines = (run / "traces.jsonl").read_bytes()
    with (run / "traces.jsonl").open("ab") as file:
        file.write(lines)
    assert len(read(source)) == 3
    assert len(read(as_source(run))) == 6


def test_a_last_line_without_its_newline_counts(run):
    path = run / "traces.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert len(read(as_source(run))) == 3


def test_it_tells_how_far_it_is_and_what_it_read(run):
    source, told = as_source(run), []
    for _ in source.read(told.append):
        pass
    assert told == sorted(told)
    assert told[-1] == source.size
    first = source.identity
    assert read(source)
    assert source.identity == first == ("run", source.sha256)


def test_verdicts_are_the_strict_rules(run):
    assert set(as_source(RunSource(run, ROWS)).verdicts(None).values()) == {Verdict.CORRECT}
    with pytest.raises(
        GateError, match=r"cannot tell what is correct in .* which is none of the 2 cases in hand"
    ):
        as_source(RunSource(run, entries(3)[:2])).verdicts(None)


def test_it_says_what_it_is_of(run, tmp_path):
    assert as_source(run).cases == "case file"
    copy = copy_run(run, tmp_path / "copy", traces_of(run))
    alter_manifest(copy, selection=Selection(benchmark="medqa", split="train", limit=3))
    assert as_source(copy).cases == "medqa train"


def test_a_relative_folder_has_its_own_name(run, monkeypatch):
    monkeypatch.chdir(run)
    assert as_source(".").name == "run"
