"""The rounds of a loop: their order, what stops them, and that nothing is done twice."""

import shutil

import pytest
from loops import CONFIG, LIVE, STAGES, Bench, Told, go, summary_of, trace_ids, write_loop

from ddxgraph import Sampling
from ddxgraph.batch.manifest import Manifest
from ddxgraph.common.errors import LoopUnfinished, RunFolderError
from ddxgraph.common.files import read_json
from ddxgraph.training.loop.keep import Decision
from ddxgraph.training.loop.stages import Proof
from ddxgraph.training.sets.samples import read_samples

DEAD = Proof(live=False, verdict="ignored", message="it answers as its base model does")


@pytest.fixture
def loop(tmp_path):
    return write_loop(tmp_path)


def manifest(folder) -> Manifest:
    return Manifest.model_validate_json((folder / "run.json").read_bytes())


def test_two_rounds_take_every_stage_in_order(loop):
    bench, told = Bench(), Told()
    ended = go(loop, bench, told)
    assert ended == ("done", "2 rounds are done, and the adapter of each was kept")
    assert (told.begun, told.there) == (STAGES, [])
    folder = loop.with_suffix("")
    assert {path.name for path in (folder / "round-01").iterdir()} == {
        "run",
        "journeys",
        "adapter",
        "liveness.json",
        "evaluation",
        "decision.json",
    }
    assert read_json(folder / "round-02" / "liveness.json", Proof) == LIVE
    ids = trace_ids(folder)
    assert len(set(ids)) == len(ids) == 2 * 4 + 3 * 8


def test_each_round_generates_with_the_adapter_that_was_kept_last(loop):
    bench = Bench()
    go(loop, bench)
    folder = loop.with_suffix("")
    made = [manifest(folder / name / "run").provenance.adapter for name in ("round-01", "round-02")]
    judged = [manifest(folder / name).provenance.adapter for name in ("base", "round-01/evaluation")]
    assert (made, judged) == ([None, "round-01"], [None, "round-01"])
    assert bench.starts == {"round-01": None, "round-02": "round-01"}
    assert manifest(folder / "base").provenance.sampling == Sampling(temperature=0, seed=0).as_kwargs()


def test_from_the_base_each_round_trains_a_fresh_adapter(tmp_path):
    bench = Bench()
    go(write_loop(tmp_path, CONFIG.replace("rounds = 2", 'rounds = 2\nstart = "base"')), bench)
    assert bench.starts == {"round-01": None, "round-02": None}


def test_the_second_time_there_is_nothing_to_do(loop):
    first = go(loop, Bench())
    bench, told = Bench(), Told()
    assert go(loop, bench, told) == first
    assert told.begun == []
    assert not bench.calls
    assert not bench.requests


@pytest.mark.parametrize("stage", STAGES)
def test_broken_off_in_any_stage_the_loop_goes_on_there(loop, stage):
    bench = Bench()
    with pytest.raises(KeyboardInterrupt):
        go(loop, bench, Told(break_at=stage))
    told = Told()
    assert go(loop, bench, told).state == "done"
    assert told.begun == rest(stage)
    assert bench.calls["train round-01"] == bench.calls["train round-02"] == 1
    ids = trace_ids(loop.with_suffix(""))
    assert len(set(ids)) == len(ids) == 2 * 4 + 3 * 8


def rest(stage: str) -> list[str]:
    """What is left to do from a stage on. A model is served anew for it; and as a proof of an earlier process is
    none, an adapter is proven again before it is used."""
    where, name = stage.split(": ")
    first = STAGES.index(f"{where}: serve" if name in {"verify", "evaluate"} else stage)
    unproven = STAGES.index("round 1: verify") < first <= STAGES.index("round 2: generate")
    lines = []
    for line in STAGES[first:]:
        lines.append(line)
        if line == "round 2: generate" and unproven:
            lines.append("round 2: verify")
    return lines


@pytest.mark.parametrize("call", ["serve base", "train round-01", "serve round-01", "verify round-01"])
def test_what_breaks_in_the_workshop_is_tried_again(loop, call):
    bench = Bench(breaks=[call])
    with pytest.raises(ConnectionError, match=call):
        go(loop, bench)
    assert go(loop, bench).state == "done"


