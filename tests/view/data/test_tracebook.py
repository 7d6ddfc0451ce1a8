"""The traces of a run or a file: which counts, what is still being written, and where a bad line stands."""

import json

import pytest
from viewed import add, as_another, back_and_forth, many, straight, write_run

from ddxgraph import Trace
from ddxgraph.batch.folder import ERRORS, TRACES
from ddxgraph.common.errors import TraceFileError
from ddxgraph.common.jsonl import line_of
from ddxgraph.view.data.row import Judged
from ddxgraph.view.data.tracebook import TraceBook, read_trace


def failed(trace: Trace) -> Trace:
    """An attempt at a trace that broke off."""
    return trace.model_copy(update={"outcome": "error", "ended": "failure", "answer": None})


def opened(path) -> TraceBook:
    book = TraceBook(path)
    book.refresh()
    return book


def written(path, *traces: Trace, end: str = "\n"):
    path.write_text("".join(line_of(trace) + end for trace in traces), encoding="utf-8")
    return path


def test_a_run_is_known_by_its_traces_in_their_order_and_errors_last(tmp_path):
    traces = many(10)
    book = opened(write_run(tmp_path / "pilot", traces))
    ended = [one for one in traces if one.outcome != "error"] + [
        one for one in traces if one.outcome == "error"
    ]
    assert [entry.id for entry in book.entries] == [trace.id for trace in ended]
    assert [entry.failed for entry in book.entries] == [False] * 8 + [True] * 2
    assert book.name == "pilot"
    assert len(book) == 10


def test_a_trace_is_read_back_as_it_was_written(tmp_path):
    traces = many(10)
    book = opened(write_run(tmp_path / "run", traces))
    for trace in traces:
        entry = book.find(trace.id)
        assert read_trace(entry) == trace
        assert (entry.case, entry.sample) == (trace.case.id, trace.sample)
    assert book.find("nowhere") is None


def test_a_file_of_traces_does_as_well_as_a_folder(tmp_path):
    traces = many(4)
    book = opened(written(tmp_path / "some.jsonl", *traces))
    assert [entry.id for entry in book.entries] == [trace.id for trace in traces]
    assert book.name == "some"
    assert not any(entry.failed for entry in book.entries)


def test_of_two_lines_of_one_id_the_later_counts_in_the_place_of_the_first(tmp_path):
    first, second, third = many(3)
    newer = first.model_copy(update={"answer": "D"})
    book = opened(written(tmp_path / "t.jsonl", first, second, newer, third))
    assert [entry.id for entry in book.entries] == [first.id, second.id, third.id]
    assert book.find(first.id).row.answer == "D"
    assert read_trace(book.find(first.id)).answer == "D"


def test_a_failed_attempt_is_hidden_once_its_id_has_ended(tmp_path):
    one, other = many(2)
    folder = write_run(tmp_path / "run", [one])
    add(folder, [failed(one), failed(other), failed(other)], ERRORS)
    book = opened(folder)
    assert [(entry.id, entry.failed) for entry in book.entries] == [(one.id, False), (other.id, True)]
    assert book.find(other.id).row.verdict == "error"


def test_a_failed_attempt_gives_way_to_a_later_one_that_ends(tmp_path):
    one, other = many(2)
    folder = write_run(tmp_path / "run", [one])
    add(folder, [failed(other)], ERRORS)
    book = opened(folder)
    assert book.find(other.id).failed
    add(folder, [other])
    assert [entry.id for entry in book.refresh()] == [other.id]
    assert not book.find(other.id).failed
    add(folder, [failed(other)], ERRORS)
    assert book.refresh() == [], "and does not come back"
    assert read_trace(book.find(other.id)) == other
    assert len(book) == 2


def test_a_growing_run_is_followed(tmp_path):
    traces = many(6)
    folder = write_run(tmp_path / "run", traces[:1])
    book = opened(folder)
    assert book.refresh() == []
    for trace in traces[1:4]:
        add(folder, [trace])
        assert [entry.id for entry in book.refresh()] == [trace.id]
    assert len(book) == 4


def test_a_run_without_a_trace_yet_is_empty_until_one_comes(tmp_path):
    folder = write_run(tmp_path / "run", many(1))
    (folder / TRACES).unlink()
    (folder / ERRORS).unlink()
    book = opened(folder)
    assert (len(book), book.entries) == (0, [])
    add(folder, many(1))
    assert len(book.refresh()) == 1


@pytest.mark.parametrize("cut", [1, 20, -2])
def test_a_line_that_is_being_written_is_waited_for(tmp_path, cut):
    one, other = many(2)
    folder = write_run(tmp_path / "run", [one])
    line = line_of(other) + "\n"
    with (folder / TRACES).open("a", encoding="utf-8") as file:
        file.write(line[:cut])
        file.flush()
        book = opened(folder)
        assert [entry.id for entry in book.entries] == [one.id]
        assert book.refresh() == []
        file.write(line[cut:])
        file.flush()
        assert [entry.id for entry in book.refresh()] == [other.id]
    assert read_trace(book.find(other.id)) == other


def test_a_last_line_that_is_whole_counts_without_its_end(tmp_path):
    one, other, third = many(3)
    folder = write_run(tmp_path / "run", [one])
    add(folder, [other], end="")
    book = opened(folder)
    assert [entry.id for entry in book.entries] == [one.id, other.id]
    with (folder / TRACES).open("a", encoding="utf-8") as file:
        file.write("\n" + line_of(third) + "\n")
    assert [entry.id for entry in book.refresh()] == [third.id]
    assert read_trace(book.find(other.id)) == other
    assert read_trace(book.find(third.id)) == third


