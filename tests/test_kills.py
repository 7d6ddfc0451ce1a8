"""Processes killed at random moments, with what a power cut leaves: nothing that was saved is lost or doubled.

`ddxgraph run` has a test of its own (`test_crash.py`, 21 kills); with it there are 60.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from gated import LETTERS, case, entries, entry
from gated import make_run as make_sound_run
from journeys import prompt_of
from loops import write_loop
from safetensors.torch import load_file
from scoring import entries as free_entries
from scoring import make_run
from scripted_server import scripted_server
from trainset import train_set

from ddxgraph.batch.verify import verify
from ddxgraph.common.jsonl import split_checksum
from ddxgraph.training.review.file import read_reviews
from ddxgraph.training.sets.folder import changed_files
from ddxgraph.training.sets.manifest import read_set

pytestmark = pytest.mark.slow

KILLS = 8
"""For each command; 7 for a training, which takes longest to start."""
PASSES = 3
"""Times that a command is started at most until it is done, once nobody kills it."""


class Work(NamedTuple):
    """What is killed."""

    command: list[str]
    place: Path
    """What it writes into."""
    damage: Callable[[Path, Random], None] = lambda place, dice: None
    """What a power cut leaves of what was not yet on the disk; nothing else may be touched."""
    typed: str = ""
    """What is typed at it."""

    def start(self) -> subprocess.Popen[str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("DDXGRAPH_")}
        path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean, "PYTHONPATH": path, "DDXGRAPH_CACHE": str(self.place.parent / "cache")},
        )
        assert process.stdin
        process.stdin.write(self.typed)
        process.stdin.close()
        process.stdin = None
        return process

    def finish(self) -> str:
        """Start it until it is done; what it said."""
        said = ""
        for _ in range(PASSES):
            process = self.start()
            said = process.communicate(timeout=300)[1]
            if process.returncode == 0:
                return said
        raise AssertionError(said[-2_000:])


def logs(place: Path) -> dict[Path, bytes]:
    """The whole lines of every append-only file below a folder."""
    return {
        path: content[: content.rfind(b"\n") + 1]
        for path in sorted(place.rglob("*.jsonl"))
        if path.name
        in {"traces.jsonl", "errors.jsonl", "judgements.jsonl", "reviews.jsonl", "rewrites.jsonl"}
        and (content := path.read_bytes())
    }


def kill_often(work: Work, whole_s: float, dice: Random, kills: int = KILLS) -> None:
    """Kill it again and again, then let it finish: every line that stood there stays."""
    kept: dict[Path, bytes] = {}
    for kill in range(kills):
        process = work.start()
        time.sleep(dice.uniform(0.1, 1.0) * whole_s)  # the random moment, not a wait for anything
        process.kill()
        process.communicate()
        now = logs(work.place)
        for path, lines in kept.items():
            assert now.get(path, b"").startswith(lines), f"kill {kill}: {path} lost lines"
        kept = now
        work.damage(work.place, dice)
    work.finish()
    now = logs(work.place)
    for path, lines in kept.items():
        assert now[path].startswith(lines), f"{path} lost lines"
    for lines in now.values():
        assert all(split_checksum(line)[1] for line in lines.splitlines())


def timed(work: Work) -> float:
    """Seconds of an uninterrupted run; it stays as the measure of the killed one."""
    start = time.monotonic()
    work.finish()
    return time.monotonic() - start


def tear(name: str) -> Callable[[Path, Random], None]:
    """Leave half a line, or blocks without their content, at the end of a log: a write that never ended."""

    def damage(place: Path, dice: Random) -> None:
        for path in sorted(place.rglob(name)):
            content = path.read_bytes()
            lines = content.splitlines()
            if not content.endswith(b"\n") or dice.random() < 0.3:  # it is torn already, or is to be whole
                continue
            torn = b"\0" * 512 if dice.random() < 0.4 else lines[-1][: dice.randrange(25, len(lines[-1]) - 1)]
            with path.open("ab") as file:
                file.write(torn)

    return damage


def ddxgraph(*args: object) -> list[str]:
    return [sys.executable, "-m", "ddxgraph", *map(str, args)]


def records(path: Path, *names: str) -> list[tuple[Any, ...]]:
    """Fields of the whole lines; a last one that is torn stays where nothing was left to be written."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [tuple(json.loads(line)[name] for name in names) for line in lines]


@pytest.fixture
def dice() -> Random:
    return Random(23)


