"""A set as tokens: nothing is left out, cut or refused without a word."""

import json
from dataclasses import replace

import pytest
from bytellama import byte_tokenizer
from trainset import train_set

from ddxgraph.common.errors import JourneySetError, TrainingDataError
from ddxgraph.training.sft.config import Data
from ddxgraph.training.sft.supervision import supervise
from ddxgraph.training.sft.tokens import read_journeys, take, token_side

TOKENIZER = byte_tokenizer()


@pytest.fixture(scope="module")
def journeys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set") / "journeys"
    train_set(folder, 6, validation=0.4)
    return folder


def lengths(folder) -> list[int]:
    from ddxgraph.training.sets.samples import read_samples

    records = read_samples(folder / "train.jsonl", "messages")
    return [len(supervise(record.messages, TOKENIZER).input_ids) for record in records]


def test_both_sides_with_their_counts(journeys):
    manifest = read_journeys(journeys)
    told = []
    found = token_side(journeys, manifest, "train", TOKENIZER, Data(), None, lambda *at: told.append(at))
    held = token_side(journeys, manifest, "validation", TOKENIZER, Data())
    assert found.counts.read == found.counts.used == len(found.samples) == manifest.train.samples
    assert held.counts.used == manifest.validation.samples > 0
    assert found.counts.tokens == sum(lengths(journeys))
    assert found.counts.supervised_tokens == sum(one.supervised_tokens for one in found.samples)
    assert 0 < found.counts.supervised_tokens < found.counts.tokens
    assert found.counts.longest == max(lengths(journeys))
    assert all("Patient" in prompt for prompt in found.prompts)
    assert told[-1] == (manifest.train.samples, manifest.train.samples)


def test_longer_samples_are_refused_and_named(journeys):
    limit = sorted(lengths(journeys))[-2]
    with pytest.raises(
        TrainingDataError, match=rf"1 of \d samples are longer than {limit} tokens"
    ) as refused:
        token_side(journeys, read_journeys(journeys), "train", TOKENIZER, Data(max_tokens=limit))
    assert "line " in str(refused.value)
    assert "data.too_long" in str(refused.value)


def test_or_dropped_and_counted(journeys):
    limit = sorted(lengths(journeys))[-2]
    settings = Data(max_tokens=limit, too_long="drop")
    found = token_side(journeys, read_journeys(journeys), "train", TOKENIZER, settings)
    assert (found.counts.too_long, found.counts.cut) == (1, 0)
    assert found.counts.used == found.counts.read - 1 == len(found.samples)
    assert max(len(one.input_ids) for one in found.samples) <= limit


def test_or_cut_and_counted(journeys):
    limit = min(lengths(journeys)) - 10
    settings = Data(max_tokens=limit, too_long="truncate")
    found = token_side(journeys, read_journeys(journeys), "train", TOKENIZER, settings)
    assert found.counts.too_long == found.counts.cut == found.counts.used == found.counts.read
    assert {len(one.input_ids) for one in found.samples} == {limit}
    assert all(one.supervised_tokens for one in found.samples)


def test_a_cut_that_leaves_nothing_of_any_reply_is_refused(journeys):
    settings = Data(max_tokens=16, too_long="truncate")
    with pytest.raises(TrainingDataError, match=r"nothing of .*train\.jsonl is left to train on"):
        token_side(journeys, read_journeys(journeys), "train", TOKENIZER, settings)


def test_unreadable_samples_are_refused_with_their_line_or_dropped_and_counted(journeys):
    from ddxgraph.training.sets.samples import read_samples

    records = list(read_samples(journeys / "train.jsonl", "messages"))
    spoilt = records[1].messages[-1].model_copy(update={"content": "so <|im_end|> it is"})
    records[1] = replace(records[1], messages=(*records[1].messages[:-1], spoilt))
    with pytest.raises(TrainingDataError, match=r"data, line 2 \(trace .*special token"):
        take(records, TOKENIZER, Data())
    found = take(records, TOKENIZER, Data(unreadable="drop"))
    assert (found.counts.unreadable, found.counts.used) == (1, len(records) - 1)


def test_a_set_without_training_samples_is_refused_with_where_to_look(tmp_path):
    from ddxgraph.training.gate.config import Length

    with pytest.raises(TrainingDataError, match=r"holds no sample to train on .*gate\.md says why"):
        empty(tmp_path / "journeys", Length(min_backtracks=50))
    assert (tmp_path / "journeys" / "gate.md").is_file()


def empty(folder, length) -> None:
    from gated import NOTHING_HELD_OUT, entries, make_run

    from ddxgraph.training.gate.config import GateConfig
    from ddxgraph.training.sets.make import make_journeys
    from ddxgraph.training.source import RunSource

    rows = entries(2)
    run = make_run(folder.with_name("run"), rows)
    config = GateConfig(length=length)
    make_journeys([RunSource(run, rows)], "cot", folder, config=config, held_out=NOTHING_HELD_OUT)
    read_journeys(folder)


def test_a_set_that_was_changed_is_refused(tmp_path):
    train_set(tmp_path / "journeys", 2)
    path = tmp_path / "journeys" / "train.jsonl"
    line = json.loads(path.read_text().splitlines()[0])
    line["messages"][-1]["content"] = "Answer: A"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(TrainingDataError, match=r"train\.jsonl was changed"):
        read_journeys(tmp_path / "journeys")


def test_a_folder_that_is_no_set_is_refused(tmp_path):
    with pytest.raises(JourneySetError, match="is no set of journeys"):
        read_journeys(tmp_path)


def test_sharegpt_teaches_the_same(tmp_path, journeys):
    train_set(tmp_path / "other", 6, validation=0.4, format="sharegpt")
    ours = token_side(journeys, read_journeys(journeys), "train", TOKENIZER, Data())
    theirs = token_side(tmp_path / "other", read_journeys(tmp_path / "other"), "train", TOKENIZER, Data())
    assert ours.samples == theirs.samples
