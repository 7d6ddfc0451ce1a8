"""The file of reviews: appended whole, mended after a crash, refused where it is not ours."""

import resource
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from scoring import entries, make_run

from ddxgraph import read_traces
from ddxgraph.common.errors import ReviewError
from ddxgraph.common.jsonl import line_of
from ddxgraph.training.review.file import LOCK, REVIEWS, all_reviews, append_review, read_reviews, reviews_of
from ddxgraph.training.review.review import Review, content_digest

NOON = "2026-01-02T12:00:00Z"


def said(trace="t1", verdict="accept", reviewer="ann", content="0" * 64, **fields) -> Review:
    reason = "wrong_answer" if verdict == "reject" else None
    known = {"trace": trace, "content": content, "verdict": verdict, "reason": reason}
    return Review.model_validate({**known, "reviewer": reviewer, "time": NOON, **fields})


def test_what_is_appended_is_read_again(tmp_path):
    assert list(read_reviews(tmp_path)) == []
    reviews = [said(), said("t2", "reject", note='a "quoted" note\nin two lines, שלום'), said()]
    for one in reviews:
        append_review(tmp_path, one)
    assert list(read_reviews(tmp_path)) == reviews
    assert len((tmp_path / REVIEWS).read_bytes().splitlines()) == 3


def test_wherever_a_crash_cuts_the_last_line_the_next_one_stands_alone(tmp_path):
    append_review(tmp_path, said("t1"))
    first = (tmp_path / REVIEWS).read_bytes()
    append_review(tmp_path, said("t2", note="שלום"))
    second = (tmp_path / REVIEWS).read_bytes()[len(first) :]
    for length in [*range(0, len(second), 13), *range(len(second) - 3, len(second))]:
        (tmp_path / REVIEWS).write_bytes(first + second[:length])
        whole = length == len(second) - 1  # but for its newline
        known = ["t1", "t2"] if whole else ["t1"]
        assert [one.trace for one in read_reviews(tmp_path)] == known
        append_review(tmp_path, said("t3"))
        assert [one.trace for one in read_reviews(tmp_path)] == [*known, "t3"]


def test_what_a_power_cut_left_empty_is_taken_off(tmp_path):
    append_review(tmp_path, said("t1"))
    with (tmp_path / REVIEWS).open("ab") as file:
        file.write(b"\0" * 100)
    append_review(tmp_path, said("t2"))
    assert [one.trace for one in read_reviews(tmp_path)] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"version":1,"trace":"t1"}\n', "content: Field required"),
        (b"{broken\n", "not a review of version 1"),
        (b'{"version":2,"trace":"t1","shape":"new"}\n', "version 2, which this ddxgraph does not know"),
        (b'{"version":1,"id":"abc","case":{}}\n', "not a review"),
        (b"name,verdict\n", "not a review"),
        (b"name,verdict", "not a review"),
        (b'{"version":1,"judge":"a', "not a review"),
        (b"[]\n", "not a review"),
        (b"\xff\xfe\n", "not a review"),
    ],
    ids=str,
)
def test_what_is_no_review_is_refused_with_its_line_and_left_alone(tmp_path, line, why):
    append_review(tmp_path, said())
    path = tmp_path / REVIEWS
    content = path.read_bytes() + b"\n" + line
    path.write_bytes(content)
    for work in (lambda: list(read_reviews(tmp_path)), lambda: append_review(tmp_path, said())):
        with pytest.raises(ReviewError, match=f"{REVIEWS}, line 3: .*{why}"):
            work()
    assert path.read_bytes() == content


def test_reviewers_at_once_lose_nothing(tmp_path):
    with ThreadPoolExecutor(8) as reviewers:
        names = [f"r{n}" for n in range(8)]
        list(
            reviewers.map(
                lambda name: [append_review(tmp_path, said(f"t{n}", reviewer=name)) for n in range(6)], names
            )
        )
    found = [(one.reviewer, one.trace) for one in read_reviews(tmp_path)]
    assert sorted(found) == sorted((name, f"t{n}") for name in names for n in range(6))
    assert [trace for name, trace in found if name == "r3"] == [f"t{n}" for n in range(6)]


def test_a_file_that_is_not_let_go_of_is_waited_for_and_then_named(tmp_path):
    with FileLock(tmp_path / LOCK), pytest.raises(ReviewError, match=r"another process .* try again"):
        append_review(tmp_path, said(), wait_s=0.01)
    append_review(tmp_path, said(), wait_s=0.01)


def test_what_cannot_be_written_or_read_is_a_sentence(tmp_path):
    with pytest.raises(ReviewError, match="there is no folder"):
        append_review(tmp_path / "nowhere", said())
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / REVIEWS).mkdir()
    with pytest.raises(ReviewError, match=r"cannot write .* was not saved, those before it are"):
        append_review(tmp_path, said())
    with pytest.raises(ReviewError, match="cannot read"):
        list(read_reviews(tmp_path))


@contextmanager
def room_for(size: int):
    """No file may grow beyond so many bytes: a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_costs_no_review_that_was_saved(tmp_path):
    append_review(tmp_path, said("t1"))
    before = (tmp_path / REVIEWS).read_bytes()
    with room_for(len(before) + 20), pytest.raises(ReviewError, match="the review of t2 was not saved"):
        append_review(tmp_path, said("t2"))
    assert (tmp_path / REVIEWS).read_bytes() == before


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "run", entries("BB"), ["B", "C"])


def test_the_gate_sees_one_review_a_trace_and_only_of_what_was_reviewed(run):
    one, other = read_traces(run / "traces.jsonl")
    assert reviews_of(run) == all_reviews(run) == {}
    for trace, verdict, reviewer in (
        (one, "accept", "ann"),
        (one, "reject", "bob"),
        (other, "reject", "ann"),
        (other, "accept", "ann"),
    ):
        append_review(run, said(trace.id, verdict, reviewer, content_digest(trace)))
    append_review(run, said("gone", "reject"))
    decided = {key: (review.verdict, review.reviewer) for key, review in reviews_of(run).items()}
    assert decided == {one.id: ("reject", "bob"), other.id: ("accept", "ann")}
    assert {key: len(held) for key, held in all_reviews(run).items()} == {one.id: 2, other.id: 1}

    replaced = one.model_copy(update={"answer": "A"})
    with (run / "traces.jsonl").open("a") as file:
        file.write(line_of(replaced) + "\n")
    assert set(reviews_of(run)) == {other.id}
    append_review(run, said(one.id, content=content_digest(replaced)))
    assert reviews_of(run)[one.id].verdict == "accept"


def test_a_run_without_traces_has_no_review_that_holds(tmp_path):
    append_review(tmp_path, said())
    assert reviews_of(tmp_path) == {}
