"""`ddxgraph data` as a user meets it: what is listed, fetched, imported, verified; exit codes and sentences."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from benchmarkmaker import JAMA_OTHER, JAMA_TEST, SHARED, jama_record
from commandline import ddxgraph
from fileserver import file_server

RECORDS = [jama_record(url) for url in (*JAMA_TEST, *JAMA_OTHER)]

shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the benchmarks' raw files are not beside the checkout"
)


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def data(cache):
    """The command, with its data folder in `cache`."""
    return lambda *args: ddxgraph("data", *args, env={"DDXGRAPH_CACHE": str(cache), "COLUMNS": "200"})


def scraped(folder: Path, records=RECORDS) -> Path:
    path = folder / "jama_raw.json"
    path.write_text(json.dumps(records))
    return path


def test_list_says_what_there_is_and_that_the_train_file_is_partial(data, cache):
    done = data("list")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == [
        "medqa",
        "medbullets",
        "jama",
        "ddxlab",
    ]
    assert "  test, 1273 cases: not here" in lines
    assert "  test with five options, 308 cases: not here" in lines
    [train] = [line for line in lines if "train, 3482" in line]
    assert "partial: 3503 of the official split's 10178" in train
    assert sum(line.startswith("  licence: ") for line in lines) == 4
    assert not cache.exists(), "asking makes no folder"


def test_list_as_json_holds_every_file(data):
    told = json.loads(data("list", "--json").stdout)
    assert [one["name"] for one in told] == ["medqa", "medbullets", "jama", "ddxlab"]
    assert {file["state"] for one in told for file in one["files"]} == {"absent"}
    assert all(one["licence"] and one["home"] and one["obtain"] for one in told)


def test_what_has_no_public_home_is_said_with_what_to_do(data):
    done = data("fetch", "medqa", "--split", "train")
    assert done.returncode == 1
    assert "no public address is known to hold medqa/train_partial.jsonl" in done.stderr
    assert "ddxgraph data fetch medqa --from FOLDER" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["fetch", "medmcqa"], "no benchmark 'medmcqa'; there are medqa, medbullets, jama"),
        (["fetch", "medbullets", "--split", "dev"], "no split 'dev'; it has test"),
        (["fetch", "medqa", "--from", "x", "--url", "https://x.org/y"], "not both"),
        (["fetch", "medqa", "--from", "nowhere"], "cannot read 'nowhere'"),
        (["import", "medqa", "file.csv"], "medqa is not imported"),
        (["import", "jama", "file.csv"], "cannot read 'file.csv'"),
        (["verify", "medmcqa"], "no benchmark 'medmcqa'"),
    ],
)
def test_bad_input_is_a_sentence(args, said, data):
    done = data(*args)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none", "answered 404"),
        ("cut/dev.jsonl", "it broke off after"),
        ("dev.jsonl", "is not medqa/dev.jsonl as published: row 0 (medqa-dev-0"),
    ],
)
def test_a_fetch_that_fails_says_why_and_leaves_nothing(place, said, data, cache):
    with file_server({"dev.jsonl": b'{"question": "What?"}\n' * 20}) as server:
        done = data("fetch", "medqa", "--split", "dev", "--url", f"{server.url}/{place}")
    assert done.returncode == 1
    assert said in done.stderr
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@shared
@pytest.mark.parametrize("place", ["dev.jsonl", "moved/dev.jsonl"])
def test_a_file_is_fetched_from_an_address_and_verified(place, data):
    with file_server({"dev.jsonl": (SHARED / "medqa" / "dev.jsonl").read_bytes()}) as server:
        done = data("fetch", "medqa", "--split", "dev", "--url", f"{server.url}/{place}")
        assert done.returncode == 0, done.stderr
        assert "dev.jsonl: 1272 rows, as published" in done.stdout
        again = data("fetch", "medqa", "--split", "dev", "--url", f"{server.url}/{place}")
        assert "here already" in again.stdout
        assert sum(path == "/dev.jsonl" for path in server.asked) == 1
    verified = data("verify")
    assert verified.returncode == 0
    assert "medqa dev, 1272 cases: ok" in verified.stdout


@shared
def test_the_raw_files_of_a_folder_are_taken_unchanged(data, cache):
    for name in ("medqa", "medbullets", "jama"):
        assert data("fetch", name, "--from", SHARED).returncode == 0
    for path in ("medqa/dev.jsonl", "medqa/train_partial.jsonl", "medbullets/medbullets_op5.json"):
        assert (cache / "data" / path).read_bytes() == (SHARED / path).read_bytes()
    assert data("verify", "medqa").returncode == data("verify", "medbullets").returncode == 0
    assert data("fetch", "medqa").returncode == 0, "what is here needs no home"


@shared
def test_the_official_archive_is_taken_as_it_is(data, cache, tmp_path):
    archive = tmp_path / "data_clean.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("data_clean/questions/US/test.jsonl", "five options")
        for split in ("dev", "test"):
            packed.write(
                SHARED / "medqa" / f"{split}.jsonl",
                f"data_clean/questions/US/4_options/phrases_no_exclude_{split}.jsonl",
            )
    done = data("fetch", "medqa", "--from", archive)
    assert done.returncode == 0, done.stderr
    assert "train_partial.jsonl is not in" in done.stderr
    assert (cache / "data/medqa/test.jsonl").read_bytes() == (SHARED / "medqa/test.jsonl").read_bytes()
    assert data("fetch", "medqa", "--split", "train", "--from", archive).returncode == 1


@shared
def test_verify_names_each_row_that_differs(data, cache):
    data("fetch", "medqa", "--split", "dev", "--from", SHARED)
    path = cache / "data" / "medqa" / "dev.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        "".join([*lines[:17], *lines[18:40], lines[40].replace('"answer_idx": "', '"answer_idx": "Z')])
    )
    done = data("verify", "medqa")
    assert done.returncode == 1
    assert "  row 17 (medqa-dev-17): it is missing" in done.stdout
    assert "  row 39 (medqa-dev-39" in done.stdout
    assert "more (--json has them all)" in done.stdout
    [dev] = [file for file in json.loads(data("verify", "medqa", "--json").stdout) if file["split"] == "dev"]
    assert (dev["state"], len(dev["problems"])) == ("differs", 1272 - 39)


def test_verify_of_what_is_not_here_fails_where_it_is_asked_for_by_name(data):
    assert data("verify").returncode == 0
    done = data("verify", "jama")
    assert done.returncode == 1
    assert "your own access" in done.stderr


def test_an_import_reports_what_it_found_and_that_it_is_incomplete(data, tmp_path):
    done = data("import", "jama", scraped(tmp_path, [*RECORDS, {**RECORDS[5], "link": "nowhere"}]))
    assert done.returncode == 1
    assert "test: 2 of 646 items, 644 missing" in done.stdout
    assert "train: 4 items; no address and no question is in the test set" in done.stdout
    assert '  row 6 (nowhere, "A patient of article 9000003 has a rash....")' in done.stdout
    assert "644 of the 646 test items are missing" in done.stderr
    assert "test, 646 cases: incomplete, 644 of 646 are missing (from jama_raw.json)" in data("list").stdout
    assert data("verify", "jama").returncode == 1


def test_an_import_as_json(data, tmp_path):
    told = json.loads(data("import", "jama", scraped(tmp_path), "--json").stdout)
    assert (told["present"], told["missing"], told["train"], told["rejected"]) == (2, 644, 4, [])


@shared
def test_a_whole_import_names_nothing_missing_and_one_short_of_it_does(data, tmp_path):
    data("fetch", "jama", "--from", SHARED)
    urls = json.loads((SHARED / "jama" / "JAMA_test_urls.json").read_text())
    records = [jama_record(url) for url in urls]
    done = data("import", "jama", scraped(tmp_path, records[1:]))
    assert done.returncode == 1
    assert f"  missing: {urls[0]}" in done.stdout
    done = data("import", "jama", scraped(tmp_path, records))
    assert (done.returncode, done.stderr) == (0, "")
    assert data("verify", "jama").returncode == 0


def test_ctrl_c_during_a_download_is_one_word_and_leaves_nothing(cache):
    with file_server({"dev.jsonl": b"x" * 100_000}) as server:
        url = f"{server.url}/held/dev.jsonl"
        process = subprocess.Popen(
            [sys.executable, "-m", "ddxgraph", "data", "fetch", "medqa", "--split", "dev", "--url", url],
            env=os.environ | {"DDXGRAPH_CACHE": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert server.held.wait(60)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (130, "", "ddxgraph: interrupted\n")
    assert [path for path in cache.rglob("*") if path.is_file()] == []
