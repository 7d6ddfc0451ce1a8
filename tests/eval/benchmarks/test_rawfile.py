"""Raw files: whatever is not as published is refused, and the row is named."""

import json
from random import Random
from typing import Any

import pytest
from benchmarkmaker import as_lines, medqa_row, mini
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks.medbullets import medbullets_rows
from ddxgraph.eval.benchmarks.medqa import medqa_rows
from ddxgraph.eval.benchmarks.rawfile import (
    Published,
    Row,
    differences,
    first_words,
    parse_published,
    print_published,
    problems_of,
    records_of,
    refusal,
    words_of,
)

ROWS = [medqa_row(number) for number in range(12)]


def problems(tmp_path, rows) -> list[str]:
    raw = mini(tmp_path, ROWS).splits["test"].file
    return [str(problem) for problem in problems_of(raw, rows if isinstance(rows, bytes) else as_lines(rows))]


def altered(number: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**row, **fields} if place == number else row for place, row in enumerate(ROWS)]


def test_the_published_file_has_no_problem(tmp_path):
    assert problems(tmp_path, ROWS) == []


OTHER = {"A": "Gout 4", "B": "Lupus 4", "C": "Sarcoidosis 4", "D": "Measles"}
NAMED = '(mini-test-4, "A 24-year-old patient has joint pain on 4...")'


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"question": "Another one?"}, "not the published ones"),
        ({"options": OTHER}, "not the published ones"),
        ({"answer_idx": "D", "answer": "Influenza"}, "not the published ones"),
        ({"answer_idx": "E"}, "the answer 'E' is none of the options A, B, C, D"),
        ({"options": {**OTHER, "D": "  "}}, "option D is empty"),
        ({"options": {}}, "it has no options"),
        ({"question": " "}, "the question is empty"),
        ({"answer": "Measles"}, None),
        ({"answer_idx": 4}, "lacks the fields question, options, answer_idx and answer"),
        ({"options": ["Gout"]}, "lacks the fields"),
        ({"options": {"A": 1, "B": "b"}}, "lacks the fields"),
    ],
)
def test_a_row_that_is_not_as_published_is_named_alone(fields, said, tmp_path):
    found = problems(tmp_path, altered(4, **fields))
    if said is None:  # the text of the answer is no part of what a case is made of
        assert len(found) == 1
        assert "every row is the published one" in found[0]
    else:
        assert len(found) == 1
        assert found[0].startswith("row 4 (mini-test-4")
        assert said in found[0]


def test_a_changed_row_is_named_by_number_id_and_first_words(tmp_path):
    [found] = problems(tmp_path, altered(4, options=OTHER))
    assert found == f"row 4 {NAMED}: its question, options or answer are not the published ones"


def test_a_missing_row_is_named_with_the_one_before_it(tmp_path):
    assert problems(tmp_path, ROWS[:4] + ROWS[5:]) == [
        'row 4 (mini-test-4): it is missing; it came after "A 23-year-old patient has joint pain on 3..."'
    ]
    assert problems(tmp_path, ROWS[1:]) == ["row 0 (mini-test-0): it is missing; it was the first"]
    assert [one.split(":")[0] for one in problems(tmp_path, ROWS[:-2])] == [
        "row 10 (mini-test-10)",
        "row 11 (mini-test-11)",
    ]


def test_a_row_too_many_and_a_row_twice_are_named(tmp_path):
    [extra] = problems(tmp_path, [*ROWS[:6], medqa_row(99), *ROWS[6:]])
    assert extra.startswith("row 6 (mini-test-6, ")
    assert extra.endswith("no such row was published")
    [twice] = problems(tmp_path, [*ROWS, ROWS[3]])
    assert twice.startswith("row 12 (mini-test-12, ")
    assert twice.endswith("it occurs twice, or is misplaced")


def test_a_row_that_moved_is_named_once(tmp_path):
    [moved] = problems(tmp_path, [*ROWS[:3], *ROWS[4:], ROWS[3]])
    assert moved.startswith("row 11 ")
    assert "misplaced" in moved


