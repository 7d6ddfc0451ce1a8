"""A set may be anyone's: no name in it leads out of its folder, and nothing but a regular file is read."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from gated import NOTHING_HELD_OUT, entries, make_run
from journeys import in_time

from ddxgraph.common.errors import DdxgraphError, JourneySetError
from ddxgraph.training.gate.config import Balance, GateConfig, Split
from ddxgraph.training.sets.inspection import inspect_set
from ddxgraph.training.sets.make import make_journeys
from ddxgraph.training.sets.manifest import SET, read_set
from ddxgraph.training.sets.samples import read_samples
from ddxgraph.training.source import RunSource

ROWS = entries(4)
CONFIG = GateConfig(balance=Balance(enabled=False), split=Split(validation_share=0.4))
PARTS = [
    "..",
    ".",
    "/",
    "//",
    "x",
    "victim",
    "etc",
    "passwd",
    "train.jsonl",
    "~",
    "dev",
    "zero",
    "\\",
    "%2e%2e",
]
PARTS += [
    "README.md",
    "gate.json",
    "\0",
    "\n",
    " ",
    "\u202e",
    "TRAIN.JSONL",
    "C:",
    "-rf",
    "*",
    "train.jsonl.new",
]


def names(count: int) -> list[str]:
    """Names that are none of a set's: paths of every kind, and near misses."""
    luck, found = (
        Random(0),
        dict.fromkeys(["", "/dev/zero", "../victim", "/etc/passwd", "x", "./train.jsonl"]),
    )
    known = {"README.md", "gate.json", "gate.md", "train.jsonl", "validation.jsonl"}
    while len(found) < count:
        name = luck.choice(["", "/", "../", "./"]) + "/".join(luck.choices(PARTS, k=luck.randint(1, 4)))
        found |= {} if name in known else {name: None}
    return list(found)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    room = tmp_path_factory.mktemp("foreign")
    make_run(room / "run", ROWS)
    make_set(room, room / "set")
    return room


def make_set(room: Path, out: Path, **settings: Any) -> None:
    run = RunSource(room / "run", ROWS)
    make_journeys([run], "longstep", out, config=CONFIG, held_out=NOTHING_HELD_OUT, **settings)


@pytest.fixture
def crafted(made, tmp_path):
    """A copy of the set whose manifest names other files, beside a victim."""
    (tmp_path / "victim").write_text("mine")

    def craft(files: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        out = tmp_path / "set"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(made / "set", out)
        manifest = json.loads((out / SET).read_text())
        manifest["files"] |= files or {}
        (out / SET).write_text(json.dumps(manifest | changes))
        return out

    return craft


FILE = {"sha256": "0" * 64, "bytes": 1}


@pytest.mark.parametrize("name", names(200))
def test_a_name_that_is_none_of_a_sets_is_refused_before_anything_is_touched(name, crafted, made, tmp_path):
    out = crafted({name: FILE})
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for work in (
        lambda: read_set(out),
        lambda: inspect_set(out),
        lambda: make_set(made, out, overwrite=True),
    ):
        with pytest.raises(JourneySetError, match="not that of a set of version 1"):
            work()
    assert (tmp_path / "victim").read_text() == "mine"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_set_without_samples_deletes_nothing_outside_either(crafted, made, tmp_path):
    none = {"samples": 0, "journeys": 0, "cases": 0}
    for name in ("../victim", str(tmp_path / "victim")):
        out = crafted({name: FILE}, train=none, validation=none)
        with pytest.raises(JourneySetError):
            make_set(made, out)
        assert (tmp_path / "victim").read_text() == "mine"


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def an_endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link_to_another_file(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [a_pipe, an_endless_device, a_link_to_another_file, a_folder])
@pytest.mark.parametrize("name", [SET, "train.jsonl", "validation.jsonl", "gate.json", "README.md"])
def test_what_is_no_regular_file_of_the_folder_is_refused_at_once(put, name, crafted, made, tmp_path):
    out = crafted()
    (out / name).unlink()
    put(out / name)
    for work in (lambda: inspect_set(out), lambda: make_set(made, out)):
        with pytest.raises(DdxgraphError) as refused:
            in_time(work)
        assert name in str(refused.value)
    assert (tmp_path / "victim").read_text() == "mine"


def test_samples_are_read_from_regular_files_alone(tmp_path):
    a_pipe(tmp_path / "train.jsonl")
    with pytest.raises(DdxgraphError, match="no regular file"):
        in_time(lambda: list(read_samples(tmp_path / "train.jsonl", "messages")))
