"""Looking at a set: figures from its files, changes noticed, samples drawn by a seed."""

import json
from collections import Counter
from pathlib import Path

import pytest
from gated import NOTHING_HELD_OUT, Walk, entries, make_run
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.common.errors import JourneySetError, SampleFileError
from ddxgraph.training.gate.config import Balance, GateConfig, Split
from ddxgraph.training.sets.inspection import histogram, inspect_set
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.source import RunSource

ROWS = entries(8)
CONFIG = GateConfig(balance=Balance(enabled=False), split=Split(validation_share=0.4))


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Eight cases, two samples each, one of which goes back; in two formats and styles."""
    room = tmp_path_factory.mktemp("sets")
    make_run(room / "pilot", ROWS, Walk(goes_back=lambda number, sample: sample == 1), samples=2)
    for name, style, form in (
        ("chat", "longmonolog", "messages"),
        ("shared", "longmonolog", "sharegpt"),
        ("short", "cot", "messages"),
    ):
        make_journeys(
            [RunSource(room / "pilot", ROWS)],
            style,
            room / name,
            config=CONFIG,
            format=form,
            held_out=NOTHING_HELD_OUT,
        )
    return room


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_figures_are_those_of_the_files(sets):
    found = inspect_set(sets / "chat")
    assert found.changed == []
    assert (found.train, found.validation) == (found.manifest.train, found.manifest.validation)
    assert (found.all.samples, found.all.journeys, found.all.cases) == (16, 16, 8)
    assert (found.all.backtracking, found.all.telling) == (8, 8)
    assert found.all.letters == {"A": 4, "B": 4, "C": 4, "D": 4}
    assert found.per_case == {2: 8}
    assert found.models == {"a-model": 16}
    words = [
        len(message["content"].split())
        for side in ("train", "validation")
        for line in (sets / "chat" / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()
        for message in json.loads(line)["messages"]
        if message["role"] == "assistant"
    ]
    assert found.all.words
    assert (found.all.words.least, found.all.words.most) == (min(words), max(words))
    assert sum(bar.samples for bar in found.histogram) == 16


def test_both_formats_say_the_same(sets):
    chat, shared = inspect_set(sets / "chat"), inspect_set(sets / "shared")
    assert (chat.all, chat.histogram, chat.shown) == (shared.all, shared.histogram, shared.shown)


def test_a_control_style_tells_no_backtrack_of_a_journey_that_has_one(sets):
    found = inspect_set(sets / "short").all
    assert (found.backtracking, found.telling) == (8, 0)


def test_samples_are_drawn_by_the_seed(sets):
    first = inspect_set(sets / "chat", samples=3, seed=1)
    assert len(first.shown) == 3
    assert inspect_set(sets / "chat", samples=3, seed=1) == first
    others = {
        tuple(one.meta.trace for one in inspect_set(sets / "chat", samples=3, seed=n).shown) for n in range(5)
    }
    assert len(others) > 1
    assert len(inspect_set(sets / "chat", samples=99).shown) == 16
    assert inspect_set(sets / "chat", samples=0).shown == []
    for one in first.shown:
        line = (sets / "chat" / f"{one.side}.jsonl").read_text(encoding="utf-8").splitlines()[one.line - 1]
        assert json.loads(line)["meta"]["trace"] == one.meta.trace


def test_every_sample_is_as_likely_as_any_other(sets):
    drawn = Counter(
        inspect_set(sets / "chat", samples=4, seed=n).shown[k].meta.trace
        for n in range(100)
        for k in range(4)
    )
    assert len(drawn) == 16
    assert max(drawn.values()) < 50, "25 are expected of each"


def test_what_was_changed_is_named(sets, tmp_path):
    folder = copy(sets / "chat", tmp_path / "set")
    lines = (folder / "train.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "train.jsonl").write_bytes(b"".join(lines[1:]))
    (folder / "gate.md").unlink()
    found = inspect_set(folder)
    assert found.changed == ["train.jsonl was changed", "gate.md is missing"]
    assert found.train.samples == found.manifest.train.samples - 1


def test_a_data_file_that_was_added_is_named(sets, tmp_path):
    folder = copy(sets / "chat", tmp_path / "set")
    manifest = json.loads((folder / "journeys.json").read_text(encoding="utf-8"))
    del manifest["files"]["validation.jsonl"]
    (folder / "journeys.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert inspect_set(folder).changed == ["validation.jsonl was added"]


def test_a_line_that_is_no_sample_is_refused_with_file_and_line(sets, tmp_path):
    folder = copy(sets / "chat", tmp_path / "set")
    with (folder / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "foreign"}\n')
    line = inspect_set(sets / "chat").train.samples + 1
    with pytest.raises(SampleFileError, match=rf"train\.jsonl, line {line}: no sample"):
        inspect_set(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is no set of journeys"),
        ("{}", "not that of a set of version 1"),
        ('{"version": 2}', "not that of a set of version 1"),
        ("oops", "not that of a set of version 1"),
    ],
)
def test_what_is_no_set_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "journeys.json").write_text(content)
    with pytest.raises(JourneySetError, match=said):
        inspect_set(tmp_path)


@given(st.lists(st.integers(0, 100_000), max_size=50))
def test_a_histogram_holds_every_number_once_in_few_bars_without_gaps(numbers):
    bars = histogram(numbers)
    assert len(bars) <= 12
    assert sum(bar.samples for bar in bars) == len(numbers)
    assert [bar.words for bar in bars[1:]] == [bar.below for bar in bars[:-1]]
    for bar in bars:
        assert bar.samples == sum(bar.words <= number < bar.below for number in numbers)
