"""Files of samples: one schema for all lines, both formats, and a refusal that names file and line."""

import json
from typing import Any

import pytest
from journeys import CASE, STRAIGHT, reflection

from ddxgraph import Trace, build_graph, solve
from ddxgraph.common.errors import SampleFileError
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.gate.reasons import Note
from ddxgraph.training.sets.forms import form_names, form_of
from ddxgraph.training.sets.samples import (
    Record,
    features_of,
    read_samples,
    record_of,
)
from ddxgraph.training.styles.compile import Sample, compile_journey
from ddxgraph.training.styles.registry import style_names

SCRIPT = {**STRAIGHT, "reflect": [reflection("recheck_evidence", ["C"], ["B"]), reflection()]}


def line_of(record: Any, form: str) -> str:
    return form_of(form).line(record)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return solve(build_graph(ScriptedChatModel(script=SCRIPT)), CASE)


@pytest.fixture(scope="module")
def sample(trace) -> Sample:
    return compile_journey(trace, "longstep")


@pytest.fixture(scope="module")
def rich(sample) -> Sample:
    """The same from an adapter, by the tree rule, with an answer key's moves and cached tokens counted."""
    known = {
        "adapter": "mine",
        "adapter_sha256": "0" * 64,
        "tries": 2,
        "triggers": {"gold": 1, "verifier": 2},
        "tokens": Usage(calls=1, prompt_tokens=5, cached_tokens=3, completion_tokens=7, estimated=True),
    }
    return sample.model_copy(update={"meta": sample.meta.model_copy(update=known)})


@pytest.mark.parametrize("form", form_names())
def test_all_lines_have_the_same_fields_of_the_same_types(sample, rich, form):
    plain = line_of(record_of(sample), form)
    other = line_of(record_of(rich, [Note.ANSWER_KEY], "rewritten"), form)
    assert plain != other
    assert features_of(plain) == features_of(other)
    assert "null" not in plain


def test_what_was_absent_is_told_without_a_null(sample, rich):
    meta = json.loads(line_of(record_of(sample), "messages"))["meta"]
    assert (meta["adapter"], meta["adapter_sha256"], meta["tries"]) == ("", "", 0)
    assert meta["triggers"] == {
        "self": sample.meta.triggers["self"],
        "verifier": 0,
        "budget": 0,
        "engine": 0,
        "gold": 0,
        "label": 0,
        "expert": 0,
    }
    assert meta["notes"] == {"answer_key": False, "expert_approved": False, "not_scored": False}
    told = record_of(rich, [Note.ANSWER_KEY]).meta
    assert (told.adapter, told.tries, told.triggers["gold"], told.triggers["self"]) == ("mine", 2, 1, 0)
    assert told.notes == {Note.ANSWER_KEY: True, Note.EXPERT_APPROVED: False, Note.NOT_SCORED: False}
    assert told.tokens.model_dump() == {"calls": 1, "prompt": 5, "completion": 7, "estimated": True}


@pytest.mark.parametrize("form", form_names())
@pytest.mark.parametrize("style", style_names())
def test_a_sample_is_read_back_as_it_was_written(trace, tmp_path, style, form):
    record = record_of(compile_journey(trace, style))
    path = tmp_path / "train.jsonl"
    path.write_bytes((line_of(record, form) + "\n").encode() * 2)
    found = list(read_samples(path, form))
    assert [(list(one.messages), one.meta) for one in found] == [(list(record.messages), record.meta)] * 2


def test_sharegpt_names_the_speakers_its_own_way(trace):
    told = json.loads(line_of(record_of(compile_journey(trace, "graph")), "sharegpt"))
    assert list(told) == ["conversations", "meta"]
    assert [one["from"] for one in told["conversations"][:3]] == ["system", "human", "gpt"]
    chat = json.loads(line_of(record_of(compile_journey(trace, "graph")), "messages"))
    assert [one["value"] for one in told["conversations"]] == [one["content"] for one in chat["messages"]]


def test_a_line_separator_within_a_text_ends_no_line(sample, tmp_path):
    messages = [one.model_copy(update={"content": "a\u2028b\x85c\r\nd\x00"}) for one in sample.messages]
    record = Record(messages, record_of(sample).meta)
    path = tmp_path / "train.jsonl"
    path.write_bytes((line_of(record, "messages") + "\n").encode())
    [found] = read_samples(path, "messages")
    assert found.messages[0].content == "a\u2028b\x85c\r\nd\x00"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"messages": [', "EOF"),
        (b"\n", "EOF"),
        (b"\xff\xfe\n", "expected value"),
        (b'{"text": "x"}\n', "messages: Field required"),
        (b'{"version":1,"id":"0"}\n', "messages: Field required"),
        (b'{"messages": [], "meta": {}}\n', "messages"),
    ],
    ids=["cut short", "blank", "no text", "foreign", "a trace", "no message"],
)
def test_what_is_no_sample_is_named_with_file_and_line(sample, tmp_path, line, said):
    path = tmp_path / "train.jsonl"
    path.write_bytes((line_of(record_of(sample), "messages") + "\n").encode() + line)
    with pytest.raises(SampleFileError, match=rf"train\.jsonl, line 2: no sample .*{said}"):
        list(read_samples(path, "messages"))


def test_the_other_format_is_no_sample_either(sample, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(line_of(record_of(sample), "sharegpt") + "\n", encoding="utf-8")
    with pytest.raises(SampleFileError, match="line 1: no sample in the format 'messages'"):
        list(read_samples(path, "messages"))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SampleFileError, match=r"cannot read .*train\.jsonl"):
        list(read_samples(tmp_path / "train.jsonl", "messages"))
