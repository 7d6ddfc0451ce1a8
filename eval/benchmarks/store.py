"""The user's data folder: raw files are fetched into it, from the web or the disk, and checked."""

import contextlib
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from ddxgraph.common.errors import BenchmarkError, FetchError
from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.items import problems_in
from ddxgraph.eval.benchmarks.rawfile import Problem, RawFile, data_folder, problems_of, refusal

_CHUNK: Final = 1 << 16
_TIMEOUT_S: Final = 60.0
_MOST_BYTES: Final = 1 << 30
"""Largest download; MedQA's archive, with its textbooks, has some 130 MB."""

Progress = Callable[[str, int, int | None], None]
"""Told of a download: the file's name, bytes had, bytes in all where the server says so."""


State = Literal["ok", "absent", "incomplete", "differs"]


class Fetched(NamedTuple):
    """What became of a raw file."""

    raw: RawFile
    state: Literal["fetched", "there", "not found", "no home"]
    path: Path
    """Where it lies, or would."""


class _Source(NamedTuple):
    """Where a file is looked for."""

    where: str
    path: Path
    downloaded: bool


def fetch(
    benchmark: Benchmark,
    split: str | None = None,
    *,
    source: Path | None = None,
    url: str = "",
    folder: Path | None = None,
    progress: Progress | None = None,
) -> list[Fetched]:
    """Bring a benchmark's raw files into the data folder. What is there and whole is not fetched again.

    Args:
        benchmark: which.
        split: of this split alone.
        source: a folder, an archive (zip) or a file to take them from, instead of their public homes.
        url: an address of one file or of an archive, instead of the public home.
        folder: the data folder.
        progress: told of each download.

    Returns:
        What became of each file, in the registry's order.

    Raises:
        BenchmarkError: a file at hand is not the published one: its rows that differ are named.
        FetchError: a download failed, or brought another file.
    """
    place = folder or data_folder()
    wanted = benchmark.files(split)
    left = [raw for raw in wanted if not _is_whole(raw, place / raw.path)]
    done = dict[str, Fetched]()
    with _writing(place) as temporary:
        if left and (source or url):
            found = _Source(str(source), source, False) if source else _download(url, temporary, progress)
            done = {raw.path: _taken(raw, found, place, temporary, alone=len(wanted) == 1) for raw in left}
        else:
            done = {raw.path: _from_home(raw, place, temporary, progress) for raw in left}
    return [done.get(raw.path) or Fetched(raw, "there", place / raw.path) for raw in wanted]


def _is_whole(raw: RawFile, path: Path) -> bool:
    return path.is_file() and not problems_of(raw, path.read_bytes())


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[Path]:
    """A temporary folder beside the files, gone whatever happens."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".fetch-") as temporary:
            yield Path(temporary)
    except OSError as error:
        raise FetchError(
            f"cannot write to {place}: {error.strerror or error}; set {CACHE_VARIABLE} to a folder with room"
        ) from error


def _from_home(raw: RawFile, place: Path, temporary: Path, progress: Progress | None) -> Fetched:
    if not raw.urls:
        return Fetched(raw, "no home", place / raw.path)
    refused: FetchError | None = None
    for url in raw.urls:
        try:
            return _taken(raw, _download(url, temporary, progress), place, temporary, alone=True)
        except FetchError as error:
            refused = error
    assert refused  # noqa: S101 - the loop ran
    raise refused


def _taken(raw: RawFile, source: _Source, place: Path, temporary: Path, *, alone: bool) -> Fetched:
    """Put a file in its place, once it is known to be the published one.

    Args:
        raw: the file.
        source: where it is looked for.
        place: the data folder.
        temporary: a folder on the same disk.
        alone: the source, where it is a single file, must be this one.
    """
    target, partial = place / raw.path, temporary / raw.name
    content = _found(raw, source, alone=alone)
    if content is None:
        return Fetched(raw, "not found", target)
    problems = problems_of(raw, content)
    if problems:
        sentence = f"{source.where} is not {raw.path} as published: {refusal(problems)}"
        if source.downloaded:
            raise FetchError(f"{sentence}; nothing was kept: give another copy's address with --url")
        raise BenchmarkError(f"{sentence}; nothing was kept")
    partial.write_bytes(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return Fetched(raw, "fetched", target)


def _found(raw: RawFile, source: _Source, *, alone: bool) -> bytes | None:
    """The bytes that may be this file; None where the source has nothing of the kind."""
    names = (raw.path, *raw.also, raw.name)
    path = source.path
    try:
        if path.is_dir():
            at = next((path / name for name in names if (path / name).is_file()), None)
            return at.read_bytes() if at else _in_archives(path, names)
        if zipfile.is_zipfile(path):
            return _member(path, names)
        content = path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"cannot read {source.where!r}: {error.strerror or error}") from None
    return content if alone or path.name in {name.rpartition("/")[2] for name in names} else None


def _in_archives(folder: Path, names: tuple[str, ...]) -> bytes | None:
    archives = (path for path in sorted(folder.glob("*.zip")) if zipfile.is_zipfile(path))
    contents = (_member(archive, names) for archive in archives)
    return next((content for content in contents if content is not None), None)


def _member(archive: Path, names: tuple[str, ...]) -> bytes | None:
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in names:
                for member in packed.namelist():
                    if member == name or member.endswith(f"/{name}"):
                        return packed.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BenchmarkError(f"{archive.name} is damaged ({error}); fetch it again") from error
    return None


def _download(url: str, temporary: Path, progress: Progress | None) -> _Source:
    """Bring what lies at an address into a temporary folder, whole.

    Raises:
        FetchError: it is no web address, the server refused, or the transfer broke off.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise FetchError(f"{url!r} is no address such as https://host/file; --from takes a file at hand")
    name = parts.path.rpartition("/")[2] or "download"
    target = temporary / "downloaded" / name
    target.parent.mkdir(exist_ok=True)
    try:
        asked = urllib.request.Request(url, headers={"User-Agent": "ddxgraph"})  # noqa: S310 - scheme is checked
        with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as reply, target.open("wb") as out:  # noqa: S310
            for had, total in _copied(reply, out):
                if progress:
                    progress(name, had, total)
    except urllib.error.HTTPError as error:
        raise FetchError(
            f"{url} answered {error.code} {error.reason}; give another address with --url, or a file with --from"
        ) from None
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise FetchError(
            f"{url} could not be fetched ({getattr(error, 'reason', None) or error}); the same command tries "
            "again, and --from takes a file that was fetched by other means"
        ) from None
    return _Source(url, target, True)


