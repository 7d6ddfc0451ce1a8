"""Laboratory experiments without an engine and without training: adapters are folders, students are scripted."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from laboratory import made_up_content
from langchain_core.language_models import BaseChatModel
from loops import LIVE, Told

from ddxgraph.common.files import CACHE_VARIABLE
from ddxgraph.eval.benchmarks.rawfile import DATA
from ddxgraph.eval.benchmarks.registry import BENCHMARKS, find
from ddxgraph.experiment.config import read_experiment
from ddxgraph.experiment.experiment import Experiment
from ddxgraph.experiment.folder import ExperimentManifest, open_experiment
from ddxgraph.experiment.summary import ExperimentSummary, summarise, write_summary
from ddxgraph.lab.solver import leaders, posterior
from ddxgraph.lab.teacher import Teacher
from ddxgraph.lab.wording import read_question, read_vignette
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.loop.stages import Proof
from ddxgraph.training.sets.manifest import SetManifest, read_set
from ddxgraph.training.sets.samples import read_samples
from ddxgraph.training.sft.card import Hardware, Losses, TrainingCard
from ddxgraph.training.sft.config import TrainConfig
from ddxgraph.training.sft.job import TrainingJob, data_hashes
from ddxgraph.training.sft.tokens import SideCounts
from ddxgraph.training.styles.compile import Sample

CONFIG = """
seeds = [0, 1]
equal_tokens = ["shortcut", "cot"]
[teacher]
cases = 6
misread = 0.5
[test]
cases = 12
concurrency = 4
[spending]
cases = 4
vote = ["shortcut"]
samples = 3
max_tokens = [1500, 4000]
[second_round]
cases = 3
learning_rate = 2e-5
[gate.decontamination]
enabled = false
[gate.near_duplicates]
enabled = false
[gate.repetition]
enabled = false
[gate.balance]
enabled = false
[gate.split]
enabled = false
"""

RIGHT: Mapping[str, int] = {"longstep": 11, "longmonolog": 10, "shortcut": 5, "cot": 6, "base": 4}
"""Style to how many of twelve cases its student gets right; an arm of equal tokens is as good as its style."""
WORDS: Mapping[str, int] = {"longstep": 40, "longmonolog": 30, "shortcut": 10, "cot": 8, "base": 1}
"""Style to words a candidate, so that harder cases take longer."""


def made_up_benchmark(folder: Path, monkeypatch) -> None:
    """Have the registered ddxlab made of made-up knowledge."""
    content = made_up_content()
    place = folder / DATA / "ddxplus"
    place.mkdir(parents=True)
    (place / "release_conditions.json").write_bytes(content)
    known = find("ddxlab")
    sha256 = hashlib.sha256(content).hexdigest()
    splits = {
        name: replace(split, file=replace(split.file, sha256=sha256)) for name, split in known.splits.items()
    }
    monkeypatch.setitem(BENCHMARKS.known, "ddxlab", replace(known, splits=splits))
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))


class Bench:
    """A workshop whose adapters are folders with a card; its graph students are the teacher itself.

    Args:
        proofs: an arm's folder name to what is found of its adapter; live unless told otherwise.
    """

    def __init__(self, proofs: Mapping[str, Proof] | None = None) -> None:
        self.proofs = proofs or {}
        self.calls: Counter[str] = Counter()
        self.starts: dict[str, str | None] = {}
        self.rates: dict[str, float | None] = {}

    @contextmanager
    def served(self, adapter: Path | None) -> Iterator[BaseChatModel]:
        name = adapter.parent.name if adapter else "base"
        self.calls[f"serve {name}"] += 1
        yield student(name)

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        name = out.parent.name
        self.rates[name] = learning_rate
        self.calls[f"train {name}"] += 1
        self.starts[name] = start.parent.name if start else None
        words = sum(
            len(message.content.split())
            for sample in samples(data / "train.jsonl")
            for message in sample.messages
        )
        out.mkdir()
        card(words, read_set(data)).write(out, name)

    def verify(self, adapter: Path) -> Proof:
        self.calls[f"verify {adapter.parent.name}"] += 1
        return self.proofs.get(adapter.parent.name, LIVE)


def student(name: str) -> BaseChatModel:
    """The model on an adapter."""
    if name.startswith("graph"):
        return Teacher(misread=0.5, seed=7, metadata={"base_model": "a-model", "adapter": name})
    style = name.removesuffix("-equal-tokens")

    def answer(request: Request) -> str:
        case = str(request.messages[1].text)
        told = read_vignette(case.split("<case>\n")[1].split("\n</case>", maxsplit=1)[0])
        noise = read_question(case.split("<question>")[1].split("</question>", maxsplit=1)[0])
        names = list(told.cards)
        likeliest, _ = leaders(posterior(told.cards, told.findings, noise))
        place = int(hashlib.sha256(f"{case}{request.options.get('seed')}".encode()).hexdigest(), 16) % 12
        best = names.index(likeliest)
        letter = "ABCDEFGH"[best if place < RIGHT[style] else (best + 1) % len(names)]
        if name == "base":
            return json.dumps({"answer": letter})
        return f"{'word ' * WORDS[style] * len(told.findings)}\n\nAnswer: {letter}"

    return ScriptedChatModel(
        script={"generate": answer}, record=False, metadata={"base_model": "a-model", "adapter": name}
    )


def card(tokens: int, made: SetManifest) -> TrainingCard:
    """The card of an adapter."""
    samples = made.samples
    return TrainingCard(
        made=datetime(2026, 1, 1, tzinfo=UTC),
        job=TrainingJob(
            config=TrainConfig(),
            base_sha256="0",
            data=data_hashes(made),
            style=made.settings.style,
            prompt_hashes=tuple(made.prompt_hashes),
        ),
        base_model="a-model",
        train=SideCounts(read=samples, used=samples, tokens=tokens, supervised_tokens=tokens // 2),
        validation=SideCounts(),
        steps=1,
        seconds=1.0,
        tokens_per_s=1.0,
        trained_parameters=1,
        all_parameters=2,
        losses=Losses(train=0.5, train_mean=0.5, validation=None, log=[]),
        hardware=Hardware(device="cpu", devices=1, precision="float32", attention="sdpa"),
        libraries={},
        code_version="0",
    )


def samples(path: Path) -> Iterator[Sample]:
    """The samples of a set's data file."""
    return read_samples(path, "messages")


def write_experiment(folder: Path, text: str = CONFIG) -> Path:
    """A configuration."""
    path = folder / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


def go(path: Path, bench: Bench, told: Told | None = None) -> ExperimentSummary:
    """Do what is left to do of an experiment, and write its summary."""
    config = read_experiment(path).config
    place = path.with_suffix("")
    with open_experiment(place, ExperimentManifest.of(config, "cases")) as folder:
        for _ in Experiment(folder, [bench] * len(config.seeds), told or Told()).run():
            summary = summarise(folder)
            write_summary(summary, place)
    return summary
