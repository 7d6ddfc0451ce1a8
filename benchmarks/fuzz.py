"""Every command on foreign files and odd environments: it ends, in a sentence, with little memory.

Each command gets a sound input of which one file was changed (bits, cuts, other values, a pipe or a device in its
place; see `tests/mutations.py`), and an environment in which some variables are odd. It runs in a process of its
own. A fault is a traceback, an exit code that is none of the command's, more than 30 s, or more than 2 GiB.

    python benchmarks/fuzz.py [--count 2000] [--seed 0] [--begin 0] [--keep FOLDER]

Prints JSON; exits with 1 if there was a fault. The inputs of faults are kept in FOLDER.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from adapterfolder import write_adapter
from journeys import STRAIGHT
from mutations import mutate
from scripted_server import scripted_server

# What commands import when they run; the command line itself not, since it reads the environment at import.
import ddxgraph.batch.runner
import ddxgraph.serving.adapters.files
import ddxgraph.serving.served
import ddxgraph.training.gate.screen
import ddxgraph.training.sets.make
import ddxgraph.training.sft.train
import ddxgraph.view.page.run  # noqa: F401

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
MOST_S = 30
MOST_BYTES = 2 << 30
CODES = frozenset({0, 1, 2, 130})
SELDOM, OFTEN = 0.3, 0.5
TOLD_EVERY = 100
TEXTS = (
    *(
        "",
        " ",
        "0",
        "-1",
        "1e999",
        "x" * 9_000,
        "\x1b[2J",
        "../..",
        "/dev/null",
        "/dev/full",
        "ü\u202e",
        "true",
    ),
    *("\\", "%s", "a,b"),
)
URLS = (
    "http://", "://", "ftp://x", "http://[::1", "http://user:pw@127.0.0.1:9/v1", "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:9", "https://127.0.0.1:9/v1", "file:///etc/passwd", "127.0.0.1:9", "http://\u202eexample",
)  # fmt: skip
VARIABLES = (
    "DDXGRAPH_BASE_URL", "DDXGRAPH_MODEL", "DDXGRAPH_API_KEY", "DDXGRAPH_CACHE", "DDXGRAPH_OFFLINE",
    "DDXGRAPH_REVIEWER", "HTTP_PROXY", "ALL_PROXY", "OPENAI_PROXY", "NO_PROXY", "COLUMNS", "LINES", "TERM",
    "HOME", "TMPDIR", "NO_COLOR", "FORCE_COLOR", "XDG_CACHE_HOME", "LANG", "SSL_CERT_FILE",
    "LANGSMITH_TRACING", "TZ",
)  # fmt: skip


class Place(NamedTuple):
    """Where a command runs, and what decides how its input is changed."""

    room: Path
    dice: Random
    base_url: str

    def copy(self, source: Path) -> Path:
        target = self.room / source.name
        return Path((shutil.copytree if source.is_dir() else shutil.copy)(source, target))

    def changed(self, path: Path) -> Path:
        """Change the file, or one of the folder."""
        files = [one for one in sorted(path.rglob("*")) if one.is_file()] if path.is_dir() else [path]
        mutate(self.dice.choice(files), self.dice)
        return path


Args = list[object]


def help_(place: Place) -> Args:
    names = ("solve", "run", "train", "serve", "view", "journeys", "eval", "improve")
    return [*([place.dice.choice(names)] if place.dice.random() < OFTEN else []), "--help"]


def solve(place: Place) -> Args:
    case = place.changed(place.copy(GOLDEN / "cases" / "solve.json"))
    return [
        "solve",
        case,
        "--base-url",
        place.base_url,
        *place.dice.choice([[], ["--json"], ["--out", place.room / "t.jsonl"]]),
    ]


def run(place: Place) -> Args:
    name = place.dice.choice(["ward.jsonl", "free.jsonl"])
    cases = place.copy(GOLDEN / "cases" / name)
    out = place.room / "out"
    if place.dice.random() < OFTEN:  # into the folder of a run that is there
        shutil.copytree(GOLDEN / "runs" / "ward", out)
        place.changed(out)
    else:
        place.changed(cases)
    return ["run", cases, "--out", out, "--base-url", place.base_url, "--patience", "0", "--limit", "2"]


def train(place: Place) -> Args:
    data = place.changed(place.copy(GOLDEN / "sets" / place.dice.choice(["cot", "longstep", "graph"])))
    base = place.room / "base"
    base.mkdir()
    (base / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    (base / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    if place.dice.random() < SELDOM:
        place.changed(base)
    config = place.room / "train.toml"
    config.write_text(f'base_model = "{base}"\n[lora]\nrank = 4\n')
    if place.dice.random() < SELDOM:
        place.changed(config)
    start = (
        ["--start", place.changed(write_adapter(place.room / "a"))] if place.dice.random() < SELDOM else []
    )
    return ["train", data, "--config", config, "--out", place.room / "adapter", *start]


def serve(place: Place) -> Args:
    adapter = place.changed(write_adapter(place.room / "a"))
    weights = place.room / "model.gguf"
    weights.write_bytes(b"GGUF\x03\0\0\0" + bytes(200))
    place.changed(weights)
    engine = place.dice.choice(["vllm", "vllm", "embedded"])
    model = weights if engine == "embedded" else place.room
    odd = place.dice.choice([[], ["--host", place.dice.choice(TEXTS)], ["--log", place.room / "l"]])
    given = ["--engine", engine, "--model", model, "--adapter", f"x={adapter}"]
    return ["serve", *given, "--port", "0", *odd]


def view(place: Place) -> Args:
    source = place.copy(place.dice.choice([GOLDEN / "runs" / "ward", GOLDEN / "traces.jsonl"]))
    return ["view", place.changed(source), "--out", place.room / "page.html"]


def journeys(place: Place) -> Args:
    run_, cases = place.copy(GOLDEN / "runs" / "ward"), place.copy(GOLDEN / "cases" / "ward.jsonl")
    config, out = place.copy(GOLDEN / "gate.toml"), place.room / "set"
    victims = [run_, run_, cases, config]
    if place.dice.random() < SELDOM:
        shutil.copytree(GOLDEN / "sets" / "cot", out)
        victims.append(out)
    place.changed(place.dice.choice(victims))
    more = place.dice.choice([[], ["--overwrite"], ["--style", "longmonolog"], ["--max-backtracks", "0"]])
    return ["journeys", run_, "--cases", cases, "--config", config, "--out", out, *more]


COMMANDS: dict[str, Callable[[Place], Args]] = {
    "--help": help_,
    "solve": solve,
    "run": run,
    "train": train,
    "serve": serve,
    "view": view,
    "journeys": journeys,
}


def environment(dice: Random) -> dict[str, str]:
    """Some variables with odd values; a server's address among them loses to the option."""
    chosen = dice.sample(VARIABLES, dice.choice((0, 1, 2, 4)))
    return {
        name: dice.choice(URLS) if name.endswith(("URL", "PROXY")) else dice.choice(TEXTS) for name in chosen
    }


