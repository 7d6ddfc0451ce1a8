"""Benchmarks: their cases, whole and as published, or a sentence that says what is wrong."""

import json
import re
import time
from collections import Counter

import pytest
from benchmarkmaker import JAMA_OTHER, JAMA_TEST, SHARED, as_lines, jama_record, medqa_row, mini

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import BenchmarkError
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.benchmarks.items import absent_from, items_of, load
from ddxgraph.eval.benchmarks.jama import import_jama, listed_urls
from ddxgraph.eval.benchmarks.medqa import medqa_rows
from ddxgraph.eval.benchmarks.rawfile import data_folder, published
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.eval.benchmarks.store import standings
from ddxgraph.eval.cases import sample

ROWS = [medqa_row(number) for number in range(12)]
WHOLE = Selection(benchmark="mini")

shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the benchmarks' raw files are not beside the checkout"
)


@pytest.fixture
def benchmark(tmp_path):
    made = mini(tmp_path, ROWS)
    (tmp_path / "mini").mkdir()
    (tmp_path / "mini" / "test.jsonl").write_bytes(as_lines(ROWS))
    return made


def ids(items) -> list[str]:
    return [case.id for case, _ in items]


def test_rows_become_cases_and_their_answers_are_kept_apart(benchmark, tmp_path):
    items = items_of(benchmark, WHOLE, tmp_path)
    assert len(items) == 12
    assert list(items) == list(items), "they can be read again"
    case, gold = items.entries[5]
    assert case.id == gold.case == "mini-test-5"
    assert (case.vignette, case.options) == (ROWS[5]["question"], ROWS[5]["options"])
    assert (case.source, case.split, gold.answer) == ("mini", "test", "B")
    assert "answer" not in case.model_dump()


def test_a_selection_is_completed_by_what_was_read(benchmark, tmp_path):
    items = items_of(benchmark, WHOLE.model_copy(update={"limit": 5, "size": 99, "sha256": "x"}), tmp_path)
    assert items.selection.size == 12
    assert items.selection.sha256 == benchmark.splits["test"].file.sha256
    assert items_of(benchmark, items.selection, tmp_path) == items


def test_a_limit_draws_the_sample_of_its_seed(benchmark, tmp_path):
    whole = items_of(benchmark, WHOLE, tmp_path)
    for seed in (0, 4):
        drawn = items_of(benchmark, Selection(benchmark="mini", limit=5, limit_seed=seed), tmp_path)
        assert ids(drawn) == ids(sample(whole, 5, seed))
        assert drawn.denominator == 5


def test_a_subset_is_told_by_its_name_whatever_its_case(benchmark, tmp_path):
    items = items_of(benchmark, Selection(benchmark="mini", subset="STEP2&3"), tmp_path)
    assert ids(items) == [f"mini-test-{n}" for n in (0, 3, 6, 9)]
    assert items.selection.subset == "step2&3"
    assert items.selection.size == 12
    with pytest.raises(BenchmarkError, match="no subset 'step9'; it has 'step1', 'step2&3'"):
        items_of(benchmark, Selection(benchmark="mini", subset="step9"), tmp_path)


def test_ids_stay_the_same_however_the_options_are_shown(benchmark, tmp_path):
    whole = items_of(benchmark, WHOLE, tmp_path)
    mixed = items_of(benchmark, Selection(benchmark="mini", shuffle=0), tmp_path)
    free = items_of(benchmark, Selection(benchmark="mini", free_form=True), tmp_path)
    assert ids(whole) == ids(mixed) == ids(free)
    right = [case.options[gold.answer] for case, gold in whole]
    assert [case.options[gold.answer] for case, gold in mixed] == right
    assert [gold.answer for _, gold in free] == right
    assert [case.options for case, _ in free] == [{}] * 12
    assert [gold.answer for _, gold in mixed] != [gold.answer for _, gold in whole]


