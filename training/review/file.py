"""The file of experts' reviews beside a run's traces; only ever added to, by several reviewers in turn."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from filelock import FileLock, Timeout
from pydantic import ValidationError
from pydantic_core import from_json

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import is_whole, read_traces
from ddxgraph.common.errors import ReviewError
from ddxgraph.training.review.review import REVIEW_VERSION, Review, deciding, standing_reviews

REVIEWS: Final = "reviews.jsonl"
LOCK: Final = "reviews.lock"

_BEGINNING: Final = b'{"version":1,"trace":"'
"""How every line begins; tells a review that was cut short from a file that is none of ours."""


def read_reviews(folder: Path | str) -> Iterator[Review]:
    """All reviews of a run, in the order in which they were given; none where there is no file.

    A last line that was cut short, by a crash or because it is being written just now, is left out.

    Args:
        folder: the run's folder.

    Raises:
        ReviewError: the file cannot be read, or a line of it is no review.
    """
    path = Path(folder) / REVIEWS
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ReviewError(f"cannot read {path}: {error.strerror or error}") from None
    yield from _parsed(content, path).reviews


def append_review(folder: Path | str, review: Review, *, wait_s: float = 10.0) -> None:
    """Append a review to a run's, and wait until it is on the disk; several processes may, in turn.

    Args:
        folder: the run's folder.
        review: the review.
        wait_s: seconds to wait for another process that is writing.

    Raises:
        ReviewError: the file cannot be written, or holds what is no review; what was saved is untouched.
    """
    path = Path(folder) / REVIEWS
    if not path.parent.is_dir():  # the lock would make it
        raise ReviewError(f"there is no folder {folder}: name a run's")
    lock = FileLock(path.with_name(LOCK), timeout=wait_s)
    try:
        with lock, path.open("a+b", buffering=0) as file:
            _append(file, path, _line_of(review))
    except Timeout:
        raise ReviewError(f"another process does not let go of {path}; try again") from None
    except OSError as error:
        why = error.strerror or error
        raise ReviewError(
            f"cannot write {path}: {why}; the review of {review.trace} was not saved, those before it are"
        ) from None


def all_reviews(folder: Path | str) -> dict[str, tuple[Review, ...]]:
    """The reviews that hold, of every trace of a run that has any: the last one of each reviewer.

    A review of a trace that was replaced since does not hold.

    Returns:
        Trace id to reviews, in the order in which they were given.

    Raises:
        ReviewError: see `read_reviews`.
        TraceFileError: the traces cannot be read.
    """
    return {one.trace: one.reviews for one in _reviewed(Path(folder))}


def reviews_of(folder: Path | str) -> dict[str, Review]:
    """The review that decides of each reviewed trace of a run; see `review.deciding`.

    Returns:
        Trace id to review; its `verdict` and `answer` are what the gate goes by.

    Raises:
        ReviewError, TraceFileError: see `all_reviews`.
    """
    return {one.trace: one.deciding for one in _reviewed(Path(folder))}


class _Reviewed(NamedTuple):
    trace: str
    reviews: tuple[Review, ...]
    deciding: Review


def _reviewed(folder: Path) -> Iterable[_Reviewed]:
    given: dict[str, list[Review]] = {}
    for review in read_reviews(folder):
        given.setdefault(review.trace, []).append(review)
    if not given or not (folder / TRACES).exists():
        return ()
    found: dict[str, _Reviewed] = {}
    for trace in read_traces(folder / TRACES):
        found.pop(trace.id, None)  # where an id stands twice, the later trace counts
        reviews = standing_reviews(given.get(trace.id, ()), trace)
        if decides := deciding(reviews, trace):
            found[trace.id] = _Reviewed(trace.id, reviews, decides)
    return found.values()


class _Parsed(NamedTuple):
    """The content of a file."""

    reviews: list[Review]
    whole: int
    """Bytes up to the end of the last review; what follows was cut short."""
    ended: bool
    """A newline follows the last review."""


def _parsed(content: bytes, path: Path) -> _Parsed:
    """
    Raises:
        ReviewError: a line is no review, and none that was cut short either.
    """
    *lines, tail = content.split(b"\n")
    reviews = [_review(line, f"{path}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    if is_whole(tail):
        last = _review(tail, f"{path}, line {len(lines) + 1}")
        return _Parsed([*reviews, last], len(content), ended=False)
    if tail.startswith(_BEGINNING[: len(tail)]) or not tail.strip(b"\0 \r"):
        # Cut short; or a power cut kept the file's new size and lost what was written there.
        return _Parsed(reviews, len(content) - len(tail), ended=True)
    raise _no_review(f"{path}, line {len(lines) + 1}", "it is no JSON object")


def _review(line: bytes, where: str) -> Review:
    try:
        record = from_json(line)
    except ValueError as error:
        raise _no_review(where, str(error)) from None
    version = record.get("version") if isinstance(record, dict) else None
    if isinstance(version, int) and version > REVIEW_VERSION and "trace" in record:
        raise ReviewError(
            f"{where}: a review of version {version}, which this ddxgraph does not know: update it"
        )
    try:
        return Review.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "line"
        raise _no_review(where, f"{place}: {first['msg']}") from None


def _no_review(where: str, why: str) -> ReviewError:
    return ReviewError(
        f"{where}: not a review of version {REVIEW_VERSION} ({why}); nothing was changed: take the line out, or "
        "move the file"
    )


def _append(file: BinaryIO, path: Path, line: bytes) -> None:
    """Append a line; the file is as it was where that fails."""
    file.seek(0)
    known = _parsed(file.read(), path)
    file.truncate(known.whole)
    rest = memoryview(line if known.ended else b"\n" + line)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(known.whole)
        raise


def _line_of(review: Review) -> bytes:
    return f"{review.model_dump_json()}\n".encode()
