"""The file of experts' reviews beside a run's traces; only ever added to, by several reviewers in turn."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pydantic_core import from_json

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import ReviewError
from ddxgraph.common.jsonl import LineFile, LineLog, line_of
from ddxgraph.training.review.review import REVIEW_VERSION, Review, deciding, standing_reviews

REVIEWS: Final = "reviews.jsonl"
LOCK: Final = "reviews.lock"

_FILE: Final = LineFile(
    record=f"a review of version {REVIEW_VERSION}",
    error=ReviewError,
    busy="another process does not let go of {path}; try again",
    remedy="nothing was changed: take the line out, or move the file",
    lock=LOCK,
    wait_s=10.0,
    beginning=b'{"version":1,"trace":"',
    strict=True,
)


def read_reviews(folder: Path | str) -> Iterator[Review]:
    """All reviews of a run, in the order in which they were given; none where there is no file.

    A last line that was cut short, by a crash or because it is being written just now, is left out.

    Args:
        folder: the run's folder.

    Raises:
        ReviewError: the file cannot be read, or a line of it is no review.
    """
    path = Path(folder) / REVIEWS
    for number, line in _FILE.lines(path, missing_ok=True):
        yield _review(line, f"{path}, line {number}")


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
    lost = f"the review of {review.trace} was not saved, those before it are"
    file = _FILE._replace(wait_s=wait_s)
    with LineLog(path, file, check=lambda _last: list(read_reviews(folder)), lost=lost) as log:
        log.write([line_of(review)])


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


def _review(line: bytes, where: str) -> Review:
    try:
        record = from_json(line)
    except ValueError as error:
        raise _FILE.refused(where, str(error)) from None
    version = record.get("version") if isinstance(record, dict) else None
    if isinstance(version, int) and version > REVIEW_VERSION and "trace" in record:
        raise ReviewError(
            f"{where}: a review of version {version}, which this ddxgraph does not know: update it"
        )
    return _FILE.parsed(line, Review, where)
