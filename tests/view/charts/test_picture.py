"""A journey drawn into a file: everything is on it, and no text can spoil it."""

import threading
import warnings
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from journeys import CASE, STRAIGHT, reflection

from ddxgraph import build_graph, solve
from ddxgraph.common.words import NOTICE
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.view.charts.canvas import Canvas

TURNING = {
    **STRAIGHT,
    "reflect": [reflection("recheck_evidence", refuted=["C"], targets=["A", "B"]), reflection()],
}


def walked(case=CASE):
    return solve(build_graph(ScriptedChatModel(script=TURNING)), case)


def test_svg_says_what_was_walked(tmp_path):
    svg = walked().draw(tmp_path / "journey.svg").read_text(encoding="utf-8")
    for words in (
        "cough: answered, B. Pneumonia",
        "11 steps, 1 backtrack",
        "A Influenza",
        "refuted",
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
    with pytest.raises(ValueError, match=r"the file name must end in \.png or \.svg"):
        walked().draw(tmp_path / "journey.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "$\\frac{",
        "$x$",
        "a\x01b",
        "a\ufffeb",
        "-- >",
        "<svg onload=x>",
        "病" * 90,
        "عربى",
        "a\nb",
        "\ud800",
        "x" * 2000,
    ],
)
def test_any_text_can_be_drawn_without_a_word(text, tmp_path):
    trace = walked()
    case = trace.case.model_copy(update={"options": {**trace.case.options, "B": text}, "id": text})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for form in ("svg", "png"):
            assert trace.model_copy(update={"case": case}).draw(tmp_path / f"x.{form}").stat().st_size > 1000
    ElementTree.parse(tmp_path / "x.svg")
    assert "<svg onload" not in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_a_label_too_wide_for_its_box_is_cut_to_it():
    canvas = Canvas(400, 100)
    fitted = canvas.fit("W" * 60, 150, size=8, bold=True)
    assert fitted.endswith("…")
    assert canvas.width(fitted, size=8, bold=True) <= 150
    assert canvas.width("W" + fitted, size=8, bold=True) > 150
    assert canvas.fit("short", 150, size=8) == "short"


def test_a_user_s_settings_neither_change_nor_are_changed(tmp_path):
    trace, before, filters = walked(), dict(mpl.rcParams), list(warnings.filters)
    trace.draw(tmp_path / "plain.svg")
    with mpl.rc_context({"text.usetex": True, "axes.facecolor": "red", "text.color": "red"}):
        trace.draw(tmp_path / "set.svg")
    assert (tmp_path / "plain.svg").read_bytes() == (tmp_path / "set.svg").read_bytes()

    def draw(name: Path) -> None:
        for _ in range(3):
            trace.draw(name)

    threads = [threading.Thread(target=draw, args=[tmp_path / f"{number}.svg"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(mpl.rcParams) == before
    assert list(warnings.filters) == filters
    assert (tmp_path / "3.svg").read_bytes() == (tmp_path / "plain.svg").read_bytes()


@pytest.mark.parametrize("upto", [0, 1, 4, 7, 8])
def test_a_journey_that_broke_off_is_drawn_as_far_as_it_came(upto, tmp_path):
    trace = walked()
    broken = {"steps": trace.steps[:upto], "answer": None, "outcome": "error", "ended": "interrupted"}
    svg = trace.model_copy(update=broken).draw(tmp_path / "x.svg").read_text(encoding="utf-8")
    assert "cough: error" in svg
    assert "No answer" in svg
