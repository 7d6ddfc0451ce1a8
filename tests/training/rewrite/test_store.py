"""The file of rewritings: whole lines or nothing, one process at a time, nothing foreign."""

from pathlib import Path

import pytest

from ddxgraph.common.errors import RewriteError
from ddxgraph.graph.trace import Provenance
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.training.rewrite.check import CHECK, Fault, FaultKind
from ddxgraph.training.rewrite.store import (
    REWRITES,
    RewriteKey,
    RewriteLog,
    RewriteTry,
    read_rewrites,
    rewriter_digest,
)

KEY = RewriteKey("r" * 16, "t" * 16, "d" * 16)


def reply(number: int, text: str = "So it goes.") -> RewriteTry:
    return RewriteTry(
        **KEY._asdict(),
        number=number,
        text=text,
        faults=(Fault(kind=FaultKind.NO_ANSWER),),
        check=CHECK,
        provenance=Provenance(model="a-model"),
        usage=Usage(calls=1, prompt_tokens=10, completion_tokens=5),
    )


def test_what_is_appended_is_read_again(tmp_path):
    folder = tmp_path / "new" / "folder"
    with RewriteLog(folder) as log:
        log.append(reply(0))
        log.append(reply(1, "病 “é”\nline \u2028 two"))
        assert [one.number for one in log.tries(KEY)] == [0, 1]
    assert list(read_rewrites(folder / REWRITES)) == [reply(0), reply(1, "病 “é”\nline \u2028 two")]
    with RewriteLog(folder) as log:
        assert log.tries(KEY) == [reply(0), reply(1, "病 “é”\nline \u2028 two")]
        assert log.tries(KEY._replace(template="x")) == []


def test_a_last_line_that_was_cut_short_is_replaced(tmp_path):
    with RewriteLog(tmp_path) as log:
        log.append(reply(0))
        log.append(reply(1))
    path = tmp_path / REWRITES
    path.write_bytes(path.read_bytes()[:-9])
    assert [one.number for one in read_rewrites(path)] == [0]
    with RewriteLog(tmp_path) as log:
        assert len(log.tries(KEY)) == 1
        log.append(reply(1, "again"))
    assert [one.text for one in read_rewrites(path)] == ["So it goes.", "again"]


@pytest.mark.parametrize(
    ("line", "said"), [(b"{}", "rewriter: Field"), (b"no", "Invalid JSON"), (b'{"version":2}', "version: ")]
)
def test_a_line_that_is_no_rewriting_is_named(line, said, tmp_path):
    with RewriteLog(tmp_path) as log:
        log.append(reply(0))
    path = tmp_path / REWRITES
    path.write_bytes(path.read_bytes() + line + b"\n")
    before = path.read_bytes()
    with pytest.raises(RewriteError, match=r"line 2: not a rewriting of version 1") as refused:
        RewriteLog(tmp_path)
    assert said in str(refused.value)
    assert path.read_bytes() == before
    path.write_bytes(b"")
    RewriteLog(tmp_path).close()  # the lock was let go of


def test_one_process_at_a_time(tmp_path):
    with RewriteLog(tmp_path), pytest.raises(RewriteError, match="another process is rewriting into"):
        RewriteLog(tmp_path)
    RewriteLog(tmp_path).close()


def test_half_a_character_does_not_cost_the_line(tmp_path):
    with RewriteLog(tmp_path) as log:
        log.append(reply(0, "so \ud83d"))
    assert [one.text for one in read_rewrites(tmp_path / REWRITES)] == ["so ?"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(RewriteError, match=r"cannot write .*rewrites\.jsonl"):
        RewriteLog(place)


def test_a_closed_log_is_a_sentence(tmp_path):
    log = RewriteLog(tmp_path)
    log.close()
    with pytest.raises(RewriteError, match="is closed: keep the log open"):
        log.append(reply(0))
    assert not Path(tmp_path / REWRITES).read_bytes()


def test_what_names_a_rewriter():
    known = Provenance(model="m", sampling={"temperature": 0.7}, prompt_set="p", engine="e", code_version="1")
    same = known.model_copy(update={"engine": "f", "code_version": "2", "started_at": "now"})
    assert rewriter_digest(known) == rewriter_digest(same)
    for other in (
        {"model": "n"},
        {"adapter": "a"},
        {"adapter_sha256": "0"},
        {"sampling": {"temperature": 0.8}},
        {"prompt_set": "q"},
    ):
        assert rewriter_digest(known.model_copy(update=other)) != rewriter_digest(known)
