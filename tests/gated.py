"""Runs to gate: real walks on a scripted model whose words are its own in every case and sample."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from journeys import AT_ONCE, answer, differential, reading, reflection, weighing
from scoring import patient, write_lines

from ddxgraph import Case, Gold, GraphStrategy, Sampling, Trace, read_traces, run
from ddxgraph.common.jsonl import line_of
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.gate.config import Balance, GateConfig, Split
from ddxgraph.training.gate.decontamination import HeldOut, HeldOutSets

LETTERS = "ABCD"
_SEED = 100
_SYLLABLES = (
    "ba",
    "cor",
    "du",
    "fen",
    "gi",
    "hal",
    "jo",
    "kar",
    "lum",
    "mi",
    "nox",
    "per",
    "qua",
    "ris",
    "tol",
)
VOCABULARY = [first + second for first in _SYLLABLES for second in _SYLLABLES]

PLAIN = GateConfig(balance=Balance(enabled=False), split=Split(enabled=False))
"""Nothing is dropped that is no fault of its own."""
NOTHING_HELD_OUT = HeldOutSets(())


def prose(luck: Random, words: int) -> str:
    """So many words of no language; two such texts share no run of words to speak of."""
    return " ".join(luck.choices(VOCABULARY, k=words))


def case(number: int, **fields: Any) -> Case:
    """A case that is known by its number, and has a text of its own."""
    options = {letter: prose(Random(f"{letter}{number}"), 2) for letter in LETTERS}
    known = {
        "id": f"case-{number}",
        "vignette": f"Patient {number}. {prose(Random(number), 80)}.",
        "question": "Which diagnosis is it?",
        "options": options,
    }
    return Case(**{**known, **fields})


def entry(known: Case, gold: str = "A") -> CaseEntry:
    return CaseEntry(known, Gold(case=known.id, answer=gold))


def entries(count: int, golds: str = LETTERS) -> list[CaseEntry]:
    """So many cases; the gold letters take turns."""
    return [entry(case(number), golds[number % len(golds)]) for number in range(count)]


class Walk(NamedTuple):
    """What the model does, by the number of the case and of the sample."""

    answers: Callable[[int, int], str] = lambda number, sample: LETTERS[number % 4]
    goes_back: Callable[[int, int], bool] = lambda number, sample: number % 3 == 0
    words: int = 12
    """Words of a thought."""


SOUND = Walk()
"""Right in every case, with a backtrack in every third."""


def model_walking(walk: Walk = SOUND, name: str = "a-model") -> ScriptedChatModel:
    """A model that walks so."""

    def told(request: Request) -> tuple[int, int, Callable[[], str]]:
        number, sample = patient(request), request.options["seed"] - _SEED
        luck = Random(f"{request.node} {request.branch} {number} {sample} {len(request.messages)}")
        return number, sample, lambda: prose(luck, walk.words)

    def review(request: Request) -> Any:
        _, _, thought = told(request)
        text = str(request.messages[1].content)
        words = text[text.index("Patient ") :].split()
        reply = reading(" ".join(words[3:8]), " ".join(words[20:26]))
        return {**reply, "reasoning": thought()}

    def name_them(request: Request) -> Any:
        number, sample, thought = told(request)
        priors = {letter: 40 if letter == walk.answers(number, sample) else 20 for letter in LETTERS}
        return {**differential(**priors), "reasoning": thought()}

    def check(request: Request) -> Any:
        number, sample, thought = told(request)
        strength = 2 if request.branch == walk.answers(number, sample) else -1
        reply = weighing(F1=strength, F2=strength // 2)
        for weight in reply["weights"]:
            weight["reason"] = thought()
        return {**reply, "reasoning": thought(), "missing": thought()}

    def reflect(request: Request) -> Any:
        number, sample, thought = told(request)
        first = sum("Stop: reflect" in str(message.content) for message in request.messages) == 1
        verdict = "recheck_evidence" if first and walk.goes_back(number, sample) else "conclude"
        return {**reflection(verdict), "critique": thought()}

    def conclude(request: Request) -> Any:
        number, sample, thought = told(request)
        return {**answer(walk.answers(number, sample)), "justification": thought()}

    script = {
        "review_history": review,
        "generate_differential": name_them,
        "check_evidence": check,
        "reflect": reflect,
        "conclude": conclude,
    }
    return ScriptedChatModel(script=script, model_name=name, record=False)


def make_run(
    folder: Path,
    rows: Sequence[CaseEntry],
    walk: Walk = SOUND,
    *,
    samples: int = 1,
    model: str = "a-model",
    strategy: GraphStrategy | None = None,
) -> Path:
    """Run cases into a folder."""
    strategy = strategy or GraphStrategy(patience=AT_ONCE, sampling=Sampling(seed=_SEED, temperature=0.7))

    async def work() -> None:
        taken = run(
            [row.case for row in rows],
            model_walking(walk, model),
            strategy=strategy,
            samples=samples,
            out=folder,
        )
        async for _ in taken:
            pass

    asyncio.run(work())
    return folder


def traces_of(folder: Path) -> list[Trace]:
    """The traces of a run, by case and sample."""
    return sorted(read_traces(folder / "traces.jsonl"), key=lambda one: (one.case.id, one.sample))


def copy_run(folder: Path, to: Path, traces: Sequence[Trace] | None = None) -> Path:
    """A copy of a run, with other traces perhaps."""
    to.mkdir(parents=True)
    (to / "run.json").write_bytes((folder / "run.json").read_bytes())
    records = [json.loads(line_of(one)) for one in (traces_of(folder) if traces is None else traces)]
    write_lines(to / "traces.jsonl", records)
    return to


def held_out(*questions: Case, name: str = "medqa") -> HeldOutSets:
    """A test set that consists of these."""
    return HeldOutSets((HeldOut(name, name.title(), questions, "0" * 64),))