def test_a_judge(tmp_path, dice):
    rows = free_entries(["Bacterial pneumonia"] * 60, free=True)
    made = make_run(tmp_path / "made", rows, [f"Diagnosis {number}" for number in range(60)])
    lines = ({**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in rows if row.gold)
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def sensible(request: Any) -> Any:
        time.sleep(0.05)  # an engine that takes its time
        return {"reason": "so", "equivalent": prompt_of(request).count("7") > 1}

    with scripted_server({"judge": sensible}, record=False) as server:

        def work(name: str) -> Work:
            run = Path(shutil.copytree(made, tmp_path / name))
            given = ("--cases", tmp_path / "cases.jsonl", "--base-url", server.base_url, "--concurrency", 2)
            return Work(ddxgraph("judge", run, *given), run, tear("judgements.jsonl"))

        whole, broken = work("whole"), work("broken")
        kill_often(broken, timed(whole), dice)
    wanted, found = (
        records(one.place / "judgements.jsonl", "question", "equivalent") for one in (whole, broken)
    )
    assert sorted(found) == sorted(wanted)
    assert len({question for question, _ in found}) == len(found) == 60
    assert all(check.whole and not check.unsealed for check in verify(broken.place))


def test_a_sitting(tmp_path, dice):
    rows = entries(80, LETTERS)
    run = make_sound_run(tmp_path / "run", rows)
    typed = "a\nr 4 a wrong dose\n" * 40
    (tmp_path / "measure").mkdir()
    measure = Path(shutil.copytree(run, tmp_path / "measure" / "run"))
    whole_s = timed(Work(ddxgraph("review", measure, "--reviewer", "ann"), measure, typed=typed))
    work = Work(ddxgraph("review", run, "--reviewer", "ann"), run, tear("reviews.jsonl"), typed)
    kill_often(work, whole_s, dice)
    reviews = list(read_reviews(run))
    assert len({review.trace for review in reviews}) == len(reviews) == 80
    assert all(check.whole and not check.unsealed for check in verify(run))


def test_a_set_of_journeys(tmp_path, dice):
    rows = [entry(case(number), LETTERS[number % 4]) for number in range(60)]
    run = make_sound_run(tmp_path / "run", rows)
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in rows if row.gold]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "gate.toml").write_text(
        "[decontamination]\nenabled = false\n[balance]\nenabled = false\n[split]\nvalidation_share = 0.2\n"
    )
    given = (run, "--cases", tmp_path / "cases.jsonl", "--config", tmp_path / "gate.toml", "--overwrite")

    def work(name: str, style: str) -> Work:
        return Work(ddxgraph("journeys", *given, "--style", style, "--out", tmp_path / name), tmp_path / name)

    before = work("broken", "cot")
    before.finish()
    whole_s = timed(work("whole", "longstep"))
    broken = work("broken", "longstep")
    for _ in range(KILLS):
        process = broken.start()
        time.sleep(dice.uniform(0.3, 1.05) * whole_s)
        process.kill()
        process.communicate()
        # One set or the other, whole; while one takes the other's place, the old one lies beside it.
        places = [broken.place, *tmp_path.glob(".broken.*")]
        there = [place for place in places if (place / "journeys.json").is_file()]
        sound = [
            read_set(place).settings.style for place in there if not changed_files(place, read_set(place))
        ]
        assert sound
    broken.finish()
    for name in ("train.jsonl", "validation.jsonl", "journeys.json", "README.md", "gate.json"):
        assert (broken.place / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def drop_writes(place: Path, dice: Random) -> None:
    """Empty or cut a file of the newest checkpoint: its size or its content had not come to the disk."""
    checkpoints = sorted(place.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    if len(checkpoints) < 2 or dice.random() < 0.5:
        return
    files = sorted(path for path in checkpoints[-1].iterdir() if path.is_file() and path.stat().st_size > 1)
    victim = dice.choice(files)
    content = victim.read_bytes()
    cut = dice.randrange(len(content))
    victim.write_bytes(content[:cut] + dice.choice([b"", b"\0" * (len(content) - cut)]))


def test_a_training(tmp_path, dice):
    from bytellama import byte_llama

    train_set(tmp_path / "journeys", 6, "cot")
    base = byte_llama(tmp_path / "bytes")
    (tmp_path / "train.toml").write_text(
        f'base_model = "{base}"\n[data]\nmax_tokens = 8192\n[lora]\nrank = 4\ndropout = 0.1\n'
        "[optimization]\nepochs = 8\nbatch_size = 2\nlearning_rate = 1e-2\n"
        "[watch]\nsave_steps = 2\nsamples = 0\ncanaries = 0\n"
    )

    def work(name: str) -> Work:
        given = (tmp_path / "journeys", "--config", tmp_path / "train.toml", "--out", tmp_path / name)
        return Work(ddxgraph("train", *given), tmp_path / f"{name}.training", drop_writes)

    whole_s = timed(work("whole"))
    kill_often(work("broken"), whole_s, dice, kills=7)
    mine, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "broken"))
    assert mine.keys() == other.keys()
    assert all(bool((mine[name] == other[name]).all()) for name in mine)
    steps = [
        json.loads((tmp_path / name / "training.json").read_text())["steps"] for name in ("whole", "broken")
    ]
    assert steps == [24, 24]


LOOP = """
import sys
from pathlib import Path
from loops import Bench, go
go(Path(sys.argv[1]), Bench({"base": 4, "round-01": 6, "round-02": 8}))
"""


def test_a_loop(tmp_path, dice):
    def work(name: str) -> Work:
        loop = write_loop(tmp_path / name)
        return Work([sys.executable, "-c", LOOP, str(loop)], loop.with_suffix(""), tear("traces.jsonl"))

    whole, broken = work("whole"), work("broken")
    kill_often(broken, timed(whole), dice)
    wanted, found = (
        {
            str(path.relative_to(one.place)): sorted(records(path, "id", "answer"))
            for path in sorted(one.place.rglob("traces.jsonl"))
        }
        for one in (whole, broken)
    )
    assert found == wanted
    assert all(len(set(ids)) == len(ids) for ids in found.values())
    assert all(check.whole and not check.unsealed for check in verify(broken.place))