def test_a_shuffle_moves_a_case_alike_in_the_whole_and_in_a_sample(benchmark, tmp_path):
    mixed = {
        case.id: case for case, _ in items_of(benchmark, Selection(benchmark="mini", shuffle=2), tmp_path)
    }
    drawn = items_of(benchmark, Selection(benchmark="mini", shuffle=2, limit=4), tmp_path)
    assert all(mixed[case.id] == case for case, _ in drawn)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS[:4] + ROWS[5:], r"row 4 \(mini-test-4\): it is missing"),
        ([*ROWS, ROWS[2]], r"row 12 \(mini-test-12, .*occurs twice"),
        ([*ROWS[:-1], {**ROWS[-1], "answer_idx": "F"}], r"row 11 .*'F' is none of the options A, B, C, D"),
        ([*ROWS[:-1], {**ROWS[-1], "extra": 1}], "its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}"),
    ],
)
def test_what_is_not_as_published_is_refused_with_the_row_named(rows, said, benchmark, tmp_path):
    (tmp_path / "mini" / "test.jsonl").write_bytes(as_lines(rows))
    with pytest.raises(BenchmarkError, match=said) as refused:
        items_of(benchmark, WHOLE, tmp_path)
    assert "make it" in str(refused.value), "says how to mend it"


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        ({"benchmark": "medmcqa"}, "no benchmark 'medmcqa'; there are medqa, medbullets, jama"),
        ({"benchmark": "medbullets", "split": "dev"}, "no split 'dev'; it has test"),
        ({"benchmark": "medqa", "five_options": True}, "no file with five options"),
        ({"benchmark": "medqa"}, "medqa test is not on this machine .*data_clean.zip"),
        ({"benchmark": "medqa", "split": "train"}, "no public home"),
        ({"benchmark": "medbullets"}, "run `ddxgraph data fetch medbullets`"),
        ({"benchmark": "jama"}, "copyrighted and is not shipped: .*your own access.*data import jama"),
    ],
)
def test_what_is_not_there_is_said_with_how_to_get_it(selection, said, tmp_path):
    with pytest.raises(BenchmarkError, match=said):
        load(Selection(**selection), folder=tmp_path)


def test_the_data_folder_is_below_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine" / "data"
    assert not (tmp_path / "mine").exists(), "asking makes no folder"


def raw_files():
    return [raw for one in BENCHMARKS.values() for raw in one.files() if raw.digests]


@pytest.mark.parametrize("raw", raw_files(), ids=lambda raw: raw.path)
def test_every_published_row_has_a_digest_and_no_text(raw):
    rows = published(raw)
    assert len(rows) == raw.rows
    assert all(len(row.digest) == 12 and int(row.digest, 16) >= 0 for row in rows)
    keys = [row.key for row in rows if row.key]
    assert len(set(keys)) == len(keys)


def test_sizes_are_the_published_ones():
    assert {f"{b.name} {s}": split.size for b in BENCHMARKS.values() for s, split in b.splits.items()} == {
        "medqa dev": 1272,
        "medqa test": 1273,
        "medqa train": 3482,
        "medbullets test": 308,
        "jama test": 646,
        "jama train": 0,
        "ddxlab train": 8000,
        "ddxlab dev": 400,
        "ddxlab test": 1000,
    }
    assert len(listed_urls()) == 646


def test_the_public_copies_are_named_at_a_commit_and_hold_dev_and_test():
    homes = {split: BENCHMARKS["medqa"].splits[split].file.urls for split in ("dev", "test")}
    for split, urls in homes.items():
        assert urls
        for url in urls:
            assert re.fullmatch(
                rf"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{{40}}/.+/phrases_no_exclude_{split}\.jsonl",
                url,
            )
    assert BENCHMARKS["medqa"].splits["train"].file.urls == ()


@pytest.mark.parametrize(
    ("selection", "count", "absent"),
    [
        (Selection(benchmark="jama", size=646), 2, 644),
        (Selection(benchmark="jama", size=646), 646, 0),
        (Selection(benchmark="jama", size=646, limit=2), 2, 0),
        (Selection(benchmark="jama", size=646, subset="dermatology"), 2, 0),
        (Selection(benchmark="jama"), 2, 0),  # not completed
        (None, 2, 0),
    ],
)
def test_what_is_absent_of_a_selection(selection, count, absent):
    assert absent_from(selection, count) == absent


def an_import(folder, *, other=JAMA_OTHER):
    source = folder / "jama_raw.json"
    source.write_bytes(
        b"[" + as_lines([jama_record(u) for u in (*JAMA_TEST, *other)])[:-1].replace(b"\n", b",") + b"]"
    )
    return import_jama(source, folder)


def test_an_incomplete_import_is_scored_over_the_whole_benchmark(tmp_path):
    an_import(tmp_path)
    items = load(Selection(benchmark="jama"), folder=tmp_path)
    assert ids(items) == ["jama-2798922", "jama-2811315"]
    assert (items.selection.size, items.absent, items.denominator) == (646, 644, 646)
    drawn = load(Selection(benchmark="jama", limit=1), folder=tmp_path)
    assert (len(drawn), drawn.absent, drawn.denominator) == (1, 644, 1)


