"""Improvement loops without an engine and without training: a scripted model, and adapters that are folders."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from gated import LETTERS, Walk, case, entry, model_walking
from scoring import patient

from ddxgraph.batch.tally import Tally
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.loop.cases import cases_of
from ddxgraph.training.loop.config import read_loop
from ddxgraph.training.loop.folder import LoopManifest, open_loop
from ddxgraph.training.loop.loop import Ended, Loop
from ddxgraph.training.loop.stages import Proof
from ddxgraph.training.loop.summary import LoopSummary, summarise
from ddxgraph.training.sft.job import CARD

CONFIG = """
rounds = 2
[generate]
cases = "train.jsonl"
samples = 1
seed = 100
[journeys]
style = "longstep"
[evaluate]
cases = "validation.jsonl"
strategy = "cot"
[gate.decontamination]
enabled = false
[gate.balance]
enabled = false
[gate.split]
enabled = false
"""
"""Nothing is compared with test sets, which are not on every machine."""

TRAIN = [entry(case(number), LETTERS[number % 4]) for number in range(4)]
VALIDATION = [entry(case(number), LETTERS[number % 4]) for number in range(20, 28)]
LIVE = Proof(live=True, verdict="live", message="it is live")

STAGES = ["base: serve", "base: evaluate"] + [
    f"round {number}: {stage}"
    for number, stages in {
        # The adapter of round 1 is served and proven already when round 2 generates with it.
        1: ["generate", "journeys", "train", "serve", "verify", "evaluate", "compare"],
        2: ["generate", "journeys", "train", "serve", "verify", "evaluate", "compare"],
    }.items()
    for stage in stages
]
"""What a loop of two rounds does, in its order."""


def write_cases(path: Path, rows: Sequence[CaseEntry]) -> Path:
    """A case file with its gold answers."""
    lines = [{**row.case.model_dump(mode="json"), "answer": row.gold.answer} for row in rows if row.gold]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_loop(folder: Path, text: str = CONFIG) -> Path:
    """A configuration beside its case files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_cases(folder / "train.jsonl", TRAIN)
    write_cases(folder / "validation.jsonl", VALIDATION)
    path = folder / "loop.toml"
    path.write_text(text, encoding="utf-8")
    return path


class Told:
    """Takes down what a loop says; breaks it off at the beginning of a stage, if it is to."""

    def __init__(self, break_at: str = "") -> None:
        self.begun: list[str] = []
        self.there: list[str] = []
        self._break_at = break_at

    def stage(self, where: str, stage: str, *, there: bool = False) -> None:
        line = f"{where}: {stage}"
        (self.there if there else self.begun).append(line)
        if line == self._break_at and not there:
            raise KeyboardInterrupt

    @contextmanager
    def walking(self, name: str, tally: Tally) -> Iterator[Callable[[], None]]:
        yield lambda: None

    def working(self, what: str) -> Any:
        return nullcontext(lambda done, total: None)


class Bench:
    """A workshop whose adapters are empty folders, and whose models answer as they are told.

    Args:
        right: name of a model (`base`, `round-01`, ...) to how many of the validation cases it gets right.
        proofs: name to what is found of the served adapter; live unless told otherwise.
        answers: of the traversals that journeys are made of, by number of the case and the sample.
        breaks: names of calls that break once, such as `train round-01`.
    """

    def __init__(
        self,
        right: Mapping[str, int] | None = None,
        *,
        proofs: Mapping[str, Proof] | None = None,
        answers: Callable[[int, int], str] = lambda number, sample: LETTERS[number % 4],
        breaks: Sequence[str] = (),
        interrupted_after: int | None = None,
    ) -> None:
        self.right, self.proofs, self.answers = right or {}, proofs or {}, answers
        self.calls: Counter[str] = Counter()
        self.starts: dict[str, str | None] = {}
        self.requests = 0
        self._breaks, self._left = set(breaks), interrupted_after

    def _called(self, what: str) -> None:
        self.calls[what] += 1
        if what in self._breaks:
            self._breaks.discard(what)
            raise ConnectionError(what)

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[ScriptedChatModel]:
        name = adapter.parent.name if adapter else "base"
        self._called(f"serve {name}")
        yield self._model(name)

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        assert learning_rate is None  # all rounds of the loop train with the settings of [train]
        name = out.parent.name
        self._called(f"train {name}")
        assert (data / "train.jsonl").read_text()
        self.starts[name] = start.parent.name if start else None
        out.mkdir()
        (out / CARD).write_text("{}")

    def verify(self, adapter: Path) -> Proof:
        name = adapter.parent.name
        self._called(f"verify {name}")
        return self.proofs.get(name, LIVE)

    def _model(self, name: str) -> ScriptedChatModel:
        walking = model_walking(Walk(answers=self.answers))
        known = {} if name == "base" else {"base_model": "a-model", "adapter": name, "adapter_sha256": name}
        right = self.right.get(name, len(VALIDATION))

        def answer(request: Request) -> str:
            number = patient(request)
            place = [row.case.id for row in VALIDATION].index(f"case-{number}")
            letter = LETTERS[number % 4] if place < right else LETTERS[(number + 1) % 4]
            return f"So it is.\nAnswer: {letter}"

        script = {node: self._counted(line) for node, line in {**walking.script, "generate": answer}.items()}
        return ScriptedChatModel(script=script, model_name="a-model", record=False, metadata=known)

    def _counted(self, line: Any) -> Any:
        def counted(request: Request) -> Any:
            self.requests += 1
            if self._left is not None and self.requests > self._left:
                self._left = None
                raise KeyboardInterrupt
            return line(request)

        return counted


def go(loop: Path, bench: Bench, told: Told | None = None, out: Path | None = None) -> Ended:
    """Do what is left to do of a loop."""
    file = read_loop(loop)
    generate = cases_of(file.config.generate, file)
    evaluate = cases_of(file.config.evaluate, file)
    wanted = LoopManifest.of(file.config, generate.digest, evaluate.digest)
    ended = None
    with open_loop(out or loop.with_suffix(""), wanted) as folder:
        for ended in Loop(folder, generate, evaluate, bench, told or Told()).run():
            summarise(folder, evaluate, ended)
    assert ended is not None
    return ended


def summary_of(loop: Path, ended: Ended | None = None) -> LoopSummary:
    """The summary of a loop's folder."""
    file = read_loop(loop)
    generate = cases_of(file.config.generate, file)
    evaluate = cases_of(file.config.evaluate, file)
    wanted = LoopManifest.of(file.config, generate.digest, evaluate.digest)
    with open_loop(loop.with_suffix(""), wanted) as folder:
        return summarise(folder, evaluate, ended)


def trace_ids(folder: Path) -> list[str]:
    """Of every run in a loop's folder."""
    lines = [line for path in sorted(folder.rglob("traces.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["id"] for line in lines]