def test_a_row_that_is_no_json_is_named(tmp_path):
    lines = as_lines(ROWS).splitlines(keepends=True)
    [found] = problems(tmp_path, b"".join([*lines[:7], b'{"question": \n', *lines[8:]]))
    assert found.startswith("row 7 (mini-test-7): broken JSON (")


def test_another_layout_of_the_same_rows_is_a_wrong_hash(tmp_path):
    spaced = "".join(json.dumps(row, separators=(", ", " : ")) + "\n" for row in ROWS).encode()
    [found] = problems(tmp_path, spaced)
    assert found.startswith("its SHA-256 is ")
    assert "every row is the published one" in found


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 100, b"[" * 100_000, b"<html>no such page</html>"])
def test_what_is_no_such_file_at_all_is_refused(content, tmp_path):
    assert problems(tmp_path, content)


def test_a_long_list_is_cut_for_a_sentence(tmp_path):
    raw = mini(tmp_path, ROWS).splits["test"].file
    sentence = refusal(problems_of(raw, as_lines([])))
    assert sentence.count("it is missing") == 3
    assert sentence.endswith("and 9 more")


@given(st.lists(st.integers(0, 11), max_size=16), st.randoms(use_true_random=False))
def test_no_other_list_of_rows_passes(places: list[int], random: Random):
    rows = list(medqa_rows(as_lines(ROWS)))
    wanted = parse_published(print_published(rows, keys=False))
    if random.random() < 0.3:
        places = list(range(12))
    given_rows = [rows[place]._replace(number=at, key=str(at)) for at, place in enumerate(places)]
    assert bool(list(differences("", given_rows, wanted))) == (places != list(range(12)))


def test_of_two_rows_alike_a_missing_one_is_seen():
    same = [Row(n, f"k{n}", "What?", {"A": "a", "B": "b"}, "A") for n in range(2)]
    wanted = [Published(row.digest, row.key) for row in same]
    assert list(differences("x-", same, wanted)) == []
    assert len(list(differences("x-", same[:1], wanted))) == 1
    [renamed] = differences("x-", [same[0], same[1]._replace(key="k0")], wanted)
    assert (renamed.row, renamed.what) == (1, "its id occurs twice, at row 0 too")
    [other] = differences("x-", [same[0], same[1]._replace(key="k7")], wanted)
    assert other.what == "its id is not the published one, x-k1"


def columns(*records: dict[str, Any]) -> bytes:
    names = list(dict.fromkeys(name for record in records for name in record))
    table = {name: {str(n): r[name] for n, r in enumerate(records) if name in r} for name in names}
    return json.dumps(table).encode()


RECORD = {"link": "https://x.org/v?qid=217", "question": "What?", "opa": "a", "opb": "b"} | {
    "answer_idx": "B",
    "answer": "b",
    "explanation": "so",
}


def test_medbullets_columns_are_read_as_rows_that_are_named_by_their_links():
    short = {**RECORD, "link": "https://bit.ly/47KxMQs", "opc": "c"}
    one, two = medbullets_rows(columns(RECORD, short))
    assert (one.key, one.options, one.letter, one.fault) == ("217", {"A": "a", "B": "b"}, "B", "")
    assert (two.key, two.options) == ("47KxMQs", {"A": "a", "B": "b", "C": "c"})


def test_an_answer_that_is_not_the_options_text_is_a_fault():
    [row] = medbullets_rows(columns({**RECORD, "answer": "a"}))
    assert row.fault == "the answer's text is not that of option B"
    [spelled] = medbullets_rows(columns({**RECORD, "opb": "Ménière's", "answer": "Meniere\u2019s."}))
    assert spelled.fault == ""


def test_a_table_of_records_and_one_of_columns_are_told_apart():
    assert list(records_of(b'[{"a": 1}]')) == list(records_of(b'{"a": {"0": 1}}')) == [{"a": 1}]
    for content in (b"3", b'{"a": 1}', b"[1]", b"{", b""):
        with pytest.raises(BenchmarkError):
            list(records_of(content))


def test_words():
    assert words_of("  Ménière\u2019s disease, (left)") == words_of("meniere's DISEASE left")
    assert first_words("one two") == "one two"
    assert first_words("1 2 3 4 5 6 7 8 9") == "1 2 3 4 5 6 7 8..."
