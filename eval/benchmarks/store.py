"""The user's data folder: raw files are fetched into it, from the web or the disk, and checked."""

import contextlib
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from ddxgraph.common.errors import BenchmarkError, FetchError
from ddxgraph.common.files import CACHE_VARIABLE, read_input, too_much
from ddxgraph.common.offline import need_network
from ddxgraph.eval.benchmarks.benchmark import Benchmark, Split
from ddxgraph.eval.benchmarks.items import problems_in
from ddxgraph.eval.benchmarks.rawfile import Problem, RawFile, data_folder, problems_of, refusal

_CHUNK: Final = 1 << 16
_TIMEOUT_S: Final = 60.0
_MOST_BYTES: Final = 1 << 30
LEAST_BYTES_PER_S: Final = 1_000
"""A server that sends a byte now and then would keep a download for months."""
"""Largest download; MedQA's archive, with its textbooks, has some 130 MB."""

Progress = Callable[[str, int, int | None], None]
"""Called with a download's file name, the bytes so far, and the bytes in total if the server states them."""
State = Literal["ok", "absent", "incomplete", "differs"]


class Fetched(NamedTuple):
    """The outcome for a raw file."""

    raw: RawFile
    state: Literal["fetched", "there", "not found", "no home"]
    path: Path
    """Where it lies, or would."""


class _Source(NamedTuple):
    """A place to look for files."""

    name: str
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
    """Fetch a benchmark's raw files into the data folder. Intact files there are not fetched again.

    Args:
        benchmark: whose.
        split: only the files of this split.
        source: a folder, an archive (zip) or a file to take them from, instead of their public homes.
        url: address of one file or of an archive, instead of the public home.
        folder: the data folder; the user's by default.
        progress: called during each download.

    Returns:
        The outcome for each file, in the benchmark's order.

    Raises:
        BenchmarkError: a local file is not the published one; the message names the rows that differ.
        FetchError: a download failed, or brought another file.
    """
    place = folder or data_folder()
    wanted = benchmark.files(split)
    left = [raw for raw in wanted if not _is_whole(raw, place / raw.path)]
    with _writing(place) as temporary:
        if left and (source or url):
            given = _Source(str(source), source, False) if source else _download(url, temporary, progress)
            done = [_taken(raw, given, place, temporary, alone=len(wanted) == 1) for raw in left]
        else:
            done = [_from_home(raw, place, temporary, progress) for raw in left]
    outcomes = {outcome.raw.path: outcome for outcome in done}
    return [outcomes.get(raw.path) or Fetched(raw, "there", place / raw.path) for raw in wanted]


