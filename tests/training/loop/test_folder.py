"""The folder of a loop: one loop, one process, products whole or not there."""

import subprocess
import sys

import pytest

from ddxgraph.common.errors import LoopError
from ddxgraph.common.files import read_json, write_json
from ddxgraph.training.loop.cases import CaseDigest
from ddxgraph.training.loop.config import LoopConfig
from ddxgraph.training.loop.folder import LoopManifest, open_loop
from ddxgraph.training.loop.stages import Proof

CASES = CaseDigest(count=4, sha256="0" * 64)


def wanted(cases: CaseDigest = CASES, **config) -> LoopManifest:
    return LoopManifest.of(LoopConfig.model_validate(config), cases, CASES)


def test_a_loop_is_found_again(tmp_path):
    with open_loop(tmp_path / "loop", wanted()) as made:
        assert made.base == tmp_path / "loop" / "base"
    before = (tmp_path / "loop" / "loop.json").read_bytes()
    with open_loop(tmp_path / "loop", wanted()) as found:
        assert found.manifest.created_at == made.manifest.created_at
    assert (tmp_path / "loop" / "loop.json").read_bytes() == before


def test_a_changed_loop_is_refused_with_every_changed_field(tmp_path):
    with open_loop(tmp_path, wanted()):
        pass
    other = wanted(
        CaseDigest(count=5, sha256="1" * 64),
        generate={"samples": 5},
        keep={"alpha": 0.1},
        gate={"seed": 1},
        train={"lora": {"rank": 8}},
    )
    with pytest.raises(LoopError, match="is another loop") as refused, open_loop(tmp_path, other):
        pass
    for said in (
        "config.gate.seed was 0, now 1",
        "config.generate.samples was 3, now 5",
        "config.keep.alpha was 0.05, now 0.1",
        "config.train.lora.rank was 16, now 8",
        "generate.count was 4, now 5",
        "Nothing was changed",
    ):
        assert said in str(refused.value)


def test_rounds_engine_and_concurrency_may_change_on_the_way(tmp_path):
    with open_loop(tmp_path, wanted()):
        pass
    more = wanted(
        rounds=9,
        engine={"base_url": "http://127.0.0.1:1/v1"},
        generate={"concurrency": 3},
        evaluate={"concurrency": 4},
    )
    with open_loop(tmp_path, more) as found:
        assert found.manifest.config == more.config


def test_rounds_have_places_of_their_own(tmp_path):
    with open_loop(tmp_path, wanted()) as loop:
        place = loop.round(3)
    assert (place.name, place.number) == ("round-03", 3)
    assert place.adapter == tmp_path / "round-03" / "adapter"
    assert {path.name for path in (place.run, place.journeys, place.evaluation)} == {
        "run",
        "journeys",
        "evaluation",
    }


def test_what_is_no_loop_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with (
        pytest.raises(LoopError, match=r"other files than a loop \(thesis.tex\)"),
        open_loop(tmp_path, wanted()),
    ):
        pass
    assert not (tmp_path / "loop.json").exists()


def test_runs_of_another_loop_may_be_brought_along(tmp_path):
    (tmp_path / "round-01" / "run").mkdir(parents=True)
    (tmp_path / "base").mkdir()
    with open_loop(tmp_path, wanted()) as loop:
        assert loop.round(1).run.is_dir()


@pytest.mark.parametrize("name", ["journeys", "adapter", "decision.json"])
def test_other_products_of_another_loop_may_not(tmp_path, name):
    (tmp_path / "round-01" / name).mkdir(parents=True)
    with pytest.raises(LoopError, match=f"round-01/{name}"), open_loop(tmp_path, wanted()):
        pass


def test_a_run_is_at_its_end_for_the_loop_that_brought_it_there(tmp_path):
    run = tmp_path / "one" / "base"
    run.mkdir(parents=True)
    with open_loop(tmp_path / "one", wanted()) as loop:
        assert not loop.is_stamped(run)
        loop.stamp(run)
        assert loop.is_stamped(run)
    with open_loop(tmp_path / "one", wanted(rounds=7)) as again:
        assert again.is_stamped(run)
    with open_loop(tmp_path / "two", wanted(keep={"alpha": 0.2})) as other:
        assert not other.is_stamped(run)


def test_a_file_in_the_place_is_named(tmp_path):
    (tmp_path / "loop").write_text("x")
    with pytest.raises(LoopError, match="a file is in its place"), open_loop(tmp_path / "loop", wanted()):
        pass


HOLDS = """
import sys
from pathlib import Path
from ddxgraph.training.loop.cases import CaseDigest
from ddxgraph.training.loop.config import LoopConfig
from ddxgraph.training.loop.folder import LoopManifest, open_loop
cases = CaseDigest(count=4, sha256="0" * 64)
with open_loop(Path(sys.argv[1]), LoopManifest.of(LoopConfig(), cases, cases)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_share_a_loop(tmp_path):
    arguments = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"
        at_work = pytest.raises(LoopError, match=f"a loop is at work in .*process {other.pid} ")
        with at_work, open_loop(tmp_path, wanted()):
            pass
        other.kill()
        other.wait()
        with open_loop(tmp_path, wanted()):  # the lock of one that was killed is free
            pass


def test_a_product_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "liveness.json"
    assert read_json(path, Proof) is None
    proof = Proof(live=True, verdict="live", message="it is", figures={"signal": 0.5})
    write_json(path, proof)
    assert read_json(path, Proof) == proof
    assert [one.name for one in path.parent.iterdir()] == ["liveness.json"]
    path.write_text('{"live": tr')
    with pytest.raises(LoopError, match="move it away, and it is made again"):
        read_json(path, Proof)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LoopError, match="cannot write"):
        write_json(tmp_path / "file" / "x.json", Proof(live=True, verdict="", message=""))
