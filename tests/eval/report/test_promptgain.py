"""What prompting for steps brings: which runs are paired, what stands beside, and the numbers that are drawn."""

from dataclasses import replace

import pytest
from scoredruns import random_run, selection

from ddxgraph.eval.report.evaluation import evaluate
from ddxgraph.eval.report.models import GainSet
from ddxgraph.eval.report.plots.gain import draw_gains, gain_plot
from ddxgraph.eval.report.plots.picture import MUTED, PAGE, drawing, sheet, sign_of
from ddxgraph.eval.report.plots.plots import plots
from ddxgraph.eval.report.published import published, weighted_mean
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.graph.budget import Budget

SIZES = {"jama": 646, "medbullets": 308, "medqa": 1273}


def both(model: str = "Tiny-135M", name: str = "", **fields) -> list[ScoredRun]:
    """A model under both prompts, with what differs between such runs."""
    return [
        random_run(f"vanilla{name}", strategy="vanilla", model=model, skill=0.3, prompt_set="v",
                   budget=Budget(max_calls=2, max_backtracks=0), **fields),
        random_run(f"cot{name}", strategy="cot", model=model, skill=0.6, prompt_set="c",
                   budget=Budget(max_calls=1, max_backtracks=0), **fields),
    ]  # fmt: skip


def gains(*runs: ScoredRun, **settings) -> tuple[GainSet, ...]:
    return evaluate(runs, **settings).gains


def test_the_gain_of_one_benchmark_is_the_paired_difference():
    runs = both()
    evaluation = evaluate(runs, seed=5)
    (one,) = evaluation.comparisons.made
    ((own,),) = (found.own for found in evaluation.gains)
    assert (own.model, own.parameters, own.vanilla, own.cot) == ("Tiny-135M", 0.135, (1,), (2,))
    assert (own.n, own.left_out, own.names) == (40, 0, ("cot less vanilla",))
    assert (own.difference, own.low, own.high) == pytest.approx((one.difference, one.low, one.high))


def test_it_is_there_whatever_the_baseline_and_the_order():
    vanilla, cot = both()
    graph = random_run("graph", model="Tiny-135M")
    (found,) = gains(cot, graph, vanilla, baseline=graph)
    assert (found.own[0].vanilla, found.own[0].cot) == ((3,), (1,))
    assert found.own[0].difference == gains(vanilla, cot)[0].own[0].difference


def test_over_several_benchmarks_it_is_weighted_by_their_sizes():
    runs, by_hand = [], 0.0
    for benchmark, size in SIZES.items():
        chosen = selection(benchmark, split="test", limit=40, size=size)
        pair = both(name=f"-{benchmark}", chosen=chosen)
        by_hand += (pair[1].accuracy - pair[0].accuracy) * size / 2227
        runs += pair
    (found,) = gains(*runs)
    (own,) = found.own
    assert own.difference == pytest.approx(by_hand)
    assert (own.vanilla, own.cot, own.n) == ((1, 3, 5), (2, 4, 6), 120)
    assert own.low < own.difference < own.high


def test_a_benchmark_that_was_run_one_way_alone_is_left_out():
    vanilla, cot = both()
    chosen = selection("jama", split="dev", limit=40, size=646)
    extra = random_run("more", strategy="cot", model="Tiny-135M", prompt_set="c", chosen=chosen,
                       budget=Budget(max_calls=1, max_backtracks=0))  # fmt: skip
    (found,) = gains(extra, vanilla, cot)
    assert found.items == "MedQA dev, 40 of 1,272"
    assert found.own[0].cot == (3,)


def test_unscored_cases_are_left_out_and_counted():
    vanilla, cot = both()
    cot = replace(cot, scores=cot.scores[:-3], missing=3)
    ((own,),) = (found.own for found in gains(vanilla, cot))
    assert (own.n, own.left_out) == (37, 3)
    shown = gain_plot("gains", gains(vanilla, cot)[0])
    assert shown.table.rows[0][6] == "incomplete: 3 unscored cases left out"
    assert "(incomplete)" in shown.alt


@pytest.mark.parametrize(
    "change",
    [
        {"model": "Other-135M"},
        {"adapter": "longstep"},
        {"sampling": {"temperature": 0.7}},
        {"chosen": selection(limit=40, limit_seed=1)},
        {"chosen": selection(split="test", limit=40, size=1273)},
    ],
)
def test_runs_that_differ_in_more_than_the_prompt_are_not_paired(change):
    vanilla, _ = both()
    fields = {
        "model": "Tiny-135M",
        "prompt_set": "c",
        "budget": Budget(max_calls=1, max_backtracks=0),
        **change,
    }
    assert gains(vanilla, random_run("cot", strategy="cot", **fields)) == ()


