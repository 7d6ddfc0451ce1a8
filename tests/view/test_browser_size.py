"""The page of one journey stays under a megabyte, so that it can be sent and opened anywhere."""

import pytest
from viewed import MEGABYTE, WHOLE, back_and_forth, everywhere, of_many_options, straight, with_replies
from walks import LEG

from ddxgraph import Budget
from ddxgraph.nodes.case import MAX_VIGNETTE_CHARS
from ddxgraph.nodes.generate import Generation
from ddxgraph.view.data.row import Judged
from ddxgraph.view.page.journey import journey_page

JUDGED = Judged("B", "correct")


def size(trace) -> int:
    return len(journey_page(trace, JUDGED).encode())


def test_an_ordinary_journey_takes_a_tenth_of_it():
    assert size(back_and_forth()) < MEGABYTE // 8
    assert size(straight()) < MEGABYTE // 16


@pytest.mark.parametrize("wordy", [4, 8, 30])
@pytest.mark.parametrize("budget", [WHOLE, Budget()], ids=["largest budget", "default budget"])
def test_a_long_journey_over_26_options_is_under_a_megabyte_and_keeps_its_charts(wordy, budget):
    trace = of_many_options(wordy=wordy, budget=budget)
    assert len(trace.case.options) == 26
    page = journey_page(trace, JUDGED)
    assert len(page.encode()) < MEGABYTE
    assert page.count("<polyline") == 26
    assert page.count('class="step') == len(trace.steps)
    if budget is WHOLE:
        assert len(trace.steps) > 100
        assert page.count("data-tip=") == 26 * 8
    else:
        assert trace.ended.startswith("budget_")


@pytest.mark.parametrize("letter", ['"', "<", "W", "病", "🫀", "e\u0301", " \n"])
def test_replies_of_a_megabyte_are_cut_and_what_is_left_out_is_said(letter):
    trace = with_replies(back_and_forth(), (letter * MEGABYTE)[:MEGABYTE])
    page = journey_page(trace, JUDGED)
    assert len(page.encode()) < MEGABYTE
    assert page.count("more characters in the trace") >= len(trace.steps)


@pytest.mark.parametrize("letter", ['"', "W", "病"])
def test_one_generation_of_a_megabyte_is_cut_too(letter):
    step = straight().steps[-1]
    reply = letter * MEGABYTE
    alone = step.model_copy(
        update={
            "index": 0,
            "parent": None,
            "node": "generate",
            "text": reply,
            "output": Generation(answer="B"),
        }
    )
    trace = straight().model_copy(update={"steps": (alone,)})
    assert size(trace) < MEGABYTE


@pytest.mark.parametrize("letter", ["W", "病", "🫀 ", "a <b> "])
def test_a_case_at_its_limit_is_shown_whole(letter):
    text = (letter * MAX_VIGNETTE_CHARS)[:MAX_VIGNETTE_CHARS].strip()
    case = LEG.model_copy(update={"vignette": text})
    trace = straight().model_copy(update={"case": case})
    page = journey_page(trace, JUDGED)
    assert len(page.encode()) < MEGABYTE
    assert page.count(letter.strip().replace("<", "&lt;").replace(">", "&gt;")) >= len(text) // len(letter)


def test_long_texts_in_every_field_are_cut():
    assert size(everywhere(back_and_forth(), "word " * 20_000)) < MEGABYTE


def test_a_small_journey_is_shown_whole():
    page = journey_page(back_and_forth(), JUDGED)
    assert "more characters in the trace" not in page
