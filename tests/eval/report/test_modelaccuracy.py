"""Accuracy by model and strategy: what is weighed, what stands beside it, and the numbers that are drawn."""

from dataclasses import replace

import pytest
from scoredruns import random_run, score, scored, selection

from ddxgraph.eval.report.evaluation import Evaluation, evaluate
from ddxgraph.eval.report.plots.model import draw_models, model_plot
from ddxgraph.eval.report.plots.picture import MUTED, PAGE, sheet, sign_of
from ddxgraph.eval.report.published import published
from ddxgraph.eval.report.runresult import shares
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.interval import Group, weighted_accuracy

SIZES = {"jama": 646, "medbullets": 308, "medqa": 1273}


def sampled(benchmark: str, *, strategy: str = "cot", cases: int = 20, **fields) -> ScoredRun:
    """A run on some cases of a benchmark's test split."""
    chosen = selection(benchmark, split="test", limit=cases, size=SIZES[benchmark])
    return random_run(f"{strategy}-{benchmark}", cases=cases, strategy=strategy, chosen=chosen, **fields)


def on_all_three(**fields) -> list[ScoredRun]:
    return [sampled("medqa", skill=0.8, **fields), sampled("jama", skill=0.3, **fields),
            sampled("medbullets", skill=0.6, **fields)]  # fmt: skip


def torn(run: ScoredRun, lost: int) -> ScoredRun:
    """The run without its last traces."""
    return replace(run, scores=run.scores[:-lost], missing=lost)


def found(*runs: ScoredRun) -> Evaluation:
    return evaluate(runs)


def points(axes, marker: str) -> list:
    return [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]


def test_the_mean_is_weighted_by_the_sizes_whatever_part_was_run():
    runs = on_all_three()
    (models,) = found(*runs).models
    (own,) = models.own
    assert models.items == "JAMA test, 20 of 646; Medbullets test, 20 of 308; MedQA test, 20 of 1,273"
    assert models.benchmarks == ("jama", "medbullets", "medqa")
    assert (own.runs, own.strategy) == ((2, 3, 1), "cot")
    by_hand = sum(run.accuracy * SIZES[run.manifest.selection.benchmark] for run in runs) / 2227
    assert own.accuracy.value == pytest.approx(by_hand)
    ordered = [runs[1], runs[2], runs[0]]
    groups = [Group(shares(run), size) for run, size in zip(ordered, SIZES.values(), strict=True)]
    assert (own.accuracy.low, own.accuracy.high) == weighted_accuracy(groups).interval
    assert own.accuracy.bounds is None


def test_the_order_in_which_runs_are_named_does_not_matter():
    runs = on_all_three()
    one, other = found(*runs).models[0].own[0], found(*reversed(runs)).models[0].own[0]
    assert one.accuracy == other.accuracy


def test_on_one_benchmark_it_is_the_runs_own_accuracy():
    evaluation = found(random_run("a", strategy="cot"), random_run("b", strategy="vanilla"))
    (models,) = evaluation.models
    assert [own.strategy for own in models.own] == ["vanilla", "cot"]
    assert [own.accuracy for own in models.own] == [evaluation.runs[1].accuracy, evaluation.runs[0].accuracy]


def test_an_incomplete_run_opens_the_bounds_of_the_mean():
    runs = on_all_three()
    whole = found(*runs).models[0].own[0].accuracy
    own = found(torn(runs[0], 4), *runs[1:]).models[0].own[0].accuracy
    low, high = own.bounds
    assert high - low == pytest.approx(4 / 20 * 1273 / 2227)
    assert low <= whole.value <= high
    assert own.value == low
    assert own.low < low < high < own.high


