"""An experiment from end to end with scripted students: what is made, what goes on after a stop, what it says."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from experiments import CONFIG, RIGHT, Bench, go, made_up_benchmark, samples, write_experiment
from loops import Told

from ddxgraph.batch.folder import TRACES
from ddxgraph.batch.tracefile import read_traces
from ddxgraph.common.errors import LoopError
from ddxgraph.eval.scoring.run import score_run
from ddxgraph.experiment.weighing import weighing
from ddxgraph.training.loop.stages import Proof

ARMS = ("longstep", "longmonolog", "shortcut", "cot", "graph", "shortcut-equal-tokens", "cot-equal-tokens")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("experiment")
        made_up_benchmark(folder / "cache", patch)
        path, bench, told = write_experiment(folder), Bench(), Told()
        summary = go(path, bench, told)
        yield path, bench, told, summary


def test_every_arm_is_trained_proven_and_tested_under_every_seed(done):
    path, bench, _, summary = done
    for arm in (*ARMS, "graph-second-round"):
        assert bench.calls[f"train {arm}"] == 2
        for seed in (0, 1):
            place = path.with_suffix("") / f"seed-{seed}" / arm
            assert json.loads((place / "liveness.json").read_text())["live"]
            assert len(list(read_traces(place / "test" / "level-1" / TRACES))) == 12
    assert len(summary.arms) == 1 + 2 * (len(ARMS) + 1)
    assert bench.starts["graph-second-round"] == "graph"
    assert {bench.starts[arm] for arm in ARMS} == {None}
    assert bench.rates["graph-second-round"] == 2e-5
    assert {bench.rates[arm] for arm in ARMS} == {None}


def test_the_styles_are_told_of_the_same_cases(done):
    path, *_ = done
    sets = [
        {sample.meta.case for sample in samples(_journeys(path, arm))}
        for arm in ("longstep", "longmonolog", "shortcut", "cot", "graph")
    ]
    assert len(sets[0]) == 4 * 6
    assert all(one == sets[0] for one in sets)


def test_equal_tokens_are_had_by_more_cases(done):
    path, *_, summary = done
    tokens = {one.name: one.training.tokens for one in summary.arms if one.seed == 0}
    for style in ("shortcut", "cot"):
        assert tokens[style] < 0.8 * tokens["longstep"]
        assert tokens[f"{style}, equal tokens"] == pytest.approx(tokens["longstep"], rel=0.1)
        plain = {sample.meta.case for sample in samples(_journeys(path, style))}
        assert plain < {sample.meta.case for sample in samples(_journeys(path, f"{style}-equal-tokens"))}


def test_no_case_that_is_tested_was_trained_on(done):
    path, *_ = done
    place = path.with_suffix("")
    trained = {s.meta.case for file in place.rglob("train.jsonl") for s in samples(file)}
    tested = {
        trace.case.id for run in place.glob("seed-*/*/test/level-*") for trace in read_traces(run / TRACES)
    }
    assert len(tested) == 4 * 12
    assert not trained & tested


def test_seeds_draw_other_cases_and_are_tested_on_the_same(done):
    path, *_ = done
    first, second = (
        {sample.meta.case for sample in samples(_journeys(path, "longstep", seed))} for seed in (0, 1)
    )
    assert first != second


def test_journeys_tell_the_teachers_wrong_turns_and_no_answer_key_made_them(done):
    path, *_, summary = done
    told = [sample.meta for sample in samples(_journeys(path, "longstep"))]
    assert any(meta.told_backtracks for meta in told)
    assert {name for meta in told for name, count in meta.triggers.items() if count} == {"self"}
    training = next(one.training for one in summary.arms if (one.seed, one.name) == (0, "longstep"))
    assert training.backtracking == sum(meta.told_backtracks > 0 for meta in told)


def test_accuracies_are_those_of_the_traces(done):
    *_, summary = done
    for one in summary.arms:
        assert one.accuracy.of == 48
        assert one.accuracy.count == sum(level.accuracy.count for level in one.levels)
    by_name = {one.name: one.accuracy.value for one in summary.arms if one.seed == 0}
    assert by_name["graph"] == 1.0, "the teacher itself sits in the graph's place"
    for style, right in RIGHT.items():
        name = "base, answering straight" if style == "base" else style
        found = next(one.accuracy for one in summary.arms if one.name == name)
        assert found.low - 0.1 <= right / 12 <= found.high + 0.1


def test_recovery_is_counted_from_the_first_weighing(done):
    *_, summary = done
    graph = next(one.weighing for one in summary.arms if one.name == "graph")
    assert graph.wrong_first.count > 0
    assert graph.recovered.of == graph.wrong_first.count
    assert graph.recovered.value == 1.0
    assert all(one.weighing is None for one in summary.arms if one.style != "graph")


def test_a_check_is_exact_where_it_says_of_each_finding_what_the_card_says(done, tmp_path):
    """The teacher errs in one check of a case at most, and whenever it does, a wrong candidate leads."""
    path, *_, summary = done
    graph = next(one.weighing for one in summary.arms if one.name == "graph")
    assert graph.exact.of > 2 * 48
    assert graph.exact.of - graph.exact.count == graph.wrong_first.count

    run = score_run(path.with_suffix("") / "seed-0" / "graph" / "test" / "level-1")
    whole, swapped = weighing([run]), 0
    traces = [json.loads(line) for line in (run.path / TRACES).read_text().splitlines()]
    for trace in traces:
        first = next(step["output"] for step in trace["steps"] if step["node"] == "check_evidence")
        weighed = [one for one in first["weights"] if one["strength"]]
        swapped += bool(weighed)
        for one in weighed:
            one["finding"] = "F0"  # the case as a whole: on no card
    (tmp_path / TRACES).write_text("".join(json.dumps(trace) + "\n" for trace in traces))
    found = weighing([replace(run, path=tmp_path)])
    assert swapped > 6
    assert found.exact.of == whole.exact.of
    assert whole.exact.count - swapped <= found.exact.count < whole.exact.count
    assert found.recovered == whole.recovered


def test_votes_and_budgets_are_over_the_same_cases_and_count_prompts(done):
    *_, summary = done
    for seed in (0, 1):
        votes, budgets = [one for one in summary.spending if one.seed == seed]
        assert [point.label for point in votes.points] == [f"shortcut, vote@{k}" for k in (1, 2, 3)]
        assert len(budgets.points) == 3
        assert votes.points[2].tokens == pytest.approx(3 * votes.points[0].tokens)
        assert [point.tokens for point in budgets.points] == sorted(point.tokens for point in budgets.points)


def test_targets_are_judged_for_each_seed(done):
    *_, summary = done
    wanted = {target.wanted.split(" ", 1)[0] for target in summary.targets if target.seed == 1}
    assert wanted == {"longstep", "longmonolog", "the"}
    rising = [target for target in summary.targets if "grows with the level" in target.wanted]
    assert [target.met for target in rising] == [True] * 4
    gains = [target for target in summary.targets if "beats shortcut by" in target.wanted]
    assert not any(target.met for target in gains), "48 cases are too few, whatever the difference"


def test_the_summary_is_written_with_its_pictures(done):
    path, *_ = done
    place = path.with_suffix("")
    page = (place / "summary.md").read_text()
    assert "| 0 | longstep beats shortcut by 10 points" in page
    for name in ("arms", "levels-seed-0", "spending-seed-0", "levels-seed-1", "spending-seed-1"):
        assert f"]({name}.svg)" in page
        assert (place / f"{name}.svg").read_text().startswith("<?xml")
    told = json.loads((place / "summary.json").read_text())
    assert told["seeds"] == [0, 1]
    assert "python" not in told["config"]["engine"], (
        "a summary may be published: it names no place on a machine"
    )
    journeys = place / "seed-1" / "longstep" / "journeys" / "train.jsonl"
    assert hashlib.sha256(journeys.read_bytes()).hexdigest()[:12] in page


def test_the_rows_of_a_table_of_the_summary_have_as_many_cells(done):
    path, *_ = done
    blocks = (path.with_suffix("") / "summary.md").read_text().split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("| Seed")]
    assert len(tables) == 6
    for rows in tables:
        assert len(rows) > 2
        assert {row.count("|") for row in rows} == {rows[0].count("|")}, rows[0]


def test_done_it_does_nothing_again(done):
    path, _, _, summary = done
    bench = Bench()
    assert go(path, bench) == summary
    assert not bench.calls


def test_broken_off_in_any_stage_it_goes_on_to_the_same_end(tmp_path, monkeypatch):
    made_up_benchmark(tmp_path / "cache", monkeypatch)
    few = 'seeds = [0]\nlevels = [1]\nstyles = ["longstep", "shortcut", "graph"]\nequal_tokens = ["shortcut"]'
    small = CONFIG.replace('seeds = [0, 1]\nequal_tokens = ["shortcut", "cot"]', few)
    whole = write_experiment(tmp_path, small)
    told = Told()
    expected = go(whole, Bench(), told)
    (tmp_path / "again").mkdir()
    path, bench = write_experiment(tmp_path / "again", small), Bench()
    for line in dict.fromkeys(told.begun):
        with pytest.raises(KeyboardInterrupt):
            go(path, bench, Told(break_at=line))
    assert go(path, bench) == expected
    assert {count for call, count in bench.calls.items() if call.startswith("train")} == {1}


def test_an_adapter_that_is_not_in_force_is_never_tested(tmp_path, monkeypatch):
    made_up_benchmark(tmp_path / "cache", monkeypatch)
    path = write_experiment(tmp_path, CONFIG)
    ignored = Proof(live=False, verdict="ignored", message="it is not applied")
    with pytest.raises(LoopError, match=r"seed 0, shortcut: .*not proven to be in force \(ignored\)"):
        go(path, Bench({"shortcut": ignored}))
    assert not (path.with_suffix("") / "seed-0" / "shortcut" / "test").exists()


def test_another_experiments_folder_is_refused(tmp_path, monkeypatch):
    made_up_benchmark(tmp_path / "cache", monkeypatch)
    path = write_experiment(tmp_path, CONFIG)
    with pytest.raises(KeyboardInterrupt):
        go(path, Bench(), Told(break_at="seed 0: teach, level 2"))
    path.write_text(CONFIG.replace("misread = 0.5", "misread = 0.4"))
    with pytest.raises(
        LoopError, match=r"is another experiment: config\.teacher\.misread was 0\.5, now 0\.4"
    ):
        go(path, Bench())


def test_a_finished_experiment_takes_on_another_seed_vote_and_budget_and_does_nothing_again(
    tmp_path, monkeypatch
):
    made_up_benchmark(tmp_path / "cache", monkeypatch)
    small = CONFIG.replace("seeds = [0, 1]", "seeds = [0]")
    path = write_experiment(tmp_path, small)
    before = go(path, Bench())
    more = small.replace('vote = ["shortcut"]', 'vote = ["shortcut", "cot"]').replace(
        "[1500, ", "[1500, 2500, "
    )
    path.write_text(more)
    bench = Bench()
    after = go(path, bench)
    assert bench.calls == {"serve cot": 1, "verify cot": 1, "serve graph": 1, "verify graph": 1}
    assert after.arms == before.arms
    labels = {point.label for curve in after.spending for point in curve.points}
    assert {"cot, vote@2", "graph, 2,500 tokens"} <= labels
    path.write_text(more.replace("seeds = [0]", "seeds = [0, 1]"))
    bench = Bench()
    assert go(path, bench).seeds == (0, 1)
    assert bench.calls["train longstep"] == 1, "of the other seed"


def _journeys(path: Path, arm: str, seed: int = 0) -> Path:
    return path.with_suffix("") / f"seed-{seed}" / arm / "journeys" / "train.jsonl"
