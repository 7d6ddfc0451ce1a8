"""Fetching: over real HTTP, from folders, files and archives; what is not as published never stays."""

import zipfile
from pathlib import Path

import pytest
from benchmarkmaker import as_lines, medqa_row, mini
from fileserver import file_server

from ddxgraph.common.errors import BenchmarkError, FetchError
from ddxgraph.eval.benchmarks.store import LEAST_BYTES_PER_S, Pace, fetch

ROWS = [medqa_row(number) for number in range(12)]
GOOD, BAD = as_lines(ROWS), as_lines([*ROWS[:5], *ROWS[6:]])


@pytest.fixture
def server(tmp_path):
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("data_clean/questions/official_test.jsonl", GOOD)
        packed.writestr("data_clean/test.jsonl", b"another file of that name")
    files = {"test.jsonl": GOOD, "other.jsonl": BAD, "all.zip": archive.read_bytes()}
    with file_server(files) as serving:
        yield serving


@pytest.fixture
def store(tmp_path) -> Path:
    return tmp_path / "data"


def lying(store: Path) -> list[str]:
    """All files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def fetched(tmp_path, store, *urls, **how):
    [one] = fetch(mini(tmp_path / "made", ROWS, *urls), folder=store, **how)
    return one


@pytest.mark.parametrize("place", ["test.jsonl", "moved/test.jsonl", "all.zip"])
def test_a_file_comes_whole_from_its_home_a_redirect_or_an_archive(place, server, store, tmp_path):
    told = []
    one = fetched(tmp_path, store, f"{server.url}/{place}", progress=lambda *said: told.append(said))
    assert (one.state, one.path) == ("fetched", store / "mini" / "test.jsonl")
    assert one.path.read_bytes() == GOOD
    assert lying(store) == ["mini/test.jsonl"]
    name, had, total = told[-1]
    assert name == place.rpartition("/")[2]
    assert had == total > 0


def test_what_is_there_is_not_fetched_again_and_what_is_broken_is(server, store, tmp_path):
    url = f"{server.url}/test.jsonl"
    path = fetched(tmp_path, store, url).path
    assert fetched(tmp_path, store, url).state == "there"
    assert len(server.asked) == 1
    path.write_bytes(BAD)
    assert fetched(tmp_path, store, url).state == "fetched"
    assert path.read_bytes() == GOOD


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("none.jsonl", "answered 404 .*give another address with --url"),
        (
            "cut/test.jsonl",
            r"could not be fetched \(it broke off after \d+ of \d+ bytes\); the same command tries again",
        ),
        ("moved/none.jsonl", "answered 404"),
        ("other.jsonl", r"is not mini/test.jsonl as published: row 5 \(mini-test-5\): it is missing"),
    ],
)
def test_what_does_not_come_whole_leaves_nothing(place, said, server, store, tmp_path):
    with pytest.raises(FetchError, match=said):
        fetched(tmp_path, store, f"{server.url}/{place}")
    assert lying(store) == []
    assert fetched(tmp_path, store, f"{server.url}/test.jsonl").state == "fetched", (
        "the next try is not hindered"
    )


def test_the_next_home_is_tried_where_one_fails(server, store, tmp_path):
    homes = [f"{server.url}/{place}" for place in ("none.jsonl", "cut/test.jsonl", "test.jsonl")]
    assert fetched(tmp_path, store, *homes).state == "fetched"


def test_a_broken_file_stays_where_no_better_one_comes(server, store, tmp_path):
    (store / "mini").mkdir(parents=True)
    (store / "mini" / "test.jsonl").write_bytes(BAD)
    with pytest.raises(FetchError):
        fetched(tmp_path, store, f"{server.url}/none.jsonl")
    assert (store / "mini" / "test.jsonl").read_bytes() == BAD


def test_no_server_at_all_is_a_sentence(store, tmp_path):
    with file_server({}) as gone:
        url = f"{gone.url}/test.jsonl"
    with pytest.raises(FetchError, match="could not be fetched"):
        fetched(tmp_path, store, url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x.org/a", "test.jsonl", "https://", ""])
def test_only_web_addresses_are_fetched(url, store, tmp_path):
    if not url:
        assert fetched(tmp_path, store).state == "no home"
        return
    with pytest.raises(FetchError, match="is no address such as"):
        fetched(tmp_path, store, url=url)


def test_an_address_of_the_users_own_goes_before_the_home(server, store, tmp_path):
    one = fetched(tmp_path, store, f"{server.url}/none.jsonl", url=f"{server.url}/test.jsonl")
    assert one.state == "fetched"
    assert server.asked == ["/test.jsonl"]


@pytest.mark.parametrize("name", ["mini/test.jsonl", "test.jsonl", "official_test.jsonl"])
def test_a_folder_is_searched_by_every_name_of_the_file(name, store, tmp_path):
    path = tmp_path / "folder" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(GOOD)
    assert fetched(tmp_path, store, source=tmp_path / "folder").state == "fetched"


def test_a_file_or_an_archive_at_hand_is_taken(server, store, tmp_path):
    path = tmp_path / "whatever.txt"
    path.write_bytes(GOOD)
    assert fetched(tmp_path, store, source=path).state == "fetched"
    assert fetched(tmp_path, tmp_path / "two", source=tmp_path / "all.zip").state == "fetched"
    assert fetched(tmp_path, tmp_path / "three", source=tmp_path).state == "fetched", "an archive in a folder"


def test_a_file_at_hand_that_is_not_as_published_is_refused(store, tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_bytes(BAD)
    with pytest.raises(BenchmarkError, match=r"test\.jsonl is not mini/test\.jsonl as published: row 5"):
        fetched(tmp_path, store, source=path)
    assert lying(store) == []


def test_what_a_source_has_not_is_not_found(store, tmp_path):
    (tmp_path / "empty").mkdir()
    assert fetched(tmp_path, store, source=tmp_path / "empty").state == "not found"
    with pytest.raises(BenchmarkError, match=r"cannot read .*nowhere"):
        fetched(tmp_path, store, source=tmp_path / "nowhere")


def test_a_damaged_archive_is_a_sentence(store, tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("test.jsonl", GOOD)
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=r"bad\.zip is damaged"):
        fetched(tmp_path, store, source=path)


def test_a_folder_that_cannot_be_written_names_the_variable(server, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FetchError, match="DDXGRAPH_CACHE"):
        fetched(tmp_path, tmp_path / "file", f"{server.url}/test.jsonl")


def test_an_archive_that_would_fill_the_memory_is_not_unpacked(store, tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr("test.jsonl", bytes(8 << 20))
    with pytest.raises(
        BenchmarkError, match=r"bomb\.zip: test\.jsonl unpacks to more than 200 times its size"
    ):
        fetched(tmp_path, store, source=path)


def test_a_download_that_hardly_moves_is_given_up():
    """The server's clock is not waited for: the pace is a matter of numbers."""
    pace, dripping = Pace(100.0), Pace(100.0)
    fast = [
        pace.too_slow(size=(LEAST_BYTES_PER_S + 1) * second, now=100.0 + second) for second in range(1, 200)
    ]
    assert not any(fast)
    slow = [dripping.too_slow(size=second, now=100.0 + second) for second in range(1, 200)]
    assert slow.index(True) == 59
    stalled = Pace(0.0)
    assert not stalled.too_slow(size=10_000_000, now=61.0)
    assert stalled.too_slow(size=10_000_100, now=122.0)
