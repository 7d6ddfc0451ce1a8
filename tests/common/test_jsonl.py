"""Append-only files: what a crash cut short is taken off, what is whole stays, what is foreign stays as it is."""

import hashlib
import json
import re

import pytest
from pydantic import BaseModel, ConfigDict

from ddxgraph.batch import tracefile
from ddxgraph.common.errors import DdxgraphError
from ddxgraph.common.jsonl import LineLog, sealed
from ddxgraph.eval.scoring import judgements
from ddxgraph.training.review import file as reviews
from ddxgraph.training.rewrite import store

KINDS = [pytest.param(room._FILE, id=room.__name__) for room in (tracefile, judgements, reviews, store)]


def a_line(kind, name: str) -> str:
    """A whole line that begins as those of the kind do."""
    return f'{kind.beginning.decode()}{name}"}}'


def a_sealed_line(kind, name: str) -> str:
    return sealed(a_line(kind, name))


@pytest.mark.parametrize("kind", KINDS)
def test_a_last_line_that_lacks_its_newline_is_completed(kind, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(
        f"{a_sealed_line(kind, 'a')}\n{a_line(kind, 'b')}"
    )  # the last as earlier versions wrote it
    with LineLog(path, kind) as log:
        log.write([a_line(kind, "c")])
    lines = path.read_text().splitlines()
    assert lines == [a_sealed_line(kind, "a"), a_line(kind, "b"), a_sealed_line(kind, "c")]
    assert all(json.loads(line) for line in lines)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [lambda line: line[:-1], lambda line: line[:10], lambda line: "\0" * 9])
def test_a_last_line_that_was_cut_short_is_taken_off(kind, tail, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(f"{a_sealed_line(kind, 'a')}\n{tail(a_sealed_line(kind, 'b'))}")
    with LineLog(path, kind) as log:
        assert log.cut == len(tail(a_sealed_line(kind, "b")))
        log.write([a_line(kind, "c")])
    assert path.read_text().splitlines() == [a_sealed_line(kind, name) for name in "ac"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_ends_in_its_checksum_which_any_tool_can_compute(kind, tmp_path):
    path = tmp_path / "log.jsonl"
    with LineLog(path, kind) as log:
        log.write([a_line(kind, "ä")])
    bare, _, end = path.read_text(encoding="utf-8").rpartition(',"checksum":"')
    assert bare + "}" == a_line(kind, "ä")
    assert end == hashlib.sha256(a_line(kind, "ä").encode()).hexdigest()[:16] + '"}\n'
    assert list(kind.lines(path)) == [(1, a_line(kind, "ä").encode())]


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_that_changed_is_noticed_whatever_changed_in_it(kind, tmp_path):
    path = tmp_path / "log.jsonl"
    line = a_sealed_line(kind, "a").encode()
    for place in range(len(line) - 2):  # the last two bytes make it JSON
        for bit in (0, 3, 7):
            changed = bytearray(line)
            changed[place] ^= 1 << bit
            path.write_bytes(bytes(changed) + b"\n" + line + b"\n")
            if b"\n" in changed:
                continue
            lines = kind.lines(path)
            where = f"{path}, line 1"
            with pytest.raises(DdxgraphError, match=re.escape(where)):
                kind.parsed(next(lines)[1], Nothing, where)


class Nothing(BaseModel):
    """Refuses every line: those whose checksum's own name changed are not what was written either."""

    model_config = ConfigDict(extra="forbid")


@pytest.mark.parametrize("kind", KINDS)
def test_the_error_says_how_to_keep_a_change_on_purpose(kind, tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text(a_sealed_line(kind, "a").replace('a"', 'b"', 1) + "\n")
    with pytest.raises(kind.error, match='take the field "checksum" out of that line'):
        list(kind.lines(path))
    path.write_text(path.read_text().removesuffix("\n"))
    with pytest.raises(kind.error, match='take the field "checksum" out of that line'):
        LineLog(path, kind)


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
