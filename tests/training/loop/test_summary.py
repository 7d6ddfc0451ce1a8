"""The summary of a loop: the figures of base and rounds, as data, as Markdown and as a page."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from loops import TRAIN, VALIDATION, Bench, Told, go, summary_of, write_loop

from ddxgraph.common.words import NOTICE
from ddxgraph.training.loop.loop import Ended
from ddxgraph.training.loop.summary import LoopSummary, markdown, page, write_summary
from ddxgraph.training.sft.card import Hardware, Losses, TrainingCard
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import CARD, TrainingJob
from ddxgraph.training.sft.tokens import SideCounts


def card(loss: float) -> TrainingCard:
    return TrainingCard(
        made=datetime(2026, 1, 1, tzinfo=UTC),
        job=TrainingJob(
            config=TrainConfig(), base_sha256="0", data={}, style="longstep", prompt_hashes=("abc",)
        ),
        base_model="a-model",
        train=SideCounts(read=4, used=4, tokens=900, supervised_tokens=321),
        validation=SideCounts(),
        steps=1,
        seconds=1.0,
        tokens_per_s=900.0,
        trained_parameters=1,
        all_parameters=2,
        losses=Losses(train=loss, train_mean=loss, validation=None, log=[]),
        hardware=Hardware(device="cpu", devices=1, precision="float32", attention="sdpa"),
        libraries={},
        code_version="0",
    )


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Two rounds, the second of which is not kept."""
    path = write_loop(tmp_path_factory.mktemp("summary"))
    ended = go(path, Bench({"base": 4, "round-01": 6, "round-02": 0}))
    folder = path.with_suffix("")
    (folder / "round-01" / "adapter" / CARD).write_text(card(0.75).model_dump_json())
    return path, ended


@pytest.fixture(scope="module")
def summary(loop) -> LoopSummary:
    return summary_of(*loop)


def test_the_figures_are_those_of_the_runs(summary):
    accuracies = [summary.base.accuracy, *(one.evaluated.accuracy for one in summary.rounds)]
    assert [one.value for one in accuracies] == [0.5, 0.75, 0.0]
    assert {one.method for one in accuracies} == {"Wilson"}
    assert [round(summary.base.accuracy.low, 3), round(summary.base.accuracy.high, 3)] == [0.215, 0.785]
    assert summary.base.traversals == len(VALIDATION)
    assert summary.base.output_tokens == 5  # "So it is.\nAnswer: A", a token for every four characters
    assert (summary.state, summary.kept) == ("stopped", "round-01/adapter")


def test_what_a_round_was_made_of_is_told(summary):
    gathered = summary.rounds[0].gathered
    assert (gathered.traversals, gathered.accepted, gathered.share) == (len(TRAIN), len(TRAIN), 1.0)
    assert (gathered.train, gathered.validation) == (len(TRAIN), 0)
    assert gathered.backtracks_told == 2  # every third case goes back: 0 and 3
    assert summary.rounds[0].proof.verdict == "live"


def test_the_training_card_is_read_where_there_is_one(summary):
    trained = summary.rounds[0].trained
    assert (trained.samples, trained.supervised_tokens) == (4, 321)
    assert (trained.train_loss, trained.validation_loss) == (0.75, None)
    assert summary.rounds[1].trained is None


def test_a_later_round_is_held_against_the_base_model_too(summary):
    assert summary.rounds[0].against_base is None
    assert summary.rounds[1].decision.comparison.a == "round-01"
    assert summary.rounds[1].decision.comparison.difference == -0.75
    assert summary.rounds[1].against_base.a == "base"
    assert summary.rounds[1].against_base.difference == -0.5


def test_the_json_can_be_read_back(summary, tmp_path):
    write_summary(summary, tmp_path)
    told = (tmp_path / "summary.json").read_text()
    assert LoopSummary.model_validate_json(told) == summary
    assert {path.name for path in tmp_path.iterdir()} == {"summary.json", "summary.md", "summary.html"}


def test_the_same_loop_gives_the_same_bytes(loop, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_summary(summary_of(*loop), tmp_path / name)
    for name in ("summary.json", "summary.md", "summary.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_markdown_has_a_row_for_each_and_every_row_as_many_cells(summary):
    text = markdown(summary)
    assert NOTICE in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert [len(table) for table in tables] == [2 + 4, 2 + 2]
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table}) == 1, table
    assert "| base | 50.0% | 21.5 to 78.5 | 0 of 8 | 5 |" in text
    assert "- Round 2: not kept, it is worse: −75.0 points against round-01" in text


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += [f"{tag} {name}={value}" for name, value in attrs]
        if tag not in {"meta", "link", "br", "line", "circle"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [f"{tag} {name}={value}" for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_says_what_it_is_not(summary):
    text = page(summary)
    tags = _Tags()
    tags.feed(text)
    assert tags.open == []
    assert NOTICE in text
    assert not re.findall(r"https?://", text)
    assert not [one for one in tags.attributes if one.startswith(("script", "img"))]
    assert text.count("<circle") == 3
    for said in ("50.0%", "75.0%", "−75.0", "321", "0.750", "round-01", "live"):
        assert said in text


def test_names_are_anybodys_text(summary):
    hostile = summary.model_copy(update={"base_model": "<script>|*x*", "why": "a <b> | c"})
    assert "<script>" not in page(hostile)
    assert "<script>" not in markdown(hostile)


def test_a_loop_under_way_has_a_summary_too(tmp_path):
    path = write_loop(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        go(path, Bench(), Told(break_at="round 1: train"))
    summary = summary_of(path)
    assert (summary.state, summary.why, summary.kept) == ("under way", "", None)
    only = summary.rounds[0]
    assert only.gathered.accepted == 4
    assert (only.trained, only.proof, only.evaluated, only.decision) == (None, None, None, None)
    assert "round 1" in markdown(summary)
    assert "round 1" in page(summary)


def test_an_incomplete_evaluation_has_bounds_only(tmp_path):
    path = write_loop(tmp_path)
    go(path, Bench())
    traces = path.with_suffix("") / "round-02" / "evaluation" / "traces.jsonl"
    traces.write_text("".join(line + "\n" for line in traces.read_text().splitlines()[:6]))
    (path.with_suffix("") / "round-02" / "decision.json").unlink()
    summary = summary_of(path)
    assert summary.rounds[1].evaluated.unscored == 2
    assert summary.rounds[1].evaluated.accuracy.bounds == (0.75, 1.0)
    assert "75.0 to 100.0% (incomplete)" in markdown(summary)


def test_nothing_there_yet_is_told_as_such(tmp_path):
    path = write_loop(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        go(path, Bench(), Told(break_at="base: serve"))
    summary = summary_of(path, Ended("stopped", "for a reason"))
    assert (summary.base, summary.rounds) == (None, ())
    assert "Stopped: for a reason." in markdown(summary)
    assert json.loads(summary.model_dump_json())["items"] == "8 cases"