def test_what_an_import_holds_beyond_the_test_items_is_its_train_split(tmp_path):
    an_import(tmp_path)
    train = load(Selection(benchmark="jama", split="train"), folder=tmp_path)
    assert (train.selection.size, train.absent, len(train)) == (4, 0, 4)
    fields = load(Selection(benchmark="jama", subset="dermatology"), folder=tmp_path)
    assert len(fields) == 2
    with pytest.raises(BenchmarkError, match="no subset 'surgery'; it has 'Dermatology'"):
        load(Selection(benchmark="jama", subset="surgery"), folder=tmp_path)


def test_an_imported_file_that_was_changed_is_refused_with_the_row_named(tmp_path):
    an_import(tmp_path)
    path = tmp_path / "jama" / "test.jsonl"
    path.write_text(path.read_text().replace('"answer_idx": "C"', '"answer_idx": "E"', 1))
    with pytest.raises(
        BenchmarkError, match=r"row 0 \(jama-2798922, .*'E' is none of the options A, B, C, D"
    ):
        load(Selection(benchmark="jama"), folder=tmp_path)
    (tmp_path / "jama" / "import.json").unlink()
    with pytest.raises(BenchmarkError, match="was not imported by ddxgraph"):
        load(Selection(benchmark="jama"), folder=tmp_path)


def test_an_import_record_that_was_doctored_does_not_let_other_items_in(tmp_path):
    # The test file swapped for the train file, and the record with it.
    an_import(tmp_path)
    jama = tmp_path / "jama"
    record = (jama / "import.json").read_text()
    told = json.loads(record)
    told["stored"]["test"] = told["stored"]["train"]
    (jama / "import.json").write_text(json.dumps(told))
    (jama / "test.jsonl").write_bytes((jama / "train.jsonl").read_bytes())
    with pytest.raises(BenchmarkError, match="is no item of the test split"):
        load(Selection(benchmark="jama"), folder=tmp_path)


def test_standings_tell_what_is_here(tmp_path):
    assert {s.state for one in BENCHMARKS.values() for s in standings(one, tmp_path)} == {"absent"}
    an_import(tmp_path)
    test, train, urls = standings(BENCHMARKS["jama"], tmp_path)
    assert (test.state, test.size, test.present) == ("incomplete", 646, 2)
    assert (train.state, train.size, train.present) == ("ok", 4, 4)
    assert (urls.split, urls.state) == ("", "absent")
    (tmp_path / "jama" / "import.json").write_text("{")
    with pytest.raises(BenchmarkError, match=r"import\.json is damaged"):
        load(Selection(benchmark="jama"), folder=tmp_path)


@shared
@pytest.mark.parametrize(
    ("selection", "cases", "options"),
    [
        ({"benchmark": "medqa", "split": "dev"}, 1272, {4: 1272}),
        ({"benchmark": "medqa"}, 1273, {4: 1273}),
        ({"benchmark": "medqa", "split": "train"}, 3482, {4: 3270, 5: 212}),
        ({"benchmark": "medqa", "split": "dev", "subset": "step1"}, 701, {4: 701}),
        ({"benchmark": "medbullets"}, 308, {4: 308}),
        ({"benchmark": "medbullets", "five_options": True}, 308, {5: 308}),
    ],
    ids=str,
)
def test_the_true_files_are_as_published(selection, cases, options):
    items = load(Selection(**selection), folder=SHARED)
    assert len({case.id for case, _ in items}) == cases
    assert Counter(len(case.options) for case, _ in items) == options
    assert all(gold.answer in case.options for case, gold in items)
    assert items.absent == 0


@shared
def test_medbullets_ids_are_the_same_with_four_and_five_options():
    four, five = (
        {
            case.id: case.vignette
            for case, _ in load(Selection(benchmark="medbullets", five_options=more), folder=SHARED)
        }
        for more in (False, True)
    )
    assert four == five


@shared
def test_no_row_that_nearly_is_an_evaluation_item_is_in_train():
    train = load(Selection(benchmark="medqa", split="train"), folder=SHARED)
    kept = {int(case.id.rpartition("-")[2]) for case, _ in train}
    rows = list(medqa_rows((SHARED / "medqa" / "train_partial.jsonl").read_bytes()))
    left_out = {row.name for row in rows if row.number not in kept}
    assert len(left_out) == 21
    assert "medqa_train_8961a63d458c" in left_out


@shared
def test_loading_is_fast():
    load(Selection(benchmark="medqa"), folder=SHARED)
    took = []
    for _ in range(3):
        start = time.process_time()
        load(Selection(benchmark="medqa"), folder=SHARED)
        took.append(time.process_time() - start)
    assert min(took) < 0.5
