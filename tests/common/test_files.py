"""Files of unknown origin: only regular ones of a sensible size are read."""

import os
import time
from zipfile import ZipInfo

import pytest
from journeys import in_time

from ddxgraph.common import files


def test_a_manifest_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "run.json"
    with path.open("wb") as file:
        file.truncate(files.MOST_BYTES + 1)
    with pytest.raises(OSError, match="more than 64 MiB"):
        files.read_regular(path)


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.mkdir()]
)
def test_what_is_no_regular_file_is_not_waited_for(put, tmp_path):
    put(tmp_path / "run.json")
    for read in (files.read_regular, files.sha256_of, files.open_regular):
        with pytest.raises(OSError, match=r"no regular file|[Ii]s a directory"):
            in_time(lambda read=read: read(tmp_path / "run.json"))


@pytest.mark.parametrize(
    ("unpacked", "packed", "why"),
    [
        (10, 0, ""),
        (1 << 20, 1_000, ""),
        (100 << 20, 10 << 20, ""),
        (100 << 20, 90 << 10, "200 times"),
        (1 << 40, 1 << 39, "MiB are taken"),
        (files.MOST_UNPACKED + 1, files.MOST_UNPACKED, "MiB are taken"),
    ],
)
def test_what_would_fill_the_disk_is_not_unpacked(unpacked, packed, why):
    member = ZipInfo("a.jsonl")
    member.file_size, member.compress_size = unpacked, packed
    assert why in files.too_much(member)
    assert bool(files.too_much(member)) is bool(why)


def test_a_file_is_not_written_through_a_link_that_lies_in_wait(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "run.json.new").symlink_to(victim)
    files.write_whole(tmp_path / "run.json", "{}")
    assert victim.read_text() == "mine"
    assert (tmp_path / "run.json").read_text() == "{}"
    assert not (tmp_path / "run.json").is_symlink()


def test_a_draft_that_a_killed_process_left_goes_after_a_day_and_nothing_else(tmp_path):
    place, yesterday = tmp_path / "set[1]", time.time() - 90_000
    elsewhere = tmp_path / "elsewhere"
    for name in (".set[1].0123abcd.new", ".set[1].0123abcd.old", ".other.0123abcd.new", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "journeys.jsonl").write_text("{}")
        os.utime(tmp_path / name, (yesterday, yesterday))
    (tmp_path / ".set[1].4567abcd.new").mkdir()
    link = tmp_path / ".set[1].89abcdef.new"
    link.symlink_to(elsewhere)
    os.utime(link, (yesterday, yesterday), follow_symlinks=False)
    draft = files.draft_beside(place)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".set[1].0123abcd.old",
        ".other.0123abcd.new",
        "elsewhere",
        ".set[1].4567abcd.new",
        link.name,
    }
    assert (elsewhere / "journeys.jsonl").is_file()
    assert draft.parent == tmp_path
    assert not draft.exists()
    assert draft != files.draft_beside(place)
