"""Two journeys, two runs: which flipped, whose answers differ, where the paths part."""

from itertools import product

import pytest
from journeys import CASE, OPTIONS, STRAIGHT
from viewed import as_another, back_and_forth, book, many, once_back, straight, write_cases, write_run
from walks import walked

from ddxgraph import Case, Trace
from ddxgraph.view.data.pairing import (
    COLUMNS,
    Divergence,
    PairRow,
    divergence,
    flip,
    pair_row,
    paired,
    paths_in_words,
    same_answer,
    twins,
)
from ddxgraph.view.data.row import Judged
from ddxgraph.view.data.tracebook import read_trace

SCORED_WRONG = ("incorrect", "unparsed", "abstained")
FLIPS = {
    ("correct", "correct"): "both correct",
    **{("correct", wrong): "became incorrect" for wrong in SCORED_WRONG},
    **{(wrong, "correct"): "became correct" for wrong in SCORED_WRONG},
    **dict.fromkeys(product(SCORED_WRONG, SCORED_WRONG), "both not correct"),
}
EVERY = ("correct", *SCORED_WRONG, "error", None)


@pytest.mark.parametrize(("was", "now"), list(product(EVERY, EVERY)))
def test_a_flip_is_between_correct_and_not_correct_and_an_error_is_neither(was, now):
    judged = [verdict and Judged("A", verdict) for verdict in (was, now)]
    assert flip(*judged) == FLIPS.get((was, now), "not judged")


def answering(said: str | None, case: Case = CASE) -> Trace:
    return straight().model_copy(update={"case": case, "answer": said})


def test_answers_are_compared_by_what_the_options_say():
    shuffled = CASE.model_copy(update={"options": dict(zip("ABCD", reversed(OPTIONS.values()), strict=True))})
    assert same_answer(answering("B"), answering("B")) == "the same"
    assert same_answer(answering("B"), answering("A")) == "different"
    assert same_answer(answering("B"), answering("C", shuffled)) == "the same"
    assert same_answer(answering("B"), answering("B", shuffled)) == "different"


def test_answers_in_words_are_compared_as_they_stand():
    free = CASE.model_copy(update={"options": {}})
    assert same_answer(answering("gout", free), answering("gout", free)) == "the same"
    assert same_answer(answering("gout", free), answering("lupus", free)) == "different"
    assert same_answer(answering("Pneumonia", free), answering("B")) == "the same"


def test_a_missing_answer_is_said():
    assert same_answer(answering("B"), answering(None)) == "one missing"
    assert same_answer(answering(None), answering("B")) == "one missing"
    assert same_answer(answering(None), answering(None)) == "none"
    assert same_answer(answering("B"), None) == "only in A"
    assert same_answer(None, answering("B")) == "only in B"


def test_the_same_path_never_parts():
    steps = back_and_forth().steps
    assert divergence(steps, steps) == Divergence(len(steps), same=True, after="Conclusion")
    assert divergence((), ()) == Divergence(0, same=True, after="the start")


def test_paths_that_differ_at_once_part_at_the_start():
    found = divergence(straight().steps, straight().steps[1:])
    assert found == Divergence(0, same=False, after="the start")
    assert paths_in_words(found, straight()) == "diverge at the start"
    assert divergence(straight().steps, ()) == Divergence(0, same=False, after="the start")


def test_a_path_that_goes_on_parts_where_the_other_ends():
    steps = straight().steps
    assert divergence(steps[:3], steps) == Divergence(3, same=False, after="Evidence on B")
    assert divergence(steps, steps[:3]) == Divergence(3, same=False, after="Evidence on B")


def test_paths_part_at_the_first_other_stop_or_other_hypothesis():
    a, b = straight(), once_back()
    found = divergence(a.steps, b.steps)
    assert found == Divergence(7, same=False, after="Reflection")
    assert a.steps[7].node == "conclude"
    assert b.steps[7].node == "check_evidence"
    assert paths_in_words(found, a) == "diverge after reflection"
    swapped = [*a.steps[:2], a.steps[3], a.steps[2], *a.steps[4:]]
    assert divergence(a.steps, swapped) == Divergence(2, same=False, after="Differential")


def test_what_was_settled_at_a_stop_parts_no_path():
    other = walked(
        STRAIGHT | {"reflect": {"critique": "else", "refuted": [], "verdict": "conclude", "targets": []}},
        CASE,
    )
    assert divergence(walked(STRAIGHT, CASE).trace.steps, other.trace.steps).same


