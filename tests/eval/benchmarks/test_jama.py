"""JAMA from a user's own file: which items are kept, and why the others are not."""

import csv
import io
import json
from pathlib import Path

import pytest
from benchmarkmaker import JAMA_OTHER, JAMA_TEST, SHARED, jama_record

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks.jama import (
    import_jama,
    jama_rows,
    listed_urls,
    normalised_url,
    read_import,
    url_digest,
)

RECORDS = [jama_record(url) for url in (*JAMA_TEST, *JAMA_OTHER)]


def as_csv(records) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for record in records for name in record)))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def written(folder: Path, records, name: str = "jama_raw.json") -> Path:
    path = folder / name
    path.write_text(as_csv(records) if name.endswith(".csv") else json.dumps(records), encoding="utf-8")
    return path


def imported(tmp_path, *records):
    return import_jama(written(tmp_path, records or RECORDS), tmp_path / "data")


def kept(tmp_path, split: str):
    return list(jama_rows((tmp_path / "data" / "jama" / f"{split}.jsonl").read_bytes()))


def altered(place: int, **fields):
    return [{**record, **fields} if at == place else record for at, record in enumerate(RECORDS)]


def test_the_test_items_are_kept_by_the_list_of_addresses(tmp_path):
    report = imported(tmp_path)
    assert (report.rows, report.present, report.missing, report.train) == (6, 2, 644, 4)
    assert report.missing_urls is None
    assert [row.key for row in kept(tmp_path, "test")] == ["2798922", "2811315"]
    assert read_import(tmp_path / "data") == report


def test_csv_and_json_of_the_same_items_are_the_same_import_whatever_their_order(tmp_path):
    one = import_jama(written(tmp_path, RECORDS), tmp_path / "one")
    numbered = [{"id": n, **record} for n, record in enumerate(reversed(RECORDS))]
    two = import_jama(written(tmp_path, numbered, "jama_raw.csv"), tmp_path / "two")
    assert one.stored == two.stored
    assert (one.present, one.train) == (two.present, two.train)


@pytest.mark.parametrize(
    "link",
    [
        JAMA_TEST[0].replace("https", "http"),
        JAMA_TEST[0] + "/",
        JAMA_TEST[0] + "?resultClick=1#figure",
        JAMA_TEST[0].replace("https://", "https://www."),
        f" {JAMA_TEST[0].upper()} ",
    ],
)
def test_an_address_is_known_however_it_is_written(link, tmp_path):
    assert url_digest(link) in listed_urls()
    report = imported(tmp_path, jama_record(JAMA_TEST[0], link=link))
    assert (report.present, report.train) == (1, 0)
    assert kept(tmp_path, "test")[0].key == "2811315"