class Ended(NamedTuple):
    code: int
    """Negative: the signal that ended it."""
    seconds: float
    grown: int
    """Bytes beyond what the process began with."""
    said: str


def ended(args: Args, changes: dict[str, str], room: Path) -> Ended:
    """Run a command in a copy of this process, which has imported what commands need already."""
    said = room / "said"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        become(list(map(str, args)), changes, room, said)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    while time.monotonic() - start < MOST_S:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.005)
    else:
        os.killpg(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    took = time.monotonic() - start
    text = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
    return Ended(os.waitstatus_to_exitcode(status), took, (usage.ru_maxrss << 10) - before, text)


def become(args: list[str], changes: dict[str, str], room: Path, said: Path) -> None:
    """Be the command, in this process; does not return."""
    code = 70
    try:
        os.setsid()
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, out), (2, out)):
            os.dup2(target, stream)
        home = room / "home"
        home.mkdir()
        os.environ.update({"HOME": str(home), "DDXGRAPH_CACHE": str(home / "cache"), **changes})
        os.chdir(room)
        sys.argv = ["ddxgraph", *args]
        from ddxgraph.cli import main  # noqa: PLC0415 - see above

        main()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


def fault_of(end: Ended) -> str:
    """What is wrong with an ending; empty if nothing is."""
    if "Traceback (most recent call last)" in end.said:
        return "traceback: " + end.said.strip().splitlines()[-1][:300]
    if end.seconds >= MOST_S:
        return f"no end after {MOST_S} s"
    if end.code not in CODES:
        return f"exit code {end.code}"
    if end.grown > MOST_BYTES:
        return f"{end.grown >> 20} MiB"
    return "" if end.code in {0, 130} or end.said.strip() else "no word"


def measure(begin: int, count: int, seed: int, keep: Path | None) -> dict[str, Any]:
    by_command, by_code, faults = Counter[str](), Counter[int](), []
    slowest, largest = 0.0, 0
    with scripted_server(STRAIGHT, record=False) as server:
        for number in range(begin, begin + count):
            dice = Random(f"{seed}|{number}")
            name = list(COMMANDS)[number % len(COMMANDS)]
            room = Path(tempfile.mkdtemp(prefix="fuzz-"))
            args = COMMANDS[name](Place(room, dice, server.base_url))
            changes = environment(dice)
            end = ended(args, changes, room)
            by_command[name] += 1
            by_code[end.code] += 1
            slowest, largest = max(slowest, end.seconds), max(largest, end.grown)
            if fault := fault_of(end):
                faults.append(
                    {"number": number, "command": " ".join(map(str, args)), "fault": fault, **changes}
                )
                if keep:
                    shutil.copytree(room, keep / str(number), symlinks=True, ignore=pipes)
            shutil.rmtree(room, ignore_errors=True)
            if (number + 1) % TOLD_EVERY == 0:
                print(f"{number + 1} of {count}, {len(faults)} faults", file=sys.stderr)
    return {
        "count": count,
        "seed": seed,
        "faults": faults,
        "by_command": dict(by_command),
        "by_code": {str(code): times for code, times in sorted(by_code.items())},
        "slowest_s": round(slowest, 1),
        "largest_growth_mib": largest >> 20,
    }


def pipes(folder: str, names: list[str]) -> list[str]:
    """What cannot be copied."""
    return [name for name in names if (Path(folder) / name).is_fifo()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--begin", type=int, default=0, help="Number of the first input: repeats a fault.")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("DDXGRAPH_")]:
        del os.environ[name]
    measured = measure(given.begin, given.count, given.seed, given.keep)
    print(json.dumps(measured))
    sys.exit(1 if measured["faults"] else 0)


if __name__ == "__main__":
    main()
