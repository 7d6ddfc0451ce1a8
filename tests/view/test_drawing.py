"""A journey drawn into a file: everything is on it, and no text can spoil it."""

import warnings

import pytest
from journeys import CASE, STRAIGHT, reflection

from ddxgraph import build_graph, solve
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.notice import NOTICE

TURNING = {
    **STRAIGHT,
    "reflect": [reflection("recheck_evidence", refuted=["C"], targets=["A", "B"]), reflection()],
}


def walked(case=CASE):
    return solve(build_graph(ScriptedChatModel(script=TURNING)), case)


def test_svg_says_what_was_walked(tmp_path):
    svg = walked().draw(tmp_path / "journey.svg").read_text(encoding="utf-8")
    for words in (
        "cough: B. Pneumonia",
        "11 steps, 1 backtrack",
        "A Influenza",
        "given up",
        "Evidence",
        NOTICE,
    ):
        assert words in svg
    assert svg.count("↩ back to evidence on A and B (the model: recheck evidence)") == 1


def test_png_is_a_picture_and_a_path_may_be_a_string(tmp_path):
    made = walked().draw(str(tmp_path / "journey.PNG"))
    assert made.read_bytes().startswith(b"\x89PNG\r\n")


def test_the_same_journey_gives_the_same_bytes(tmp_path):
    trace = walked()
    for name in ("a.svg", "b.svg"):
        trace.draw(tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_another_ending_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"a picture's name ends in \.png or \.svg"):
        walked().draw(tmp_path / "journey.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["$\\frac{", "$x$", "<svg onload=x>", "病" * 90, "عربى", "a\nb", "\ud800", "x" * 2000]
)
def test_any_text_can_be_drawn_without_a_word(text, tmp_path):
    trace = walked()
    case = trace.case.model_copy(update={"options": {**trace.case.options, "B": text}, "id": text})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in ("svg", "png"):
            assert trace.model_copy(update={"case": case}).draw(tmp_path / f"x.{form}").stat().st_size > 1000
    assert "<svg onload" not in (tmp_path / "x.svg").read_text(encoding="utf-8")