def test_another_article_is_another_address():
    assert normalised_url(JAMA_TEST[0]) == "jamanetwork.com/journals/jamaotolaryngology/fullarticle/2811315"
    assert not any(url_digest(url) in listed_urls() for url in JAMA_OTHER)
    assert url_digest(JAMA_TEST[0] + "6") not in listed_urls()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"answer_idx": "E"}, "the answer 'E' is none of the options A, B, C, D"),
        ({"answer_idx": None}, "the answer '' is none of the options A, B, C, D"),
        ({"answer": "Observe"}, "the answer's text is not that of option C"),
        ({"opb": ""}, "option B is empty"),
        ({"opb": float("nan")}, "option B is empty"),
        ({"opa": "", "opb": "", "opc": "", "opd": ""}, "it has no options"),
        ({"question": "  "}, "the question is empty"),
        ({"opb": ["Observe"]}, "a field is not text"),
        ({"link": "https://example.org/2811315"}, "its link names no JAMA article"),
        ({"link": ""}, "its link names no JAMA article"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_the_reason(fields, why, tmp_path):
    report = imported(tmp_path, *altered(0, **fields))
    assert report.present == 1
    [rejected] = report.rejected
    assert (rejected.row, rejected.why) == (0, why)
    if "question" not in fields:
        assert "A patient of article 2811315 has a rash." in str(rejected)


@pytest.mark.parametrize(
    "fields",
    [
        {"answer": "Give  steroids."},
        {"answer": ""},
        {"answer_idx": " c "},
        {"ope": ""},
        {"opa": "A. Biopsy", "opb": "B. Observe", "opc": "C. Give steroids", "opd": "D. Operate"},
    ],
)
def test_what_differs_in_spelling_alone_is_used(fields, tmp_path):
    report = imported(tmp_path, *altered(0, **fields))
    assert report.rejected == []
    [row] = [row for row in kept(tmp_path, "test") if row.key == "2811315"]
    assert (row.letter, row.options["C"], list(row.options)) == ("C", "Give steroids", ["A", "B", "C", "D"])


def test_options_that_happen_to_begin_with_a_letter_and_a_stop_keep_it(tmp_path):
    imported(tmp_path, *altered(0, opa="A. fumigatus infection", opb="B cell lymphoma"))
    [row] = [row for row in kept(tmp_path, "test") if row.key == "2811315"]
    assert row.options["A"] == "A. fumigatus infection"


@pytest.mark.parametrize(
    "fields",
    [
        {"question": "The lesion is shown (Figure, B). What next?"},
        {"question": "See the photograph. What next?"},
        {"question": "As in Fig. 2, what next?"},
        {"image": "Yes"},
        {"has_image": True},
    ],
)
def test_items_that_need_an_image_are_kept_for_test_and_left_out_of_train(fields, tmp_path):
    report = imported(tmp_path, *altered(0, **fields))
    assert (report.present, report.train, report.excluded_for_image) == (2, 4, 0)
    assert report.test_with_figure == ("question" in fields)
    report = imported(tmp_path, *altered(3, **fields))
    assert (report.present, report.train, report.excluded_for_image) == (2, 3, 1)


def test_imaging_is_no_image(tmp_path):
    report = imported(
        tmp_path, *altered(3, question="Magnetic resonance imaging configured no figurine.", image="No")
    )
    assert report.excluded_for_image == 0


def test_a_train_item_with_a_test_items_question_is_dropped(tmp_path):
    told = RECORDS[0]["question"].upper().replace(".", " -")
    report = imported(tmp_path, *altered(4, question=told))
    assert (report.train, report.dropped_as_test_text) == (3, 1)
    train = {row.key for row in kept(tmp_path, "train")}
    assert train.isdisjoint(row.key for row in kept(tmp_path, "test"))
    assert "9000002" not in train


def test_a_row_that_stands_twice_counts_once_and_two_items_of_one_article_are_refused(tmp_path):
    assert imported(tmp_path, *RECORDS, RECORDS[0]).repeated == 1
    with pytest.raises(
        BenchmarkError, match=r"rows 0 and 6 are two different items of one article, https://jama"
    ):
        imported(tmp_path, *RECORDS, {**RECORDS[0], "opb": "Wait"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "has not the columns link, question"),
        ("link,question\nx,y\n", "has not the columns opa, opb, opc, opd, answer_idx"),
        ("[]", "has not the columns link"),
        ('{"a": 1}', "neither a list of records"),
        ("[1, 2", "broken JSON"),
    ],
)
def test_another_file_is_refused(content, said, tmp_path):
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(BenchmarkError, match=said):
        import_jama(path, tmp_path)
    assert not (tmp_path / "jama").exists()


def test_no_file_and_no_usable_row_are_refused_with_how_to_obtain_it(tmp_path):
    with pytest.raises(BenchmarkError, match=r"cannot read .*No such file.*jama_scraper\.py"):
        import_jama(tmp_path / "none.csv", tmp_path)
    with pytest.raises(BenchmarkError, match=r"none of its 1 rows can be used .*'Z' is none of"):
        imported(tmp_path, {**RECORDS[0], "answer_idx": "Z"})


def test_an_import_that_fails_leaves_the_one_before_it(tmp_path):
    before = imported(tmp_path)
    with pytest.raises(BenchmarkError):
        imported(tmp_path, {**RECORDS[0], "answer_idx": "Z"})
    assert read_import(tmp_path / "data") == before
    assert sorted(path.name for path in (tmp_path / "data" / "jama").iterdir()) == [
        "import.json",
        "test.jsonl",
        "train.jsonl",
    ]


def test_a_list_of_other_addresses_is_refused(tmp_path):
    urls = tmp_path / "urls.json"
    for content in (json.dumps(JAMA_TEST), "{}", "broken"):
        urls.write_text(content)
        with pytest.raises(BenchmarkError, match="is not the list of the 646 test addresses"):
            import_jama(written(tmp_path, RECORDS), tmp_path, urls)


needs_list = pytest.mark.skipif(
    not (SHARED / "jama").is_dir(), reason="the list of JAMA's test addresses is not beside the checkout"
)


@needs_list
def test_missing_items_are_named_by_the_list_of_addresses(tmp_path):
    listed = SHARED / "jama" / "JAMA_test_urls.json"
    report = import_jama(written(tmp_path, RECORDS), tmp_path, listed)
    assert len(report.missing_urls) == 644
    assert set(report.missing_urls) == set(json.loads(listed.read_text())) - set(JAMA_TEST)


@needs_list
def test_a_whole_file_gives_all_646(tmp_path):
    urls = json.loads((SHARED / "jama" / "chen_all_urls_only.json").read_text())
    report = imported(tmp_path, *map(jama_record, urls))
    assert (report.rows, report.present, report.missing, report.train) == (1524, 646, 0, 878)
    assert {url_digest(url) for url in urls} > listed_urls()
