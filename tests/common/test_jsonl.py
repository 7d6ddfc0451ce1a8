"""Append-only files: what a crash cut short is taken off, what is whole stays, what is foreign stays as it is."""

import json

import pytest

from ddxgraph.batch import tracefile
from ddxgraph.common.errors import DdxgraphError
from ddxgraph.common.jsonl import LineLog
from ddxgraph.eval.scoring import judgements
from ddxgraph.training.review import file as reviews
from ddxgraph.training.rewrite import store

KINDS = [pytest.param(room._FILE, id=room.__name__) for room in (tracefile, judgements, reviews, store)]


def a_line(kind, name: str) -> str:
    """A whole line that begins as those of the kind do."""
    return f'{kind.beginning.decode()}{name}"}}'


@pytest.mark.parametrize("kind", KINDS)
def test_a_last_line_that_lacks_its_newline_is_completed(kind, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(f"{a_line(kind, 'a')}\n{a_line(kind, 'b')}")
    with LineLog(path, kind) as log:
        log.write([a_line(kind, "c")])
    lines = path.read_text().splitlines()
    assert lines == [a_line(kind, name) for name in "abc"]
    assert all(json.loads(line) for line in lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [lambda line: line[:-1], lambda line: line[:10], lambda line: "\0" * 9])
def test_a_last_line_that_was_cut_short_is_taken_off(kind, tail, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(f"{a_line(kind, 'a')}\n{tail(a_line(kind, 'b'))}")
    with LineLog(path, kind) as log:
        assert log.cut == len(tail(a_line(kind, "b")))
        log.write([a_line(kind, "c")])
    assert path.read_text().splitlines() == [a_line(kind, name) for name in "ac"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content", ["hello", "a,b\n1,2", "<html>", "\x7fELF\x02", '[{"version":1}', "{'a': 1"]
)
def test_a_foreign_file_is_never_emptied(kind, content, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(content)
    with pytest.raises(DdxgraphError, match="ends in a line that is not"):
        LineLog(path, kind)
    assert path.read_text() == content
