"""The laboratory benchmark in the registry: generated, and treated like any other."""

import hashlib
import json
from collections import Counter
from dataclasses import replace

import pytest
from benchmarkmaker import SHARED
from laboratory import made_up_content

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.benchmarks.ddxlab import CASES_A_LEVEL, ddxlab_rows
from ddxgraph.eval.benchmarks.items import items_of, load
from ddxgraph.eval.benchmarks.registry import BENCHMARKS, find
from ddxgraph.eval.benchmarks.store import fetch, standings
from ddxgraph.lab.labcase import findings_key
from ddxgraph.lab.level import LEVELS
from ddxgraph.lab.solver import leaders, posterior
from ddxgraph.lab.wording import read_question, read_vignette

DDXPLUS = SHARED / "ddxplus"
needs_ddxplus = pytest.mark.skipif(not DDXPLUS.is_dir(), reason="DDXPlus is not beside the checkout")


@pytest.fixture
def benchmark(tmp_path):
    """The registered one, over made-up knowledge."""
    content = made_up_content()
    (tmp_path / "ddxplus").mkdir()
    (tmp_path / "ddxplus" / "release_conditions.json").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    known = BENCHMARKS["ddxlab"]
    splits = {
        name: replace(split, file=replace(split.file, sha256=sha256)) for name, split in known.splits.items()
    }
    return replace(known, splits=splits)


def whole(split: str) -> Selection:
    return Selection(benchmark="ddxlab", split=split)


@pytest.fixture
def items(benchmark, tmp_path):
    return items_of(benchmark, whole("test"), tmp_path)


def test_a_split_holds_as_many_cases_of_each_level(items):
    assert len(items) == items.selection.size == 4 * CASES_A_LEVEL["test"]
    levels = Counter(case.id.split("-")[2] for case, _ in items)
    assert levels == dict.fromkeys(map(str, LEVELS), CASES_A_LEVEL["test"])


def test_the_gold_answer_is_what_a_reader_of_the_case_can_work_out(items):
    for case, gold in items:
        told = read_vignette(case.vignette)
        likeliest, _ = leaders(posterior(told.cards, told.findings, read_question(case.question)))
        assert case.options[gold.answer] == likeliest
        assert (case.source, case.split) == ("ddxlab", "test")


def test_a_level_is_a_subset(benchmark, tmp_path):
    wanted = Selection(benchmark="ddxlab", split="dev", subset="level-3", limit=7)
    some = items_of(benchmark, wanted, tmp_path)
    assert [len(case.options) for case, _ in some] == [3] * 7
    with pytest.raises(BenchmarkError, match=r"no subset 'level-9'; it has 'level-1', 'level-2'"):
        items_of(benchmark, wanted.model_copy(update={"subset": "level-9"}), tmp_path)


def test_no_case_shares_its_findings_with_another_split(benchmark, tmp_path):
    keys = {
        split: {
            findings_key(read_vignette(case.vignette).findings)
            for case, _ in items_of(benchmark, whole(split), tmp_path)
        }
        for split in benchmark.splits
    }
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["dev"]
    assert not keys["dev"] & keys["test"]


def test_letters_are_balanced_within_each_level(items):
    for number, level in LEVELS.items():
        golds = [gold.answer for case, gold in items if case.id.split("-")[2] == str(number)]
        counts = Counter(golds)
        assert len(counts) == level.candidates
        assert max(counts.values()) - min(counts.values()) <= 1


def test_another_file_is_refused_and_what_to_do_is_said(benchmark, tmp_path):
    (tmp_path / "ddxplus" / "release_conditions.json").write_text("{}")
    with pytest.raises(
        BenchmarkError, match=r"not as it was published: its SHA-256 .*ddxgraph data fetch ddxplus"
    ):
        items_of(benchmark, whole("test"), tmp_path)
    (tmp_path / "ddxplus" / "release_conditions.json").unlink()
    with pytest.raises(
        BenchmarkError, match=r"not on this machine .*ddxgraph data fetch ddxplus --from PATH"
    ):
        items_of(benchmark, whole("test"), tmp_path)
    assert {one.state for one in standings(benchmark, tmp_path)} == {"absent"}
    with pytest.raises(BenchmarkError, match=r"no release_conditions\.json"):
        list(ddxlab_rows("test", json.dumps([1]).encode()))


def test_it_is_fetched_once_for_all_splits_by_the_name_of_its_data(benchmark, tmp_path):
    assert find("ddxplus") is BENCHMARKS["ddxlab"]
    place = tmp_path / "data"
    fetched = fetch(benchmark, source=tmp_path / "ddxplus", folder=place)
    assert [(one.state, one.path) for one in fetched] == [
        ("fetched", place / "ddxplus" / "release_conditions.json")
    ]
    assert {one.state for one in standings(benchmark, place)} == {"ok"}
    assert [one.state for one in fetch(benchmark, folder=place)] == ["there"]


def test_no_name_finds_no_benchmark():
    with pytest.raises(BenchmarkError, match="no benchmark ''"):
        find("")


@needs_ddxplus
def test_the_real_one_is_had_from_the_users_copy(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert [one.state for one in fetch(find("ddxplus"), source=DDXPLUS)] == ["fetched"]
    items = load(Selection(benchmark="ddxlab", split="dev"))
    assert len(items) == 4 * CASES_A_LEVEL["dev"]
    case, gold = items.entries[0]
    assert case.id == "ddxlab-dev-1-0-0"
    assert gold.answer == "A"
