"""What a run loses when its process is killed, again and again: nothing.

Over a scripted engine in a process of its own, `ddxgraph run` is killed with SIGKILL at random moments, started
again each time by the same command, and at last left to finish. Its traces are then compared with those of an
uninterrupted run of the same command into another folder. The engine's replies follow from the prompt (answers,
verdicts, backtracks and unreadable replies differ from case to case), and a share of its answers are failures:
500, 400, 503 and dropped connections. One case in eight is so long that its trace takes some 400 kilobytes.

The moments are of four kinds, in random order: while the process starts, while it takes stock of the folder,
while it works, and as soon as a file has grown, which is in the middle of a write or right behind it. A write
seldom takes long enough to be hit; so after some kills the last line is cut short by hand as well, as a power cut
would leave it. A run that is over before the last kill is a failed measurement. Prints JSON; exits with 1 unless
`held`.

    python benchmarks/crash.py [--cases 110] [--kills 22] [--seed 0]
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from journeys import Whimsy, prompt_of, timeless
from scripted_server import Dropped, HttpError, scripted_server

from ddxgraph import read_traces
from ddxgraph.batch.folder import ERRORS, LOCK, TRACES
from ddxgraph.testing import Request

MAX_MODEL_LEN = 1 << 20
OPENING = 2
"""Messages of a traversal's first call: the system's, and the case with the first turn."""
CONCLUDES = 0.75
"""Share of the reflections that conclude for certain; the rest says what it likes."""
GONE_S = 30.0
"""Seconds after which a moment that does not come is taken as come."""
MOMENTS = {"starting": 4, "taking stock": 4, "working": 5, "writing": 9}
"""Kind of moment to its weight among the kills."""
CUTS = 3
"""Kills after which the last line is cut short by hand."""
PASSES = 6
"""Times that the command is started at most until nothing is left to do, once nobody kills it."""


class Engine:
    """Answers from the prompt alone, and fails as often as the prompt says before it does."""

    def __init__(self, seed: int) -> None:
        self._seed, self._whimsy = seed, Whimsy(seed, garbage=0.02, breaks=0.0)
        self._asked: Counter[str] = Counter()
        self.requests = 0
        self.begun: Counter[str] = Counter()
        """First prompts of traversals to times that they were answered."""
        self.failed: Counter[str] = Counter()

    def __call__(self, request: Request) -> Any:
        self.requests += 1
        prompt = hashlib.sha256(prompt_of(request).encode()).hexdigest()
        dice = Random(f"{self._seed}|{prompt}")
        self._asked[prompt] += 1
        time.sleep(dice.uniform(0.005, 0.04))
        self._fail(dice.random(), self._asked[prompt])
        if len(request.messages) == OPENING:
            self.begun[prompt] += 1
        reply = self._whimsy(request)
        if request.node == "reflect" and dice.random() < CONCLUDES:
            with suppress(ValueError, TypeError):
                return {**json.loads(str(reply)), "verdict": "conclude"}
        return reply

    def _fail(self, fate: float, attempt: int) -> None:
        """Fail, as often as is drawn for a prompt: some calls so often that the traversal is given up."""
        for name, share, times, error in (
            ("500", 0.01, 1, HttpError(500)),
            ("503", 0.01, 2, HttpError(503)),
            ("dropped", 0.01, 1, Dropped()),
            ("500 for long", 0.006, 4, HttpError(500)),
            ("400", 0.02, 1, HttpError(400)),
        ):
            if 0 <= fate < share and attempt <= times:
                self.failed[name] += 1
                raise error
            fate -= share


def serve(seed: int, line: Connection) -> None:
    """Be the engine until told to stop; tell how often it was asked whenever that is wanted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = Engine(seed)
    nodes = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
    with scripted_server(dict.fromkeys(nodes, engine), max_model_len=MAX_MODEL_LEN, record=False) as served:
        line.send(served.base_url)
        with suppress(EOFError):
            while line.recv():
                line.send((engine.requests, dict(engine.begun), dict(engine.failed)))


class Asked(NamedTuple):
    """What an engine has been asked so far."""

    requests: int
    begun: Mapping[str, int]
    failed: Mapping[str, int]


class Line(NamedTuple):
    base_url: str
    pipe: Connection

    def asked(self) -> Asked:
        self.pipe.send(True)
        return Asked(*self.pipe.recv())