def test_one_journey_alone_is_on_no_path_of_two():
    assert paths_in_words(None, straight()) == "only one"
    assert paths_in_words(Divergence(3, same=True, after=""), straight()) == "the same"


def test_steps_stand_side_by_side_and_part_once():
    a, b = straight().steps, once_back().steps
    found = twins(a, b)
    assert [twin.number for twin in found] == list(range(max(len(a), len(b))))
    assert [twin.a for twin in found if twin.a] == list(a)
    assert [twin.b for twin in found if twin.b] == list(b)
    assert [twin.parted for twin in found] == [number >= 7 for number in range(len(found))]
    assert [twin.number for twin in found if twin.here] == [7]
    assert [twin.number for twin in twins(a[:3], a) if twin.here] == [3]
    assert not any(twin.here or twin.parted for twin in twins(a, a))


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """Two runs that share three cases; the first has one more, the second has two."""
    folder = tmp_path_factory.mktemp("runs")
    traces = many(6)
    ours = [traces[0], traces[1], traces[2], traces[5]]
    theirs = [
        traces[4],
        traces[2].model_copy(update={"id": "c" * 32}),
        as_another(once_back(), 1),
        as_another(back_and_forth(), 0, answer="B"),
        traces[3],
    ]
    cases = write_cases(folder / "cases.jsonl", traces)
    return (
        book(write_run(folder / "a", ours), cases),
        book(write_run(folder / "b", theirs), cases),
    )


def rows(books) -> list[PairRow]:
    a, b = books
    return [
        pair_row(pair, read_trace(pair.a) if pair.a else None, read_trace(pair.b) if pair.b else None)
        for pair in paired(a.entries, b.entries)
    ]


def test_runs_are_paired_by_case_in_the_order_of_the_first(books):
    a, b = books
    pairs = list(paired(a.entries, b.entries))
    assert [pair.case for pair in pairs] == [f"case-00{number}" for number in (0, 1, 2, 5, 3, 4)]
    assert [pair.key for pair in pairs] == list("012345")
    assert [(pair.a is not None, pair.b is not None) for pair in pairs] == [
        *[(True, True)] * 3,
        (True, False),
        *[(False, True)] * 2,
    ]
    assert list(paired([], [])) == []


def test_samples_of_a_case_are_pairs_of_their_own(tmp_path):
    first, second = many(2)
    again = first.model_copy(update={"id": "d" * 32, "sample": 1})
    runs = [
        book(write_run(tmp_path / name, traces))
        for name, traces in (("a", [first, again, second]), ("b", [again]))
    ]
    pairs = list(paired(runs[0].entries, runs[1].entries))
    assert [(pair.case, pair.sample, pair.b is not None) for pair in pairs] == [
        ("case-000", 0, False),
        ("case-000", 1, True),
        ("case-001", 0, False),
    ]


def test_a_row_says_what_differs(books):
    found = {row.case: row for row in rows(books)}
    first = found["case-000"]
    assert (first.flip, first.answers, first.answer_a, first.answer_b) == (
        "became incorrect",
        "different",
        "C",
        "B",
    )
    assert (first.paths, first.common, first.gold) == ("the same", 17, "C")
    second = found["case-001"]
    assert (second.flip, second.answers, second.paths, second.common) == (
        "both not correct",
        "the same",
        "diverge after reflection",
        7,
    )
    assert (second.backtracks_a, second.backtracks_b) == (0, 1)


def test_a_pair_that_one_run_lacks_is_told_as_such(books):
    found = {row.case: row for row in rows(books)}
    alone = found["case-005"]
    assert (alone.flip, alone.answers, alone.paths) == ("not judged", "only in A", "only one")
    assert (alone.answer_a, alone.answer_b, alone.tokens_b, alone.gold) == ("C", "–", 0, "C")
    other = found["case-003"]
    assert (other.answers, other.answer_a, other.tokens_a, other.gold) == ("only in B", "–", 0, "C")
    assert other.tokens_b > 0


def test_a_column_stands_for_each_field_of_a_row(books):
    assert len(COLUMNS) == len(PairRow._fields)
    for row in rows(books):
        for column, value in zip(COLUMNS, row, strict=True):
            assert isinstance(value, int) == (column.kind == "number"), column.title
    assert [column.title for column in COLUMNS if column.gold] == ["Flip", "Gold"]