def _copied(reply: HTTPResponse, out: BinaryIO) -> Iterator[tuple[int, int | None]]:
    told = reply.headers.get("Content-Length", "")
    total, had = int(told) if told.isdecimal() else None, 0
    while chunk := reply.read(_CHUNK):
        out.write(chunk)
        had += len(chunk)
        if had > _MOST_BYTES:
            raise HTTPException(f"more than {_MOST_BYTES >> 20} MB came")
        yield had, total
    if total is not None and had < total:
        raise HTTPException(f"it broke off after {had} of {total} bytes")


class Standing(NamedTuple):
    """How a raw file stands."""

    benchmark: str
    split: str
    """Empty for a file that is no split."""
    five_options: bool
    path: Path
    state: State
    size: int
    """Cases as published; of a file that is no split, its rows."""
    present: int
    """Cases that are here; 0 where the file cannot be used."""
    optional: bool
    """Not every user can have it."""
    note: str
    problems: Sequence[Problem]


def standings(benchmark: Benchmark, folder: Path | None = None) -> Iterator[Standing]:
    """Check every raw file of a benchmark.

    Raises:
        BenchmarkError: the record of an import is damaged.
    """
    place = folder or data_folder()
    for name, split in benchmark.splits.items():
        yield _of_split(benchmark, name, split, split.file, place)
        if split.five_options:
            yield _of_split(benchmark, name, split, split.five_options, place)
        if split.excluded:
            yield _of_companion(benchmark, name, split.excluded.file, place)
    for raw in benchmark.companions:
        yield _of_companion(benchmark, next(iter(benchmark.splits)), raw, place)


def _of_split(benchmark: Benchmark, name: str, split: Split, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, name, raw, place)
    size = present = split.size
    note = split.note
    report = (
        benchmark.importer.last(place) if benchmark.importer and split.imported and state == "ok" else None
    )
    if report:
        present = report.cases(name)
        size = size or present
        note = f"from {report.source}" + (f"; {note}" if note else "")
    if present < size:
        state = "incomplete"
    usable = state in {"ok", "incomplete"}
    return Standing(
        benchmark=benchmark.name,
        split=name,
        five_options=raw is split.five_options,
        path=place / raw.path,
        state=state,
        size=size,
        present=present if usable else 0,
        optional=raw.optional,
        note=note,
        problems=problems,
    )


def _of_companion(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, split, raw, place)
    present = raw.rows if state == "ok" else 0
    return Standing(
        benchmark.name, "", False, place / raw.path, state, raw.rows, present, raw.optional, "", problems
    )


def _checked(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> tuple[State, Sequence[Problem]]:
    if not (place / raw.path).exists():
        return "absent", ()
    try:
        problems = problems_in(benchmark, split, raw, place)
    except BenchmarkError as error:
        problems = [Problem(None, "", "", str(error))]
    return ("differs" if problems else "ok"), problems
