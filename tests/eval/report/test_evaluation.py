"""The evaluation: what may be said of runs, what is compared with what, and what is never said."""

import math
from dataclasses import replace

import pytest
from scoredruns import random_run, score, scored, selection

from ddxgraph.batch.manifest import Selection
from ddxgraph.common.errors import EvaluationError
from ddxgraph.eval.report.evaluation import Evaluation, evaluate
from ddxgraph.eval.report.write import to_json
from ddxgraph.eval.scoring.judgements import Judged
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.interval import wilson
from ddxgraph.eval.statistics.paired import holm
from ddxgraph.graph.budget import Budget


def marks(name: str, verdicts: str, **fields) -> ScoredRun:
    """A run by the first letters of its verdicts, one a case; `-` is missing."""
    words = {"c": "correct", "i": "incorrect", "u": "unparsed", "a": "abstained", "e": "error"}
    scores = [score(f"c{place}", words[one]) for place, one in enumerate(verdicts) if one != "-"]
    return scored(name, scores, cases=len(verdicts), **{"chosen": selection(limit=len(verdicts)), **fields})


def whole(benchmark: str, size: int, **fields) -> Selection:
    return Selection(**{"benchmark": benchmark, "size": size, "sha256": benchmark, **fields})


def only(run: ScoredRun):
    return evaluate([run]).runs[0]


def test_unparsed_and_abstained_count_as_not_correct_and_stand_apart():
    found = only(marks("run", "cccciiuuua"))
    assert (found.correct, found.incorrect, found.unparsed, found.abstained) == (4, 2, 3, 1)
    assert found.accuracy.value == 0.4
    assert (found.accuracy.low, found.accuracy.high) == wilson(4, 10)
    assert found.accuracy.bounds is None
    assert not found.incomplete


def test_an_error_is_no_wrong_answer_but_opens_the_bounds():
    found = only(marks("run", "ccccie----"))
    assert found.incomplete
    assert dict(found.unscored) == {"missing": 4, "timeout": 1}
    assert found.accuracy.bounds == (0.4, 0.9)
    assert found.accuracy.low == wilson(4, 10).low
    assert found.accuracy.high == wilson(9, 10).high


def test_cases_that_the_users_data_lack_stay_in_the_denominator():
    found = only(marks("run", "cci", absent=1))
    assert (found.size, found.accuracy.n) == (4, 4)
    assert found.accuracy.bounds == (0.5, 0.75)


def test_samples_of_a_case_are_averaged_and_the_interval_is_over_cases():
    scores = [
        score(f"c{n}", "correct" if n < 5 or s == 0 else "incorrect", s) for n in range(10) for s in range(4)
    ]
    found = only(scored("run", scores, samples=4, chosen=selection(limit=10)))
    assert found.accuracy.value == pytest.approx((5 + 5 / 4) / 10)
    assert found.accuracy.n == 10
    assert found.accuracy.method == "bootstrap over cases"


def test_baselines_are_of_the_same_items():
    found = only(scored("run", [score(f"c{n}", "correct", gold="ABBB"[n]) for n in range(4)]))
    assert (found.majority_letter, found.majority, found.chance) == ("B", 0.75, 0.25)


def test_cost_is_of_the_traces_that_ended():
    scores = [score("c0", "correct", completion_tokens=100), score("c1", "unparsed", completion_tokens=300)]
    found = only(scored("run", [*scores, score("c2", "error", completion_tokens=10**6)]))
    assert found.cost.traces == 2
    assert (found.cost.output_tokens.mean, found.cost.output_tokens.total) == (200, 400)


def test_a_run_of_which_nothing_ended_has_bounds_and_no_cost():
    found = only(marks("run", "ee-"))
    assert found.accuracy.bounds == (0, 1)
    assert found.cost is None
    assert found.calibration is None


