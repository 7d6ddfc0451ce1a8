"""The file of reviews in a run's folder; it is only ever appended to, by several reviewers in turn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic_core import from_json

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import ReviewError
from ddxgraph.common.jsonl import LineFile, LineLog, line_of
from ddxgraph.training.review.review import REVIEW_VERSION, Review, by_trace, deciding, standing_reviews

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
    """Read all reviews of a run, in the order in which they were given; none if there is no file.

    A last line that is cut short, by a crash or because it is being written right now, is left out.

    Args:
        folder: the run's folder.

    Raises:
        ReviewError: the file cannot be read, or a line is not a review.
    """
    path = Path(folder) / REVIEWS
    for number, line in _FILE.lines(path, missing_ok=True):
        yield _review(line, f"{path}, line {number}")


def append_review(folder: Path | str, review: Review, *, wait_s: float = 10.0) -> None:
    """Append a review to a run's file, and wait until it is on the disk; several processes may, in turn.

    Args:
        folder: the run's folder.
        review: the review.
        wait_s: seconds to wait for another process that is writing.

    Raises:
        ReviewError: the file cannot be written, or holds a line that is not a review; saved reviews stay.
    """
    path = Path(folder) / REVIEWS
    if not path.parent.is_dir():  # the lock would make it
        raise ReviewError(f"there is no folder {folder}: name a run's")
    lost = f"the review of {review.trace} was not saved, those before it are"
    file = _FILE._replace(wait_s=wait_s)
    with LineLog(path, file, check=lambda _last: list(read_reviews(folder)), lost=lost) as log:
        log.write([line_of(review)])


def all_reviews(folder: Path | str) -> dict[str, tuple[Review, ...]]:
    """The reviews of a run that hold: for each reviewed trace, the last one of each reviewer.

    Reviews of a trace that was replaced since do not hold.

    Returns:
        Trace id to reviews, in the order in which they were given.

    Raises:
        ReviewError: see `read_reviews`.
        TraceFileError: the traces cannot be read.
    """
    return {trace: reviews for trace, (reviews, _) in _reviewed(Path(folder)).items()}


def reviews_of(folder: Path | str) -> dict[str, Review]:
    """The review that decides on each reviewed trace of a run; see `review.deciding`.

    Returns:
        Trace id to review; the gate follows its `verdict` and `answer`.

    Raises:
        ReviewError, TraceFileError: see `all_reviews`.
    """
    return {trace: decides for trace, (_, decides) in _reviewed(Path(folder)).items()}


def _reviewed(folder: Path) -> dict[str, tuple[tuple[Review, ...], Review]]:
    given = by_trace(read_reviews(folder))
    if not given or not (folder / TRACES).exists():
        return {}
    reviewed: dict[str, tuple[tuple[Review, ...], Review]] = {}
    for trace in read_traces(folder / TRACES):
        reviewed.pop(trace.id, None)  # if an id occurs twice, the later trace counts
        reviews = standing_reviews(given.get(trace.id, ()), trace)
        if decides := deciding(reviews, trace):
            reviewed[trace.id] = reviews, decides
    return reviewed


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