@pytest.mark.parametrize("requests", [1, 3, 9, 20, 45])
def test_ctrl_c_in_the_middle_of_a_run_keeps_what_has_ended(loop, requests):
    bench = Bench(interrupted_after=requests)
    with pytest.raises(KeyboardInterrupt):
        go(loop, bench)
    kept = trace_ids(loop.with_suffix(""))
    assert go(loop, bench).state == "done"
    ids = trace_ids(loop.with_suffix(""))
    assert len(set(ids)) == len(ids) == 2 * 4 + 3 * 8
    assert set(kept) <= set(ids)


def test_an_adapter_that_is_shown_worse_stops_the_loop(loop):
    told = Told()
    ended = go(loop, Bench({"round-01": 0}), told)
    assert ended.state == "stopped"
    assert ended.why.startswith("round 1: the adapter is not kept: it is worse: −100.0 points against base")
    assert not [line for line in told.begun if line.startswith("round 2")]
    again = Told()
    assert go(loop, Bench(), again) == ended
    assert again.begun == []


def test_the_second_round_is_held_against_the_first(loop):
    ended = go(loop, Bench({"base": 2, "round-01": 8, "round-02": 1}))
    assert ended.why.startswith("round 2: the adapter is not kept")
    decision = read_json(loop.with_suffix("") / "round-02" / "decision.json", Decision)
    assert (decision.comparison.a, decision.comparison.b) == ("round-01", "round-02")
    assert summary_of(loop, ended).kept == "round-01/adapter"


def test_an_adapter_that_is_not_in_force_is_never_evaluated(loop):
    bench = Bench(proofs={"round-01": DEAD})
    ended = go(loop, bench)
    assert ended.state == "stopped"
    assert "is not proven to be in force (ignored)" in ended.why
    assert DEAD.message in ended.why
    assert not (loop.with_suffix("") / "round-01" / "evaluation").exists()
    assert read_json(loop.with_suffix("") / "round-01" / "liveness.json", Proof) == DEAD
    mended = Told()
    assert go(loop, Bench(), mended).state == "done"
    assert mended.begun[0] == "round 1: serve"


def test_an_adapter_that_died_between_two_rounds_is_found_out_before_it_generates(loop):
    bench = Bench()
    with pytest.raises(KeyboardInterrupt):
        go(loop, bench, Told(break_at="round 2: generate"))
    ended = go(loop, Bench(proofs={"round-01": DEAD}))
    assert ended.why.startswith("round 2: ")
    assert not (loop.with_suffix("") / "round-02" / "run").exists()
    # What is known of the round in which it was evaluated stays.
    assert read_json(loop.with_suffix("") / "round-01" / "liveness.json", Proof) == LIVE


def test_where_no_journey_is_accepted_the_loop_says_why(loop):
    wrong = Bench(answers=lambda number, sample: "ABCD"[(number + 1) % 4])
    ended = go(loop, wrong)
    assert ended.state == "stopped"
    assert "no journey of 4 was accepted: 4 because the answer is not the gold one" in ended.why
    assert str(loop.with_suffix("") / "round-01" / "journeys" / "gate.md") in ended.why
    assert not wrong.calls["train round-01"]
    again = Told()
    assert go(loop, wrong, again) == ended
    assert again.begun == ["round 1: journeys"]


def test_journeys_for_validation_alone_are_nothing_to_train_on(tmp_path):
    text = CONFIG.replace("[gate.split]\nenabled = false", "[gate.split]\nvalidation_share = 1.0")
    ended = go(write_loop(tmp_path, text), Bench())
    assert "4 journeys accepted, but all of them are for validation" in ended.why


def test_an_evaluation_with_failures_decides_nothing_and_is_tried_again(loop):
    class Failing(Bench):
        def _model(self, name):
            model = super()._model(name)
            if name == "round-01" and self.calls["serve round-01"] == 1:
                model.script["generate"] = ValueError("no such thing")
            return model

    bench = Failing()
    with pytest.raises(LoopUnfinished, match=r"round 1: evaluate: 8 of 8 traversals .* are unscored"):
        go(loop, bench)
    assert not (loop.with_suffix("") / "round-01" / "decision.json").exists()
    assert go(loop, bench).state == "done"