@contextmanager
def engine(seed: int) -> Iterator[Line]:
    """An engine in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(seed, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Line(ours.recv(), ours)
    finally:
        ours.close()
        process.join(10)
        process.kill()


def write_cases(path: Path, count: int, dice: Random) -> None:
    """Cases that differ; one in eight is as long as a case may be, nearly."""
    words = (
        "fever",
        "cough",
        "rash",
        "no leg swelling",
        "crackles",
        "pallor",
        "weight loss",
        "a murmur",
        "thirst",
    )
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            found = ", ".join(dice.choices(words, k=dice.randint(3, 8)))
            padding = " ".join(dice.choices(words, k=9_000)) if number % 8 == 0 else ""
            letters = "ABCDE"[: dice.randint(2, 5)]
            case = {
                "id": f"case-{number}",
                "vignette": f"Patient {number}, {dice.randint(1, 99)} years old, has {found}. {padding}",
                "question": f"{padding} What is the most likely diagnosis?",
                "options": {letter: f"Disease {letter}{number}" for letter in letters},
                "answer": dice.choice(letters),
            }
            file.write(json.dumps(case) + "\n")


class Folder(NamedTuple):
    """A run folder as it lies on the disk, whoever writes it."""

    path: Path

    def held_by(self, pid: int) -> bool:
        with suppress(OSError):
            return (self.path / LOCK).read_text().startswith(f"process {pid} ")
        return False

    def _size(self, name: str) -> int:
        with suppress(OSError):
            return (self.path / name).stat().st_size
        return 0

    def lines(self, name: str) -> int:
        return (self.path / name).read_bytes().count(b"\n") if (self.path / name).exists() else 0

    def cut(self, dice: Random) -> int:
        """Cut the last trace short, as a power cut would; says how many there were to cut."""
        if not self._size(TRACES) or self.torn():
            return 0
        whole = (self.path / TRACES).read_bytes()
        last = len(whole) - (whole[:-1].rfind(b"\n") + 1)
        # One byte is the newline alone: that line is whole, and is completed without a word.
        os.truncate(self.path / TRACES, len(whole) - dice.randint(2, last - 1))
        return 1

    def torn(self) -> int:
        """Files that do not end in a whole line."""
        return sum(
            not (self.path / name).read_bytes().endswith(b"\n")
            for name in (TRACES, ERRORS)
            if self._size(name)
        )


class Command(NamedTuple):
    """The command under test."""

    cases: Path
    base_url: str
    log: Path

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith("DDXGRAPH_")}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "ddxgraph", "run", str(self.cases), "--out", str(out)),
                    *("--concurrency", "8", "--base-url", self.base_url, "--max-tokens", "10000000"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=clean,
            )

    def finish(self, out: Path) -> int:
        """Start it until nothing is left to do; what failed is tried again by the next.

        Returns:
            Times that it was started.
        """
        for started in range(1, PASSES + 1):
            code = self.start(out).wait(timeout=600)
            if code == 0:
                return started
            if code != 1:
                break
        raise RuntimeError(f"the command ended with {code}: {self.log.read_text()[-2_000:]}")


class Grown:
    """Whether a file has grown since; as fast as can be."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._size = os.stat(self._path).st_size if path.exists() else 0  # noqa: PTH116 - pathlib is slow

    def __call__(self) -> bool:
        with suppress(OSError):
            return os.stat(self._path).st_size > self._size  # noqa: PTH116
        return False


class Kill(NamedTuple):
    """Where a kill fell."""

    meant: str
    fell: str
    traces: int
    torn: int


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + GONE_S
    while not condition() and process.poll() is None and time.monotonic() < until:
        pass  # without a nap: a write takes less than a millisecond


def await_moment(
    meant: str, process: subprocess.Popen[bytes], folder: Folder, start_s: float, dice: Random
) -> None:
    """Wait for a random moment of a kind in the life of a process."""
    if meant == "starting":
        time.sleep(
            dice.triangular(0, start_s, 0)
        )  # early ones too where it starts faster than it was measured
        return
    while not folder.held_by(process.pid) and process.poll() is None:
        time.sleep(0.001)
    if meant == "taking stock":
        time.sleep(dice.uniform(0, 0.08))
    elif meant == "working":
        time.sleep(dice.uniform(0.1, 1.5))
    else:
        for _ in range(dice.randint(1, 5)):
            wait_for(Grown(folder.path / TRACES), process)
        time.sleep(dice.choice([0.0, dice.uniform(0, 0.003)]))