def test_empty_lines_are_passed_over(tmp_path):
    one, other = many(2)
    path = tmp_path / "t.jsonl"
    path.write_text(f"\n{line_of(one)}\n\n  \n{line_of(other)}\n", encoding="utf-8")
    book = opened(path)
    assert [read_trace(entry) for entry in book.entries] == [one, other]


BAD = [
    "no json",
    "[1, 2]",
    '{"version": 2}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"lost"}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","steps":3}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","usage":[1]}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","elapsed_s":"long"}',
    '{"version":1,"id":"x","case":{"id":"c","source":3},"answer":null,"outcome":"answered"}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","sample":1e999}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","elapsed_s":NaN}',
    '{"version":1,"id":"x","case":{"id":"c"},"answer":null,"outcome":"answered","elapsed_s":Infinity}',
    "[" * 5_000,
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_line_is_named_with_its_file_and_its_number(tmp_path, bad):
    one, other = many(2)
    path = tmp_path / "t.jsonl"
    path.write_text(f"{line_of(one)}\n\n{bad}\n{line_of(other)}\n", encoding="utf-8")
    book = TraceBook(path)
    with pytest.raises(TraceFileError, match=r"t\.jsonl, line 3\b"):
        book.refresh()
    assert [entry.id for entry in book.entries] == [one.id]
    assert [entry.id for entry in book.refresh()] == [one.id, other.id], "the next call goes on after it"
    assert book.refresh() == []


def test_lines_are_counted_right_after_one_that_came_without_its_end(tmp_path):
    one, other = many(2)
    path = written(tmp_path / "t.jsonl", one, other)
    path.write_text(path.read_text().removesuffix("\n"))
    book = opened(path)
    with path.open("a") as file:
        file.write("\nno json\n")
    with pytest.raises(TraceFileError, match=r"line 3\b"):
        book.refresh()


def test_a_bad_line_among_the_errors_is_named_with_that_file(tmp_path):
    folder = write_run(tmp_path / "run", many(5))
    with (folder / ERRORS).open("a") as file:
        file.write("no json\n")
    with pytest.raises(TraceFileError, match=r"errors\.jsonl, line 2\b"):
        opened(folder)


def test_a_trace_that_turns_out_to_be_none_is_named_when_it_is_opened(tmp_path):
    trace = json.loads(line_of(straight()))
    trace["steps"][0]["node"] = "nowhere"
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(trace) + "\n")
    book = opened(path)
    with pytest.raises(TraceFileError, match=r"(?s)t\.jsonl, trace .*steps\.0\.node"):
        read_trace(book.entries[0])
    path.unlink()
    with pytest.raises(TraceFileError, match="cannot read"):
        read_trace(book.entries[0])


def test_a_trace_is_named_by_the_beginning_of_its_id_or_by_its_case(tmp_path):
    first, second, third = many(3)
    twin = third.model_copy(update={"id": "abc0", "sample": 1})
    near = as_another(straight(), 9).model_copy(update={"id": "abd0"})
    book = opened(written(tmp_path / "t.jsonl", first, second, third, twin, near))
    assert book.named("abc").id == "abc0"
    assert book.named(first.id).id == first.id
    assert book.named("case-001").id == second.id
    assert book.named("case-009").id == "abd0"


def test_a_name_for_none_or_for_several_is_refused_with_what_there_is(tmp_path):
    first, second = many(2)
    book = opened(
        written(
            tmp_path / "t.jsonl",
            first,
            *(second.model_copy(update={"id": f"ab{number}", "sample": number}) for number in range(6)),
        )
    )
    with pytest.raises(TraceFileError, match=r"no trace of .*t\.jsonl.*'zz'"):
        book.named("zz")
    with pytest.raises(TraceFileError, match=r"'ab' matches 6 traces.*ab0 \(sample 0\), ab1 \(sample 1\)"):
        book.named("ab")
    with pytest.raises(TraceFileError, match="matches 6 traces"):
        book.named("case-001")


def test_a_whole_id_names_its_trace_where_it_begins_another(tmp_path):
    first, second = many(2)
    short, long = (
        first.model_copy(update={"id": "abc"}),
        second.model_copy(update={"id": "abcd"}),
    )
    book = opened(written(tmp_path / "t.jsonl", short, long))
    assert book.named("abc").id == "abc"
    assert book.named("abcd").id == "abcd"


def test_the_id_of_a_case_is_not_taken_for_the_beginning_of_another_traces_id(tmp_path):
    first, second = many(2)
    wanted = second.model_copy(update={"case": second.case.model_copy(update={"id": "17"})})
    book = opened(written(tmp_path / "t.jsonl", first.model_copy(update={"id": "17ab"}), wanted))
    assert book.named("17").case == "17"
    assert book.named("17a").id == "17ab"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(TraceFileError, match=r"no file or folder '.*nowhere'"):
        TraceBook(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TraceFileError, match=r"empty is no run folder \(it has no run\.json\)"):
        TraceBook(tmp_path / "empty")


def test_the_judge_is_asked_about_each_trace(tmp_path):
    def judge(record):
        return Judged("C", "correct" if record["answer"] == "C" else "incorrect")

    book = TraceBook(written(tmp_path / "t.jsonl", back_and_forth(), as_another(straight(), 1)), judge)
    book.refresh()
    assert [entry.judged.verdict for entry in book.entries] == ["correct", "incorrect"]
    assert [entry.row.verdict for entry in book.entries] == ["correct", "incorrect"]