def test_few_failures_of_the_generation_are_allowed_and_many_are_not(tmp_path):
    class Failing(Bench):
        def _model(self, name):
            model = super()._model(name)
            conclude = model.script["conclude"]

            def line(request):
                return (
                    ValueError("no such thing")
                    if "Patient 3." in str(request.messages[1])
                    else conclude(request)
                )

            model.script["conclude"] = line
            return model

    with pytest.raises(LoopUnfinished, match=r"1 of 4 traversals .*allow_failed under \[generate\]"):
        go(write_loop(tmp_path / "few"), Failing())
    text = CONFIG.replace("[generate]", "[generate]\nallow_failed = 0.25")
    allowed = write_loop(tmp_path / "many", text)
    assert go(allowed, Failing()).state == "done"
    samples = list(
        read_samples(allowed.with_suffix("") / "round-01" / "journeys" / "train.jsonl", "messages")
    )
    assert {record.meta.case for record in samples} == {"case-0", "case-1", "case-2"}


def test_an_engine_that_is_gone_ends_the_loop_with_what_to_do(loop):
    class Gone(Bench):
        def _model(self, name):
            model = super()._model(name)
            model.script["generate"] = ValueError("gone")
            return model

    text = CONFIG.replace("[evaluate]", "[evaluate]\nsamples = 3")
    loop.write_text(text)
    with pytest.raises(LoopUnfinished, match=r"base: evaluate: .*the same command"):
        go(loop, Gone())


def test_runs_that_were_brought_along_are_taken_up_where_they_still_hold(loop):
    go(loop, Bench())
    other = loop.parent / "other"
    for name in ("base", "round-01/run"):
        shutil.copytree(loop.with_suffix("") / name, other / name)
    loop.write_text(CONFIG.replace("[journeys]", "[keep]\nalpha = 0.1\n[journeys]"))
    bench = Bench()
    assert go(loop, bench, out=other).state == "done"
    assert bench.calls["serve base"] == 2
    assert trace_ids(other / "base") == trace_ids(loop.with_suffix("") / "base")
    assert trace_ids(other / "round-01" / "run") == trace_ids(loop.with_suffix("") / "round-01" / "run")


def test_a_run_that_was_brought_along_and_is_another_is_refused(loop):
    go(loop, Bench())
    shutil.copytree(loop.with_suffix("") / "base", loop.parent / "other" / "base")
    loop.write_text(CONFIG.replace('strategy = "cot"', 'strategy = "longstep"'))
    with pytest.raises(RunFolderError, match=r"strategy\.name was cot, now longstep"):
        go(loop, Bench(), out=loop.parent / "other")


def test_more_rounds_may_be_asked_for_later(loop):
    loop.write_text(CONFIG.replace("rounds = 2", "rounds = 1"))
    assert go(loop, Bench()).why == "the round is done, and its adapter was kept"
    loop.write_text(CONFIG)
    told = Told()
    assert go(loop, Bench(), told).state == "done"
    assert told.begun[:2] == ["round 2: generate", "round 2: verify"]


def test_no_gold_answer_reaches_a_prompt(loop):
    """Every gold letter is known to the scorer alone: two loops whose keys differ ask the same."""
    asked = []
    for turn in range(2):
        bench = _Asking()
        rows = loop.parent / "validation.jsonl"
        if turn:
            rows.write_text(rows.read_text().replace('"answer": "A"', '"answer": "B"'))
        go(loop, bench, out=loop.parent / f"turn-{turn}")
        asked.append(sorted(bench.asked))
    assert asked[0] == asked[1]


class _Asking(Bench):
    def __init__(self):
        super().__init__()
        self.asked = []

    def _counted(self, line):
        def counted(request):
            self.asked.append("".join(str(message.content) for message in request.messages))
            return line(request)

        return counted