def test_calibration_leaves_out_what_is_no_distribution():
    scores = [
        score("c0", "correct", distribution={"A": 0.7, "B": 0.3}),
        score("c1", "incorrect", distribution={"A": 0.2, "B": 0.8}),
        score("c2", "correct", distribution={"H1": 1.0}),
        score("c3", "correct", distribution={"A": 0.7}),
        score("c4", "unparsed", distribution={"A": 1.0}),
    ]
    found = only(scored("run", scores)).calibration
    assert (found.traces, found.without) == (2, 2)
    assert found.accuracy == 0.5
    assert found.brier == pytest.approx(((0.3**2 + 0.3**2) + (0.8**2 + 0.8**2)) / 2)
    assert [point.coverage for point in found.coverage] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("chosen", "size", "items", "drawn"),
    [
        (selection(limit=3), 3, "MedQA dev, 3 of 1,272", "sampled with seed 0, options as published"),
        (whole("medqa", 3), 3, "MedQA test", "all cases, options as published"),
        (whole("jama", 3, shuffle=7), 3, "JAMA test", "all cases, options shuffled with seed 7"),
        (whole("medqa", 9, subset="step1"), 3, "MedQA test, 3 of 9", "the group step1, options as published"),
        (whole("medbullets", 3, five_options=True), 3, "Medbullets test, five options", "all cases"),
        (whole("medbullets", 3, free_form=True), 3, "Medbullets test, free-form", "all cases, without options"),
        (whole("medqa", 3, limit=5), 3, "MedQA test", "all cases, options as published"),
        (None, 3, "case file 000000000000, 3 cases", "as the file has them"),
    ],
)  # fmt: skip
def test_which_cases_in_words(chosen, size, items, drawn):
    found = only(scored("run", [score(f"c{n}", "correct") for n in range(size)], chosen=chosen))
    assert found.items == items
    assert found.drawn.startswith(drawn)


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    runs = [marks("graph", "ci"), marks("graph", "cc"), marks("cot", "ci")]
    places = ("a/graph", "b/graph", "b/cot")
    runs = [replace(run, path=tmp_path / place) for run, place in zip(runs, places, strict=True)]
    assert [run.name for run in evaluate(runs).runs] == ["a/graph", "b/graph", "cot"]
    runs[1] = replace(runs[1], path=tmp_path / "a/graph")
    assert len({run.name for run in evaluate(runs).runs}) == 3


def test_control_characters_leave_a_name():
    assert only(marks("a\nb\x1b[31m\u202ec", "ci")).name == "a b [31m c"


def test_paired_tests_are_on_the_same_cases_and_adjusted_over_all():
    runs = [marks("a", "ccccciiiii"), marks("b", "ccccccccci"), marks("c", "ciiiiiiiii")]
    made = evaluate(runs).comparisons.made
    assert [(one.a, one.b) for one in made] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = made[0]
    assert (first.n, first.only_a, first.only_b, first.difference) == (10, 0, 4, 0.4)
    assert first.p_value == pytest.approx(2 * 0.5**4)
    assert [one.p_holm for one in made] == holm([one.p_value for one in made])


def test_the_order_of_the_cases_does_not_matter():
    forward, backward = marks("a", "cciu"), marks("b", "cciu")
    backward = replace(backward, golds=dict(reversed(backward.golds.items())))
    (one,) = evaluate([forward, backward]).comparisons.made
    assert (one.only_a, one.only_b) == (0, 0)


def test_with_a_baseline_the_others_are_compared_with_it_alone():
    runs = [marks(name, "cciu") for name in "abc"]
    found = evaluate(runs, baseline=runs[1])
    assert found.baseline == "b"
    assert [(one.a, one.b) for one in found.comparisons.made] == [("b", "a"), ("b", "c")]
    with pytest.raises(EvaluationError, match="none of the runs"):
        evaluate(runs[:1], baseline=runs[1])


def test_unscored_cases_are_left_out_of_a_comparison_which_then_claims_nothing():
    runs = [marks("a", "i" * 20 + "i"), marks("b", "c" * 20 + "e")]
    found = evaluate(runs)
    (one,) = found.comparisons.made
    assert (one.n, one.left_out) == (20, 1)
    assert one.p_holm < 0.001
    assert not one.significant
    assert "not significant" in " ".join(found.headline)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"benchmark": "jama"}, "two benchmarks"),
        ({"split": "test"}, "two splits"),
        ({"five_options": True}, "one with four options, the other with five"),
        ({"free_form": True}, "one with options, the other free-form"),
        ({"sha256": "other"}, "read from two different files"),
    ],
)
def test_runs_on_other_items_are_not_compared(change, why):
    runs = [marks("a", "cciu"), marks("b", "cciu", chosen=selection(limit=4, **change))]
    found = evaluate(runs).comparisons
    assert not found.made
    assert [one.why for one in found.not_made] == [why]


def test_other_cases_and_other_gold_answers_are_not_compared():
    a = marks("a", "cciu")
    more, other = marks("b", "cciuc"), scored("c", [score(f"c{n}", "correct", gold="B") for n in range(4)],
                                              chosen=selection(limit=4))  # fmt: skip
    a_more = evaluate([a, more]).comparisons.not_made[0].why
    assert a_more == "other cases: 4 in both, 0 in the first only, 1 in the second only"
    assert "another gold answer" in evaluate([a, other]).comparisons.not_made[0].why
    file = marks("file", "cciu", chosen=None)
    assert "case file" in evaluate([a, file]).comparisons.not_made[0].why


