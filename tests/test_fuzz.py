"""Foreign files under every reader, and under the commands: refused in a sentence, and nothing else.

By hand for longer: `DDXGRAPH_FUZZ=60 python -m pytest -m slow tests/test_fuzz.py` takes 60 times as many files.
A file is made from its number alone. The numbers that once broke a reader stay in `FOUND` and are always tried.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from adapterfolder import write_adapter
from mutations import SWAPS, mutate, swap

from ddxgraph import read_cases, read_traces
from ddxgraph.batch.folder import open_run, read_manifest
from ddxgraph.batch.verify import verify
from ddxgraph.common import files
from ddxgraph.common.errors import DdxgraphError
from ddxgraph.common.files import read_json
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.eval.report.evaluation import Evaluation
from ddxgraph.eval.scoring.judgements import read_judgements
from ddxgraph.eval.scoring.run import manifest_of
from ddxgraph.experiment.config import read_experiment
from ddxgraph.serving.adapters.canary import read_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.training.gate.config import read_config
from ddxgraph.training.loop.config import read_loop
from ddxgraph.training.review.file import read_reviews
from ddxgraph.training.rewrite.store import read_rewrites
from ddxgraph.training.sets.inspection import inspect_set
from ddxgraph.training.sets.manifest import read_set
from ddxgraph.training.sft.config import read_train_config
from ddxgraph.training.sft.tokens import read_journeys
from ddxgraph.view.data.tracebook import TraceBook, read_trace

ROOT = Path(__file__).parents[1]
GOLDEN, BENCHMARK = ROOT / "tests" / "golden", ROOT / "benchmarks" / "fuzz.py"
FOUND = {"JAMA's scraper": (49, 1074, 2554), "a set to look at": (7110,), "an adapter": (337,)}
"""Reader to the numbers of files that it once met with a traceback."""
TIMES = int(os.environ.get("DDXGRAPH_FUZZ", "1"))
FILES = 800 * TIMES
"""Files for each reader."""
COMMANDS = 200 * TIMES
MOST_S = 5.0
"""For one file."""

Read = Callable[[Path], Any]


class Reader(NamedTuple):
    """A reader, and a sound file or folder that it reads."""

    read: Read
    sound: Path | Callable[[Path], Path]
    """It, or what makes one in a folder."""
    victims: str = "*"
    """Which files of a folder are changed."""


def each(read: Callable[[Path], Iterable[Any]]) -> Read:
    """A reader that is read to its end."""
    return lambda path: list(read(path))


def pages_of(folder: Path) -> list[Any]:
    book = TraceBook(folder)
    book.refresh()
    return [read_trace(entry) for entry in book.entries]


def resumed(folder: Path) -> Any:
    known = read_manifest(folder)
    if known is None:
        return None
    with open_run(folder, known) as held:
        return held.cut


def adapter(folder: Path) -> Path:
    return write_adapter(folder / "adapter")


def adapter_and_canaries(folder: Path) -> Any:
    return read_canaries(read_adapter(folder))


def written(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return write


READERS = {
    "traces": Reader(each(read_traces), GOLDEN / "traces.jsonl"),
    "verify": Reader(verify, GOLDEN / "runs" / "free"),
    "run folder": Reader(resumed, GOLDEN / "runs" / "free"),
    "run manifest": Reader(manifest_of, GOLDEN / "runs" / "ward", "run.json"),
    "pages": Reader(pages_of, GOLDEN / "runs" / "ward"),
    "judgements": Reader(each(read_judgements), GOLDEN / "runs" / "free" / "judgements.jsonl"),
    "rewrites": Reader(each(read_rewrites), GOLDEN / "rewrites" / "rewrites.jsonl"),
    "reviews": Reader(each(read_reviews), GOLDEN / "runs" / "ward"),
    "cases": Reader(each(read_cases), GOLDEN / "cases" / "ward.jsonl"),
    "one case": Reader(each(read_cases), GOLDEN / "cases" / "solve.json"),
    "free cases": Reader(each(read_cases), GOLDEN / "cases" / "free.jsonl"),
    "JAMA's scraper": Reader(
        lambda path: BENCHMARKS["jama"].importer.bring(path, path.parent / "data", None),
        GOLDEN / "cases" / "jama_raw.json",
    ),
    "a set": Reader(read_set, GOLDEN / "sets" / "longstep", "journeys.json"),
    "a set to look at": Reader(inspect_set, GOLDEN / "sets" / "longstep"),
    "a set to train on": Reader(read_journeys, GOLDEN / "sets" / "graph"),
    "gate settings": Reader(read_config, GOLDEN / "gate.toml"),
    "loop settings": Reader(read_loop, GOLDEN / "loop", "loop.toml"),
    "training settings": Reader(
        read_train_config,
        written("train.toml", "base_model = 'x'\n[lora]\nrank = 4\n[data]\nmax_tokens = 99\n"),
    ),
    "experiment settings": Reader(
        read_experiment, written("lab.toml", "seeds = [0]\n[students]\narms = ['cot']\n")
    ),
    "an adapter": Reader(adapter_and_canaries, adapter),
    "an evaluation": Reader(lambda path: read_json(path, Evaluation), GOLDEN / "evaluations" / "lab.json"),
}


def placed(reader: Reader, room: Path) -> Path:
    """A sound copy of what a reader reads."""
    if not isinstance(reader.sound, Path):
        return reader.sound(room)
    target = room / reader.sound.name
    return Path((shutil.copytree if reader.sound.is_dir() else shutil.copy)(reader.sound, target))


def tried(reader: Reader, path: Path) -> str:
    """What a reader makes of a file: `read`, or `refused`; anything else is raised."""
    start = time.monotonic()
    try:
        reader.read(path)
        return "read"
    except DdxgraphError:
        return "refused"
    finally:
        assert time.monotonic() - start < MOST_S


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_refuses(name, tmp_path):
    reader, seen = READERS[name], Counter[str]()
    for number in dict.fromkeys((*FOUND.get(name, ()), *range(FILES))):
        room = tmp_path / str(number)
        room.mkdir()
        path, dice = placed(reader, room), Random(f"{name}|{number}")
        victims = sorted(path.rglob(reader.victims)) if path.is_dir() else [path]
        victim = dice.choice([one for one in victims if one.is_file()])
        mutate(victim, dice)
        target = path / reader.victims if reader.victims == "loop.toml" else path
        try:
            seen[tried(reader, target)] += 1
        except BaseException as error:
            raise AssertionError(f"{name}, file {number} ({victim}): add the number to FOUND") from error
        shutil.rmtree(room)
    assert seen["refused"] > 0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(files, "_PIPE_S", 0.05)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", SWAPS)
def test_a_reader_waits_for_no_pipe_and_no_device(name, kind, tmp_path):
    reader = READERS[name]
    path = placed(reader, tmp_path)
    victims = sorted(path.rglob(reader.victims)) if path.is_dir() else [path]
    swap(next(one for one in victims if one.is_file()), kind)
    tried(reader, path / reader.victims if reader.victims == "loop.toml" else path)


@pytest.mark.slow
def test_the_commands_end_in_a_sentence_whatever_they_are_given(tmp_path):
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--count", str(COMMANDS), "--keep", str(tmp_path / "kept")],
        capture_output=True,
        text=True,
        timeout=1_800 * TIMES,
    )
    assert done.stdout, done.stderr[-2_000:]
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert done.returncode == 0
    assert told["count"] == COMMANDS
    assert set(told["by_command"]) == {"--help", "solve", "run", "train", "serve", "view", "journeys"}
    assert all(told["by_code"][code] for code in ("1", "2"))