def kill_once(meant: str, command: Command, folder: Folder, line: Line, start_s: float, dice: Random) -> Kill:
    """Start the command, and kill it.

    Raises:
        RuntimeError: it was over before.
    """
    before = line.asked().requests
    process = command.start(folder.path)
    await_moment(meant, process, folder, start_s, dice)
    process.kill()
    if process.wait() != -signal.SIGKILL:
        raise RuntimeError("the run was over before the last kill: give it more cases")
    if not folder.held_by(process.pid):
        fell = "before the lock"
    else:
        fell = "working" if line.asked().requests > before else "taking stock"
    return Kill(meant, fell, folder.lines(TRACES), folder.torn())


def time_to_lock(command: Command, folder: Folder) -> float:
    """Seconds from the start of a process until it holds its folder."""
    start = time.monotonic()
    process = command.start(folder.path)
    while not folder.held_by(process.pid) and process.poll() is None:
        time.sleep(0.005)
    took = time.monotonic() - start
    process.kill()
    process.wait()
    return took


def traces_of(folder: Folder) -> tuple[dict[str, dict[str, Any]], int]:
    """Id to trace without its times, and how many traces stand there more than once."""
    found: dict[str, dict[str, Any]] = {}
    lines = 0
    for trace in read_traces(folder.path / TRACES):
        lines += 1
        found[trace.id] = timeless(trace)
    return found, lines - len(found)


def measure(cases: int, kills: int, seed: int, root: Path) -> dict[str, Any]:
    dice = Random(seed)
    file = root / "cases.jsonl"
    write_cases(file, cases, dice)
    whole, broken = Folder(root / "uninterrupted"), Folder(root / "killed")
    start = time.monotonic()
    with engine(seed) as line:
        command = Command(file, line.base_url, root / "uninterrupted.log")
        start_s = time_to_lock(command, Folder(root / "timed"))
        command.finish(whole.path)
    uninterrupted_s = time.monotonic() - start
    shares = {kind: weight / sum(MOMENTS.values()) for kind, weight in MOMENTS.items()}
    meant = [kind for kind, share in shares.items() for _ in range(math.ceil(kills * share))][-kills:]
    dice.shuffle(meant)
    start = time.monotonic()
    with engine(seed) as line:
        command = Command(file, line.base_url, root / "killed.log")
        fallen, cut = [], 0
        for kind in meant:
            fallen.append(kill_once(kind, command, broken, line, start_s, dice))
            if kind == "writing" and cut < CUTS:
                cut += broken.cut(dice)
        finishing = command.finish(broken.path)
        asked = line.asked()
    wanted, _ = traces_of(whole)
    found, twice = traces_of(broken)
    failed = list(read_traces(broken.path / ERRORS))
    verdict = {
        "lost": len(wanted.keys() - found.keys()),
        "unknown": len(found.keys() - wanted.keys()),
        "twice": twice,
        "torn_at_the_end": broken.torn(),
        "different": sum(found[key] != wanted[key] for key in found.keys() & wanted.keys()),
    }
    done_again = sum(asked.begun.values()) - cases
    failed_begun = sum(bool(trace.steps and trace.steps[0].text) for trace in failed)
    return {
        "held": not any(verdict.values()) and len(wanted) == cases and len(fallen) >= kills,
        **verdict,
        "kills": len(fallen),
        "kills_meant": dict(Counter(kill.meant for kill in fallen)),
        "kills_fell": dict(Counter(kill.fell for kill in fallen)),
        "traces_at_kills": [kill.traces for kill in fallen],
        "torn_lines": sum(kill.torn for kill in fallen),
        "torn_by_hand": cut,
        "said_to_be_mended": (root / "killed.log").read_text().count("had cut short"),
        "traversals_done_again": done_again,
        "of_these_because_the_engine_failed": failed_begun,
        "errors_recorded": len(failed),
        "errors_of": len({trace.id for trace in failed}),
        "engine_failures": dict(asked.failed),
        "distinct_courses": len({json.dumps([s["move"] for s in t["steps"]]) for t in found.values()}),
        "longest_line_bytes": max(map(len, (broken.path / TRACES).read_bytes().splitlines())),
        "starts_to_finish": finishing,
        "seconds_to_lock": round(start_s, 2),
        "uninterrupted_s": round(uninterrupted_s, 1),
        "wall_s": round(time.monotonic() - start, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=110)
    parser.add_argument("--kills", type=int, default=22)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        measured = measure(args.cases, args.kills, args.seed, Path(root))
    print(json.dumps({**measured, **vars(args)} | {"kills": measured["kills"]}))
    sys.exit(0 if measured["held"] else 1)


if __name__ == "__main__":
    main()