def test_a_shuffled_run_is_compared_by_what_the_options_say():
    plain = scored("plain", [score(f"c{n}", "correct") for n in range(4)], chosen=selection(limit=4))
    turned = scored(
        "turned",
        [
            score(
                f"c{n}",
                "correct" if n < 3 else "incorrect",
                gold="B",
                choice="option A" if n < 3 else "option C",
            )
            for n in range(4)
        ],
        chosen=selection(limit=4, shuffle=1),
    )
    turned = replace(turned, options={key: {"A": "option B", "B": "option A"} for key in turned.golds})
    found = evaluate([plain, turned]).comparisons
    assert found.made[0].difference == -0.25
    (one,) = found.shuffles
    assert (one.n, one.changed, one.share, one.difference) == (4, 1, 0.25, -0.25)
    cot = marks("cot", "cccc", chosen=selection(limit=4, shuffle=2), strategy="cot")
    assert not evaluate([plain, cot]).comparisons.shuffles


def three(**fields) -> list[ScoredRun]:
    """A configuration on the three whole test splits."""
    return [
        marks("jama", "cccciiiiii", chosen=whole("jama", 10), **fields),
        marks("medbullets", "ccci", chosen=whole("medbullets", 4), **fields),
        marks("medqa", "cc", chosen=whole("medqa", 2), **fields),
    ]


def test_the_mean_is_weighted_by_the_benchmarks_sizes():
    (row,) = evaluate(three()).table.rows
    assert row.mean.value == pytest.approx((4 + 3 + 2) / 16)
    assert row.mean.low < row.mean.value < row.mean.high
    assert all(not cell.marks for cell in row.cells.values())


@pytest.mark.parametrize(
    ("instead", "mark"),
    [
        (marks("medqa", "cc", chosen=selection(limit=2)), None),
        (marks("medqa", "cc", chosen=whole("medqa", 9, limit=2)), None),
        (marks("medqa", "c-", chosen=whole("medqa", 2)), "incomplete: 1 of 2 unscored"),
    ],
)
def test_there_is_no_mean_without_three_whole_complete_test_splits(instead, mark):
    rows = evaluate([*three()[:2], instead]).table.rows
    assert all(row.mean is None for row in rows)
    cell = next(row.cells["medqa"] for row in rows if "medqa" in row.cells)
    assert cell.marks == (mark or (instead and only(instead).items),)
    assert not next(row.cells["jama"] for row in rows if "jama" in row.cells).marks


def test_samples_of_three_benchmarks_share_a_row_and_have_no_mean():
    names = ("jama", "medbullets", "medqa")
    (row,) = evaluate([marks(name, "cc", chosen=whole(name, 9, limit=2)) for name in names]).table.rows
    assert row.mean is None
    assert [cell.marks for cell in row.cells.values()] == [
        ("JAMA test, 2 of 9",),
        ("Medbullets test, 2 of 9",),
        ("MedQA test, 2 of 9",),
    ]


def test_other_settings_are_another_row_and_so_is_the_same_run_again():
    runs = [*three(), marks("again", "cc", chosen=whole("medqa", 2)), marks("cot", "cc", strategy="cot")]
    rows = evaluate(runs).table.rows
    assert sorted(len(row.cells) for row in rows) == [1, 1, 3]


def test_published_rows_stand_beside_with_what_does_not_add_up():
    table = evaluate([marks("a", "ci")]).table
    assert len(table.published) == 25
    assert all(set(row.cells) == {"jama", "medbullets", "medqa"} for row in table.published)
    told = {note for row in table.published for note in row.notes}
    assert told == set(range(1, len(table.footnotes) + 1))


def test_votes_are_a_curve_of_one_run():
    run = random_run("cot", samples=5, strategy="cot")
    found = evaluate([run]).curves[0]
    (curve,) = found.scaling
    assert curve.kind == "vote"
    assert [point.label for point in curve.points] == [f"cot, vote@{k}" for k in (1, 2, 4, 5)]
    assert curve.points[0].accuracy == pytest.approx(
        only(random_run("cot", samples=5, strategy="cot")).accuracy.value
    )
    assert curve.points[3].tokens == pytest.approx(5 * curve.points[0].tokens)
    assert not found.notes


def test_votes_of_an_incomplete_run_say_so():
    run = random_run("cot", samples=4)
    lost = scored("cot", run.scores[:-2], cases=40, samples=4, chosen=run.manifest.selection,
                  golds={key: gold.answer for key, gold in run.golds.items()})  # fmt: skip
    found = evaluate([lost]).curves[0]
    assert [point.incomplete for point in found.scaling[0].points] == [True, True]
    assert "2 of 160 samples are unscored" in found.notes[0]