def test_published_rows_are_over_the_same_benchmarks():
    (medqa,) = found(sampled("medqa")).models
    rows = {(row.model, row.strategy): row for row in medqa.published}
    assert len(rows) == len(published()) == 25
    assert rows["Qwen2.5 7B", "cot"].accuracy == pytest.approx(0.5506)
    assert rows["LLama3.1 70B", "longmonolog"].accuracy == pytest.approx(0.8648)
    assert {row.printed for row in medqa.published} == {""}  # the printed means are over three

    (three,) = found(*on_all_three()).models
    rows = {(row.model, row.strategy): row for row in three.published}
    assert rows["Qwen2.5 72B", "longstep"].accuracy == pytest.approx(0.7551, abs=1e-4)
    off = {key: row.printed for key, row in rows.items() if row.printed}
    assert off == {("InternLM2.5 7B", "cot"): "42.47", ("LLama3.1 70B", "cot"): "73.59"}
    assert rows["InternLM2.5 7B", "cot"].accuracy == pytest.approx(0.4274, abs=1e-4)


def test_published_strategies_of_a_model_stand_together():
    models = [row.model for row in found(sampled("medqa")).models[0].published]
    blocks = [model for place, model in enumerate(models) if place == 0 or models[place - 1] != model]
    assert len(blocks) == len(set(blocks)) == 10


@pytest.mark.parametrize("change", [{"free_form": True}, {"five_options": True}])
def test_nothing_published_stands_beside_cases_that_are_shown_otherwise(change):
    run = scored("a", [score("c0", "correct")], chosen=selection("medbullets", split="test", **change))
    assert found(run).models[0].published == ()


def test_runs_on_other_cases_are_another_plot_and_case_files_are_in_none():
    file = scored("file", [score("c0", "correct")], chosen=None)
    evaluation = found(sampled("medqa"), random_run("dev"), file)
    assert [models.items for models in evaluation.models] == [
        "MedQA test, 20 of 1,273",
        "MedQA dev, 40 of 1,272",
    ]


def test_what_is_drawn_are_the_accuracies_and_their_intervals():
    vanilla = torn(random_run("vanilla", strategy="vanilla", model="Tiny-7B"), 5)
    evaluation = found(vanilla, random_run("cot", strategy="cot", model="Tiny-7B"))
    (models,) = evaluation.models
    _, axes = sheet()
    draw_models(axes, models)

    own = [container.lines for container in axes.containers]
    assert len(own) == 2
    for (mark, caps, _), run, y in zip(own, evaluation.runs, (27, 26), strict=True):
        sign = sign_of(run.number)
        assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (pytest.approx(100 * run.accuracy.value), y)
        assert [cap.get_xdata()[0] for cap in caps] == pytest.approx(
            [100 * run.accuracy.low, 100 * run.accuracy.high]
        )
        assert (mark.get_marker(), mark.get_color()) == (sign.marker, sign.colour)
        assert mark.get_markerfacecolor() == (PAGE if run.incomplete else sign.colour)

    told = points(axes, "d")
    assert [line.get_xdata()[0] for line in told] == pytest.approx(
        [100 * row.accuracy for row in models.published]
    )
    assert [line.get_ydata()[0] for line in told] == list(range(25, 0, -1))
    assert {(line.get_color(), line.get_markerfacecolor()) for line in told} == {(MUTED, PAGE)}

    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == ["1 Tiny-7B, vanilla (incomplete)", "2 Tiny-7B, cot"]
    assert labels[2] == "published: GPT-4o, vanilla"
    assert all(label.startswith("published: ") for label in labels[2:])


def test_the_numbers_and_the_words_say_what_is_drawn():
    runs = on_all_three()
    (models,) = found(torn(runs[0], 4), *runs[1:]).models
    shown = model_plot("models", models)
    (own, *told) = shown.table.rows
    assert own[:3] == ("smollm2", "cot", "2 cot-jama; 3 cot-medbullets; 1 cot-medqa")
    assert "(incomplete)" in own[3]
    assert len(told) == 25
    assert {row[2] for row in told} == {"published"}
    assert any("its mean is printed as 73.59%" in row[5] for row in told)
    assert shown.alt.startswith("Mean accuracy by model and strategy: JAMA test, 20 of 646; ")
    assert (
        "Published, below them: 25 rows from 42.7% (InternLM2.5 7B, cot) to 88.0% (o1-preview, vanilla)"
        in shown.alt
    )
