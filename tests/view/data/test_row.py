"""A trace as a row: what its table says, whatever is missing in the record."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeys import CASE, FREE, STRAIGHT
from langchain_core.exceptions import ModelConnectionError
from viewed import as_another, back_and_forth
from walks import walked, whimsical

from ddxgraph import Trace
from ddxgraph.view.data.row import COLUMNS, Judged, TraceRow, Verdict, row_of


def record(trace: Trace) -> dict:
    return json.loads(trace.to_json())


def test_a_column_stands_for_each_field_of_a_row():
    assert len(COLUMNS) == len(TraceRow._fields)
    row = row_of(record(back_and_forth()), Judged("C", "correct"))
    for column, value in zip(COLUMNS, row, strict=True):
        assert isinstance(value, (int, float)) == (column.kind == "number"), column.title


def test_only_what_tells_of_gold_is_hidden_in_blind_reading():
    assert [column.title for column in COLUMNS if column.gold] == ["Verdict", "Gold"]
    bare = row_of(record(back_and_forth()), None)
    told = row_of(record(back_and_forth()), Judged("C", "correct"))
    differ = {name for name, a, b in zip(TraceRow._fields, bare, told, strict=True) if a != b}
    assert differ == {"verdict", "gold"}


def test_a_row_says_how_the_journey_went():
    trace = as_another(back_and_forth(), 7, sample=2, elapsed_s=12.345)
    row = row_of(record(trace), Judged("C", "correct"))
    assert row == TraceRow(
        case="case-007",
        sample=2,
        answer="C",
        verdict="correct",
        gold="C",
        backtracks=2,
        tokens=trace.usage.completion_tokens,
        seconds=12.3,
        ended="concluded",
        benchmark="medqa dev",
        strategy="graph",
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_row_counts_as_the_trace_does(seed):
    trace = whimsical(seed, [CASE, FREE][seed % 2]).trace
    row = row_of(record(trace), None)
    assert row.backtracks == trace.backtracks
    assert row.tokens == trace.usage.completion_tokens


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_a_verdict_is_shown_as_it_was_given(verdict):
    assert row_of(record(back_and_forth()), Judged("A", verdict)).verdict == verdict


def test_without_a_gold_answer_nothing_is_called_correct_or_incorrect():
    trace = back_and_forth()
    said = {
        outcome: row_of(record(trace.model_copy(update={"outcome": outcome})), None).verdict
        for outcome in ("answered", "abstained", "unparsed", "error")
    }
    assert said == {
        "answered": "not judged",
        "abstained": "abstained",
        "unparsed": "unparsed",
        "error": "error",
    }


def test_an_end_names_the_budget_or_what_broke():
    def ended(trace: Trace) -> str:
        return row_of(record(trace), None).ended

    assert ended(back_and_forth().model_copy(update={"ended": "budget_calls"})) == "budget: calls"
    broken = walked(STRAIGHT | {"reflect": ModelConnectionError("refused")}, CASE).trace
    assert ended(broken) == "engine: connection"
    unread = walked(STRAIGHT | {"conclude": "I cannot say."}, CASE).trace
    assert ended(unread) == "parse: malformed"


def test_what_an_older_record_lacks_is_left_blank():
    bare = {"version": 1, "id": "x", "case": {"id": "c"}, "answer": None, "outcome": "abstained"}
    assert row_of(bare, None) == TraceRow("c", 0, "–", "abstained", "", 0, 0, 0.0, "", "–", "graph")


@given(st.text(max_size=300), st.text(max_size=300))
def test_names_and_answers_stay_short_and_on_one_line(case, answer):
    bare = {"version": 1, "id": "x", "case": {"id": case}, "answer": answer, "outcome": "answered"}
    row = row_of(bare, Judged(answer, "correct"))
    assert len(row.case) <= 80
    assert len(row.answer) <= 60
    assert len(row.gold) <= 60
    assert len(" ".join(row[:3:2]).splitlines()) <= 1