def _is_whole(raw: RawFile, path: Path) -> bool:
    return path.is_file() and not problems_of(raw, read_input(path))


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[Path]:
    """A temporary folder on the same disk, removed in any case."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place, prefix=".fetch-") as temporary:
            yield Path(temporary)
    except OSError as error:
        raise FetchError(
            f"cannot write to {place}: {error.strerror or error}; set {CACHE_VARIABLE} to a folder with room"
        ) from error


def _from_home(raw: RawFile, place: Path, temporary: Path, progress: Progress | None) -> Fetched:
    """A file from the first of its addresses that has it."""
    failure: FetchError | None = None
    for url in raw.urls:
        try:
            return _taken(raw, _download(url, temporary, progress), place, temporary, alone=True)
        except FetchError as error:
            failure = error
    if failure:
        raise failure
    return Fetched(raw, "no home", place / raw.path)


def _taken(raw: RawFile, source: _Source, place: Path, temporary: Path, *, alone: bool) -> Fetched:
    """Copy a file into the data folder if it is the published one.

    Args:
        raw: the file.
        source: where to look for it.
        place: the data folder.
        temporary: a folder on the same disk.
        alone: a source that is a single file must be this one.
    """
    target, partial = place / raw.path, temporary / raw.name
    content = _content(raw, source, alone=alone)
    if content is None:
        return Fetched(raw, "not found", target)
    if problems := problems_of(raw, content):
        sentence = f"{source.name} is not {raw.path} as published: {refusal(problems)}; nothing was kept"
        if source.downloaded:
            raise FetchError(f"{sentence}: give another copy's address with --url")
        raise BenchmarkError(sentence)
    partial.write_bytes(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    return Fetched(raw, "fetched", target)


def _content(raw: RawFile, source: _Source, *, alone: bool) -> bytes | None:
    """The bytes that may be this file; None if the source has nothing like it."""
    names, path = (raw.path, *raw.also, raw.name), source.path
    try:
        if path.is_dir():
            for name in names:
                if (path / name).is_file():
                    return read_input(path / name)
            packed = (_member(archive, names) for archive in sorted(path.glob("*.zip")))
            return next((content for content in packed if content is not None), None)
        if zipfile.is_zipfile(path):
            return _member(path, names)
        content = read_input(path)
    except OSError as error:
        raise BenchmarkError(f"cannot read {source.name!r}: {error.strerror or error}") from None
    return content if alone or path.name in {name.rpartition("/")[2] for name in names} else None


def _member(archive: Path, names: Sequence[str]) -> bytes | None:
    if not zipfile.is_zipfile(archive):
        return None
    try:
        with zipfile.ZipFile(archive) as packed:
            for name in names:
                for member in packed.namelist():
                    if member == name or member.endswith(f"/{name}"):
                        if why := too_much(packed.getinfo(member)):
                            raise BenchmarkError(f"{archive.name}: {why}; it is not the published archive")
                        return packed.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BenchmarkError(f"{archive.name} is damaged ({error}); fetch it again") from error
    return None


class Pace:
    """How fast a download comes, in stretches of a minute.

    Args:
        now: when it begins, in seconds.
    """

    def __init__(self, now: float) -> None:
        self._since, self._from = now, 0

    def too_slow(self, size: int, now: float) -> bool:
        """Whether a stretch has ended in which too little came.

        Args:
            size: bytes that have come so far.
            now: in seconds.
        """
        if now - self._since < _TIMEOUT_S:
            return False
        slow = size - self._from < LEAST_BYTES_PER_S * (now - self._since)
        self._since, self._from = now, size
        return slow


def _download(url: str, temporary: Path, progress: Progress | None) -> _Source:
    """Download an address into a temporary folder, completely.

    Raises:
        FetchError: it is not a web address, the server refused, or the transfer broke off.
    """
    need_network(f"fetching {url}")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise FetchError(f"{url!r} is no address such as https://host/file; --from takes a file at hand")
    target = temporary / "downloaded" / (parts.path.rpartition("/")[2] or "download")
    target.parent.mkdir(exist_ok=True)
    request = urllib.request.Request(url, headers={"User-Agent": "ddxgraph"})  # noqa: S310 - scheme is checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply, target.open("wb") as out:  # noqa: S310
            length = reply.headers.get("Content-Length", "")
            total, size = int(length) if length.isdecimal() else None, 0
            pace = Pace(time.monotonic())
            while chunk := reply.read1(
                _CHUNK
            ):  # what is there: `read` waits for all of it, however slowly it comes
                out.write(chunk)
                size += len(chunk)
                if pace.too_slow(size, time.monotonic()):
                    least = f"less than {LEAST_BYTES_PER_S:,} bytes a second for {_TIMEOUT_S:.0f} s"
                    raise HTTPException(f"it came too slowly, {least}")
                if size > _MOST_BYTES:
                    raise HTTPException(f"more than {_MOST_BYTES >> 20} MB came")
                if progress:
                    progress(target.name, size, total)
            if total is not None and size < total:
                raise HTTPException(f"it broke off after {size} of {total} bytes")
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


class Standing(NamedTuple):
    """The state of a raw file on this machine."""

    benchmark: str
    split: str
    """Empty for a file that is not a split."""
    five_options: bool
    path: Path
    state: State
    size: int
    """Cases as published; the rows of a file that is not a split."""
    present: int
    """Cases that are here; 0 if the file cannot be used."""
    optional: bool
    """Not every user can get it."""
    note: str
    problems: Sequence[Problem]


def standings(benchmark: Benchmark, folder: Path | None = None) -> Iterator[Standing]:
    """Check every raw file of a benchmark.

    Raises:
        BenchmarkError: the record of an import is damaged.
    """
    place = folder or data_folder()
    for name, split in benchmark.splits.items():
        for raw in filter(None, (split.file, split.five_options)):
            yield _of_split(benchmark, name, split, raw, place)
        if split.excluded:
            yield _of_companion(benchmark, name, split.excluded.file, place)
    for raw in benchmark.companions:
        yield _of_companion(benchmark, next(iter(benchmark.splits)), raw, place)


def _of_split(benchmark: Benchmark, name: str, split: Split, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, name, raw, place)
    size, present, note = split.size, split.size if state == "ok" else 0, split.note
    if benchmark.importer and split.imported and state == "ok" and (record := benchmark.importer.last(place)):
        present = record.cases(name)
        size = size or present
        note = f"from {record.source}" + (f"; {note}" if note else "")
        state = "incomplete" if present < size else state
    five, path = raw is split.five_options, place / raw.path
    return Standing(benchmark.name, name, five, path, state, size, present, raw.optional, note, problems)


def _of_companion(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> Standing:
    state, problems = _checked(benchmark, split, raw, place)
    present, path = raw.rows if state == "ok" else 0, place / raw.path
    return Standing(benchmark.name, "", False, path, state, raw.rows, present, raw.optional, "", problems)


def _checked(benchmark: Benchmark, split: str, raw: RawFile, place: Path) -> tuple[State, Sequence[Problem]]:
    if not (place / raw.path).exists():
        return "absent", ()
    try:
        problems = problems_in(benchmark, split, raw, place)
    except BenchmarkError as error:
        problems = [Problem(None, "", "", str(error))]
    return ("differs" if problems else "ok"), problems