def test_a_judged_run_casts_no_votes():
    run = random_run("cot", samples=4)
    run = replace(run, judged=Judged("d", "m", None, "p", 1, 1, {}, 0, 0, 1, 0, 1, 1, 1))
    found = evaluate([run])
    assert [curve.kind for curve in found.curves[0].scaling] == ["single"]
    assert "judge" in found.curves[0].notes[0]
    assert found.runs[0].judge.model == "m"


def test_growing_budgets_are_a_curve_by_cost():
    runs = [
        random_run("big", tokens=900, budget=Budget(max_calls=64)),
        random_run("small", tokens=300, budget=Budget(max_calls=12)),
        random_run("cot", tokens=300, strategy="cot"),
    ]
    budget, single = evaluate(runs).curves[0].scaling
    assert (budget.kind, budget.runs) == ("budget", (2, 1))
    assert budget.points[0].label.startswith("small: 200,000 tokens, 12 calls")
    assert (single.kind, single.runs) == ("single", (3,))


def test_difficulty_is_of_one_configuration_on_several_benchmarks():
    (line,) = evaluate([*three(), marks("dev", "ci", strategy="cot")]).difficulty
    assert [point.items for point in line.points] == ["JAMA test", "Medbullets test", "MedQA test"]


def test_runs_on_samples_that_differ_are_not_drawn_together():
    a, b = marks("a", "cciu"), marks("b", "cciu", chosen=selection(limit=4, limit_seed=1))
    b = replace(b, golds={f"d{n}": gold for n, gold in enumerate(b.golds.values())})
    b = replace(b, scores=[])
    b = replace(b, missing=4)
    assert [found.items for found in evaluate([a, b]).curves] == [
        "MedQA dev, 4 of 1,272",
        "MedQA dev, 4 of 1,272 (set 2)",
    ]


def test_a_free_form_run_has_no_letters_and_no_baselines():
    scores = [
        score(f"c{n}", "correct" if n else "incorrect", s, gold="The flu", answer="flu", choice="flu")
        for n in range(3)
        for s in range(2)
    ]
    run = scored("free", scores, samples=2, options=False, chosen=whole("medqa", 3, free_form=True))
    found = evaluate([run])
    assert found.runs[0].free_form
    assert (found.runs[0].letters, found.runs[0].majority, found.runs[0].chance) == (None, None, None)
    assert found.curves[0].scaling[0].points[1].accuracy == 1.0  # gold is normalised as the votes are


def test_the_evaluation_survives_json_and_is_the_same_every_time():
    def once() -> Evaluation:
        return evaluate(
            [random_run("a", samples=3), marks("b", "ccie-"), random_run("c", strategy="cot")], seed=4
        )

    text = to_json(once())
    assert text == to_json(once())
    again = Evaluation.model_validate_json(text)
    assert again == once()
    assert again.headline == once().headline


def test_the_headline_names_what_is_incomplete_first_by_its_bounds():
    said = evaluate([marks("whole", "cciu"), marks("torn", "cce-")]).headline
    assert "whole 50.0% correct" in said[0]
    assert "torn INCOMPLETE, between 50.0 and 100.0% correct" in said[0]
    assert said[-1].startswith("INCOMPLETE: of torn, 2 of 4 traces are unscored (1 missing, 1 timeout)")


def test_the_headline_says_how_much_was_unparsed():
    said = evaluate([marks("mute", "cuui"), marks("clear", "ciii")]).headline[0]
    assert "mute 25.0% correct (95% interval 4.6 to 69.9; 2 of 4 unparsed)" in said
    assert said.count("unparsed") == 1


def test_of_many_runs_the_headline_names_complete_ones():
    runs = [marks("low", "ciii"), marks("high", "ccci"), marks("mid", "ccii"), marks("torn", "----")]
    said = evaluate(runs).headline[0]
    assert "4 runs, 3 of them complete, from low 25.0%" in said
    assert "to high 75.0%" in said


def test_nothing_to_evaluate():
    with pytest.raises(EvaluationError, match="at least one"):
        evaluate([])
    with pytest.raises(EvaluationError, match="no case"):
        evaluate([scored("empty", [])])


def test_every_figure_is_finite():
    found = evaluate([random_run("a", samples=2), marks("b", "ee"), marks("c", "ci")])

    def numbers(tree):
        if isinstance(tree, dict):
            tree = tree.values()
        elif not isinstance(tree, list | tuple):
            return [tree] if isinstance(tree, float) else []
        return [number for branch in tree for number in numbers(branch)]

    found_numbers = numbers(found.model_dump())
    assert len(found_numbers) > 100
    assert all(map(math.isfinite, found_numbers))