def test_every_run_stands_in_one_pair():
    runs = [*both(), *both(name="-again"), random_run("third", strategy="cot", model="Tiny-135M", prompt_set="c",
            budget=Budget(max_calls=1, max_backtracks=0))]  # fmt: skip
    (found,) = gains(*runs)
    assert [(own.vanilla, own.cot) for own in found.own] == [((1,), (2,)), ((3,), (4,))]


def test_published_gains_are_over_the_same_benchmarks():
    told = {row.model: row for row in gains(*both())[0].published}
    assert {model: row.parameters for model, row in told.items()} == {
        "GPT-4o": None, "Qwen2.5 7B": 7, "InternLM2.5 7B": 7, "InternLM2.5 20B": 20, "Qwen2.5 32B": 32,
        "LLama3.1 70B": 70, "Qwen2.5 72B": 72,
    }  # fmt: skip
    assert told["Qwen2.5 7B"].difference == pytest.approx(0.5506 - 0.5679)  # MedQA alone
    assert told["Qwen2.5 72B"].difference == pytest.approx(0.7957 - 0.7431)

    runs = [
        run
        for benchmark, size in SIZES.items()
        for run in both(name=benchmark, chosen=selection(benchmark, split="test", limit=40, size=size))
    ]
    told = {row.model: row.difference for row in gains(*runs)[0].published}
    rows = {row.label: row for row in published()}
    by_hand = weighted_mean(rows["LLama3.1-Vanilla CoT 70B"]) - weighted_mean(rows["LLama3.1 70B"])
    assert told["LLama3.1 70B"] == pytest.approx(float(by_hand) / 100)
    assert told["Qwen2.5 7B"] == pytest.approx(0.4961 - 0.5123, abs=2e-4)


def test_of_a_case_file_there_is_a_gain_and_nothing_published():
    (found,) = gains(*both(chosen=None))
    assert found.published == ()
    assert found.own[0].n == 40


def test_what_is_drawn_are_the_differences_and_their_intervals_by_size():
    vanilla, cot = both("Small-0.5B", "-small")
    cot = replace(cot, scores=cot.scores[:-3], missing=3)
    (found,) = gains(*both(), vanilla, cot, *both("nameless", "-nameless"))
    _, axes = sheet()
    draw_gains(axes, found)

    marks = [container.lines[0] for container in axes.containers]
    caps = [container.lines[1] for container in axes.containers]
    own = [one for one in found.own if one.parameters is not None]
    assert [one.model for one in own] == ["Tiny-135M", "Small-0.5B"]
    assert [mark.get_xdata()[0] for mark in marks] == [0.135, 0.5]
    assert [mark.get_ydata()[0] for mark in marks] == pytest.approx([100 * one.difference for one in own])
    for pair, one in zip(caps, own, strict=True):
        assert [cap.get_ydata()[0] for cap in pair] == pytest.approx([100 * one.low, 100 * one.high])
    assert [mark.get_marker() for mark in marks] == [sign_of(2).marker, sign_of(4).marker]
    assert [mark.get_markerfacecolor() for mark in marks] == [sign_of(2).colour, PAGE]

    told = [line for line in axes.lines if line.get_marker() == "d"]
    assert [line.get_xdata()[0] for line in told] == [7, 7, 20, 32, 70, 72]
    by_model = {row.model: 100 * row.difference for row in found.published}
    assert sorted(line.get_ydata()[0] for line in told) == pytest.approx(
        sorted(y for model, y in by_model.items() if model != "GPT-4o")
    )
    assert {(line.get_color(), line.get_markerfacecolor()) for line in told} == {(MUTED, PAGE)}
    assert {text.get_text() for text in axes.texts} == {"2", "4", *"abcdef"}

    low, high = axes.get_ylim()
    assert low < 100 * min(one.low for one in own)
    assert high > 100 * max(one.high for one in own)
    assert axes.get_xlim()[0] < 0.135
    assert axes.get_xlim()[1] > 72


def test_a_model_of_unknown_size_is_listed_and_not_drawn():
    (found,) = gains(*both(), *both("nameless", "-nameless"))
    with drawing():
        shown = gain_plot("gains", found)
    sizes = {row[0]: row[1] for row in shown.table.rows}
    assert sizes["Tiny-135M"] == "0.135B"
    assert sizes["nameless"] == sizes["GPT-4o"] == "size unknown, not drawn"
    assert ">size unknown, not drawn: 4 less 3  nameless, " in shown.svg
    assert ">size unknown, not drawn: GPT-4o, published, " in shown.svg
    assert "nameless (size unknown, not drawn): " in shown.alt


def test_where_no_size_is_known_there_is_no_plot():
    evaluation = evaluate(both("nameless", chosen=None))
    assert len(evaluation.gains) == 1
    assert not [picture for picture in plots(evaluation) if picture.name.startswith("gains")]
