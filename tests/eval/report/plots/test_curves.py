"""The curves as they are drawn: a run keeps its mark, and what is incomplete is hollow and says so."""

from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from scoredruns import random_run, selection

from ddxgraph.eval.report.evaluation import evaluate
from ddxgraph.eval.report.plots.curves import difficulty_plot, draw_difficulty, draw_lengths, length_plot
from ddxgraph.eval.report.plots.picture import PAGE, drawing, sheet, sign_of
from ddxgraph.eval.scoring.run import ScoredRun


def torn(run: ScoredRun, lost: int = 3) -> ScoredRun:
    """The run without its last traces."""
    return replace(run, scores=run.scores[:-lost], missing=lost)


def marks(axes) -> list[tuple[str, str, str]]:
    """Marker, its colour and the colour inside, of each mark or line of marks."""
    return [
        (line.get_marker(), to_hex(line.get_color()), to_hex(line.get_markerfacecolor()))
        for line in axes.lines
        if line.get_marker() not in {"None", "none", "|", "_", ""}
    ]


def two_benchmarks() -> list[ScoredRun]:
    other = random_run("other", strategy="cot")
    jama = random_run("jama", skill=0.3, chosen=selection("jama", split="test", limit=40, size=646))
    return [other, torn(jama), random_run("medqa", skill=0.7)]


def test_in_the_plot_of_difficulty_an_incomplete_mark_is_hollow_and_named_so():
    (line,) = evaluate(two_benchmarks()).difficulty
    _, axes = sheet()
    draw_difficulty(axes, [line])
    own = sign_of(2)  # the first of its runs
    assert marks(axes) == [(own.marker, own.colour, PAGE), (own.marker, own.colour, own.colour)]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["2 JAMA test (incomplete)", "3 MedQA dev"]
    drawn = [mark for mark in axes.lines if mark.get_marker() == own.marker]
    assert [mark.get_xdata()[0] for mark in drawn] == [point.tokens for point in line.points]
    assert [mark.get_ydata()[0] for mark in drawn] == pytest.approx(
        [100 * point.accuracy.value for point in line.points]
    )
    with drawing():
        shown = difficulty_plot("difficulty", [line])
    assert ">2 JAMA test (incomplete)<" in shown.svg
    assert [row[-1] for row in shown.table.rows] == ["incomplete", ""]


def test_in_the_plot_of_lengths_the_marks_of_an_incomplete_run_are_hollow():
    runs = [torn(random_run("torn")), random_run("whole", strategy="cot")]
    (found,) = evaluate(runs).curves
    _, axes = sheet()
    draw_lengths(axes, found.lengths, [1])
    assert marks(axes) == [
        (sign_of(1).marker, sign_of(1).colour, PAGE),
        (sign_of(2).marker, sign_of(2).colour, sign_of(2).colour),
    ]
    first = axes.containers[0].lines[0]
    assert list(first.get_ydata()) == pytest.approx(
        [100 * band.accuracy for band in found.lengths[0].by_length]
    )
    with drawing():
        shown = length_plot("length", found, [1])
    assert ">1  torn (incomplete)<" in shown.svg
    assert ">2  whole<" in shown.svg
