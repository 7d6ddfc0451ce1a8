import multiprocessing
import os
import shutil
import stat
from pathlib import Path

import pytest
from adapterfolder import write_adapter

from ddxgraph.common.errors import AdapterError
from ddxgraph.serving.adapters.files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    digest,
    put,
    read_adapter,
    sha256_in,
    store_folder,
)
from ddxgraph.serving.weights import CACHE_VARIABLE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def adapter(tmp_path):
    write_adapter(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapter_model.bin").write_bytes(b"a pickle beside it")
    return read_adapter(tmp_path / "adapter")


def test_a_copy_lies_under_its_hash_with_nothing_else(adapter, cache):
    path = put(adapter)
    assert path == cache / "adapters" / adapter.sha256
    assert sorted(file.name for file in path.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    assert digest(path) == adapter.sha256
    assert [entry.name for entry in path.parent.iterdir()] == [adapter.sha256]


def test_an_engine_of_another_user_can_read_a_copy(adapter):
    path = put(adapter)
    assert stat.S_IMODE(path.stat().st_mode) & 0o055 == 0o055 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_copy_is_made_once(adapter):
    before = put(adapter).stat().st_ino
    assert put(adapter).stat().st_ino == before


def test_a_copy_outlives_its_original(adapter):
    path = put(adapter)
    shutil.rmtree(adapter.folder)
    assert put(adapter) == path


def test_a_stored_adapter_is_itself_an_adapter(adapter):
    path = put(adapter)
    assert put(read_adapter(path)) == path


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / WEIGHTS_FILE).write_bytes(b"half"),
        lambda path: (path / WEIGHTS_FILE).unlink(),
        lambda path: shutil.rmtree(path) or path.mkdir(),
    ],
)
def test_a_damaged_copy_is_replaced(adapter, damage):
    damage(put(adapter))
    assert digest(put(adapter)) == adapter.sha256


def test_an_adapter_that_changed_since_it_was_read_is_not_stored(adapter, cache):
    write_adapter(adapter.folder, seed=1)
    with pytest.raises(AdapterError, match="changed while it was read"):
        put(adapter)
    assert list((cache / "adapters").iterdir()) == []


def test_a_store_that_cannot_be_written_names_its_variable(adapter, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(AdapterError, match=f"cannot copy .*; set {CACHE_VARIABLE}"):
        put(adapter)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_without_leave_to_write_names_its_variable(adapter, cache):
    (cache / "adapters").mkdir(parents=True, mode=0o500)
    with pytest.raises(AdapterError, match=f"Permission denied; set {CACHE_VARIABLE}"):
        put(adapter)


def _put_each_at_once(folders, together) -> None:
    for folder in folders:
        adapter = read_adapter(folder)
        together.wait(20)
        assert digest(put(adapter)) == adapter.sha256


def test_two_processes_may_store_the_same_adapter_at_once(tmp_path, cache):
    spawn = multiprocessing.get_context("spawn")
    folders = [write_adapter(tmp_path / str(seed), seed=seed) for seed in range(20)]
    together = spawn.Barrier(2)
    both = [spawn.Process(target=_put_each_at_once, args=(folders, together)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    stored = {entry.name for entry in (cache / "adapters").iterdir()}
    assert stored == {digest(folder) for folder in folders}


def test_the_store_follows_its_variable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, "elsewhere")
    assert store_folder() == tmp_path.resolve() / "elsewhere" / "adapters"
    monkeypatch.setenv(CACHE_VARIABLE, "~/elsewhere")
    assert store_folder() == Path.home().resolve() / "elsewhere" / "adapters"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"/store/{'a' * 64}", "a" * 64),
        (f"/store/{'a' * 64}/", "a" * 64),
        (f"/store/{'A' * 64}", None),
        (f"/store/{'a' * 63}", None),
        (f"/store/{'a' * 64}0", None),
        (f"/store/{'a' * 64}\n", None),
        (f"/{'a' * 64}/journeys", None),
        ("", None),
    ],
)
def test_a_stored_adapters_hash_is_the_end_of_its_path(path, found):
    assert sha256_in(path) == found
