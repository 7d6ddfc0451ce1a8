"""What journey-learning data cost: a run folder through the gate, compiled as longmonolog and as longstep.

The traces are real walks on a scripted model, sixteen of them: four answers by four courses (straight; evidence
checked again; the history read again; both). Every word of theirs is a placeholder, and each trace is one of the
walks with words of its own in the placeholders' places: those of the case in the case, in its options and in
what is quoted from it, those of the sample in every thought. So lines have real lines' sizes and shapes, findings
stand in their case, and no two traces reason in the same words unless it is wanted: of the samples, one in twenty
takes the course of the case's first again, word by word, and one in twenty with one word in a hundred exchanged;
two in five are wrong. One case in a hundred has a question of the test set, which is made up as well, within it.

The folder is written first. Gating, compiling and writing the sets are then timed in a process of its own, whose
peak memory is told beside. Prints one line of JSON. While it runs the folder takes some 35 kB a trace.

    python benchmarks/journey_sets.py [--traces 100000] [--samples 4]
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from driver import MIB, peak_mib
from evaluation import LETTERS

from ddxgraph import Case, Gold, GraphStrategy, Sampling, Trace
from ddxgraph.batch.manifest import manifest
from ddxgraph.eval.cases import CaseEntry, CaseFile
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import HeldOut, HeldOutSets
from ddxgraph.training.gate.screen import gate
from ddxgraph.training.sets.make import write_journeys
from ddxgraph.training.sets.manifest import SetSettings
from ddxgraph.training.source import RunSource

CASE_WORDS, OPTION_WORDS = 120, 2
THOUGHT_WORDS, REASON_WORDS = 35, 10
RIGHT, SAME, NEARLY_SAME, EXCHANGED = 0.6, 0.05, 0.05, 0.01
"""Shares: of right samples, of repeated ones, of nearly repeated ones; of words exchanged in these."""
QUESTIONS, CONTAMINATED = 2_227, 0.01
"""Questions of the test set, and share of the cases that hold one."""
COURSES: Mapping[str, Sequence[str]] = {
    "straight": ("conclude",),
    "recheck": ("recheck_evidence", "conclude"),
    "reread": ("reread_history", "conclude"),
    "both": ("recheck_evidence", "reread_history", "conclude"),
}
_SYLLABLES = [a + b for a in "bcdfglmnprst" for b in ("a", "e", "i", "o", "al", "en", "or", "is")]
VOCABULARY = [a + b + c for a in _SYLLABLES[::3] for b in _SYLLABLES[1::3] for c in ("", "tis", "ma", "lin")]
_ID, _CASE, _SAMPLE = "trace-id-here", "case-id-here", 987_654_321
_PLACE = re.compile(rf"\b([cs])(\d{{4}})z\b|({_ID})|({_CASE})|({_SAMPLE})")


def places(kind: str, first: int, count: int) -> str:
    """So many placeholders of a case (`c`) or of a sample (`s`)."""
    return " ".join(f"{kind}{number:04}z" for number in range(first, first + count))


VIGNETTE = f"A patient. {places('c', 0, CASE_WORDS)}."
OPTIONS = {
    letter: places("c", CASE_WORDS + OPTION_WORDS * at, OPTION_WORDS) for at, letter in enumerate(LETTERS)
}
WORDS_OF_A_CASE = CASE_WORDS + OPTION_WORDS * len(LETTERS)


class Walker:
    """Replies of a model that walks a course to an answer, in placeholders."""

    def __init__(self, letter: str, course: Sequence[str]) -> None:
        self._letter, self._verdicts = letter, list(course)
        self._said = 0

    def _words(self, count: int) -> str:
        self._said += count
        return places("s", self._said - count, count)

    def __call__(self, request: Request) -> Mapping[str, Any]:
        thought = {"reasoning": self._words(THOUGHT_WORDS)}
        match request.node:
            case "review_history":
                findings = [
                    {"quote": places("c", at, 5), "kind": "symptom", "polarity": "present", "salience": 2}
                    for at in (10, 40, 70)
                ]
                return {**thought, "asks": "diagnosis", "findings": findings}
            case "generate_differential":
                priors = {letter: 40 if letter == self._letter else 20 for letter in LETTERS}
                named = {
                    letter: {"rationale": self._words(REASON_WORDS), "prior": prior}
                    for letter, prior in priors.items()
                }
                return {**thought, "options": named, "others": []}
            case "check_evidence":
                strength = 2 if request.branch == self._letter else -1
                weights = [
                    {"finding": f"F{number}", "reason": self._words(REASON_WORDS), "strength": strength}
                    for number in (1, 2, 3)
                ]
                return {**thought, "weights": weights, "missing": self._words(REASON_WORDS)}
            case "reflect":
                wrong = next(letter for letter in LETTERS if letter != self._letter)
                last = len(self._verdicts) == 1
                gone = [{"hypothesis": wrong, "because": self._words(REASON_WORDS)}] if last else []
                verdict = self._verdicts.pop(0)
                return {"critique": thought["reasoning"], "refuted": gone, "verdict": verdict, "targets": []}
            case _:
                return {"justification": thought["reasoning"], "answer": self._letter}


@dataclass(frozen=True)
class Walk:
    """A walk's line, cut at its placeholders."""

    line: str

    @cached_property
    def pieces(self) -> Sequence[str]:
        """What stands between the placeholders."""
        return [
            self.line[a:b] for a, b in zip([0, *self._ends], [*self._starts, len(self.line)], strict=True)
        ]

    @cached_property
    def _found(self) -> Sequence[re.Match[str]]:
        return list(_PLACE.finditer(self.line))

    @property
    def _starts(self) -> Sequence[int]:
        return [one.start() for one in self._found]

    @property
    def _ends(self) -> Sequence[int]:
        return [one.end() for one in self._found]

    @cached_property
    def keys(self) -> Sequence[int]:
        """What stands in each place: an index into the words of the case, of the sample, and the ids."""
        return [self._key(one) for one in self._found]

    def _key(self, one: re.Match[str]) -> int:
        if one[1]:
            return int(one[2]) + (WORDS_OF_A_CASE if one[1] == "s" else 0)
        return next(at for at, group in ((-3, 3), (-2, 4), (-1, 5)) if one[group])

    @cached_property
    def words(self) -> int:
        """Words of the sample."""
        return 1 + max(self.keys) - WORDS_OF_A_CASE

    def told(self, of_case: Sequence[str], of_sample: Sequence[str], ids: Sequence[str]) -> str:
        """The line with words in the placeholders' places.

        Args:
            of_case: words of the case.
            of_sample: words of the sample.
            ids: of the trace, of the case, and the sample's number.
        """
        every = [*of_case, *of_sample, *ids]
        filled = [every[key] for key in self.keys]
        return "".join([part for pair in zip(self.pieces, [*filled, ""], strict=True) for part in pair])


def walks(strategy: GraphStrategy) -> Mapping[str, Sequence[Walk]]:
    """Answer letter to walks that end there."""
    case = Case(id=_CASE, vignette=VIGNETTE, question="Which diagnosis is it?", options=OPTIONS)

    def walk(letter: str, course: Sequence[str]) -> Walk:
        model = ScriptedChatModel(
            script=dict.fromkeys(
                ("review_history", "generate_differential", "check_evidence", "reflect", "conclude"),
                Walker(letter, course),
            )
        )
        trace: Trace = asyncio.run(strategy(case, model))
        assert trace.ended == "concluded"
        assert not any(step.failure for step in trace.steps)
        return Walk(trace.model_copy(update={"id": _ID, "sample": _SAMPLE}).to_json())

    return {letter: [walk(letter, course) for course in COURSES.values()] for letter in LETTERS}


@dataclass(frozen=True)
class Cases:
    """So many cases, made one at a time as they are read."""

    count: int

    def __iter__(self) -> Iterator[CaseEntry]:
        for number in range(self.count):
            case = filled_case(f"case-{number}", self.words(number))
            yield CaseEntry(case, Gold(case=case.id, answer=LETTERS[Random(number).randrange(4)]))

    def words(self, number: int) -> list[str]:
        """The words of a case; of some, most are those of a question of the test set."""
        luck = Random(f"case {number}")
        own = luck.choices(VOCABULARY, k=WORDS_OF_A_CASE)
        if luck.random() < CONTAMINATED:
            own[10:110] = question_words(luck.randrange(QUESTIONS))[10:110]
        return own


def question_words(number: int) -> list[str]:
    """The words of a question of the test set."""
    return Random(f"question {number}").choices(VOCABULARY, k=WORDS_OF_A_CASE)


def filled_case(case_id: str, words: Sequence[str]) -> Case:
    """A case in these words."""

    def told(text: str) -> str:
        return re.sub(r"c(\d{4})z", lambda found: words[int(found[1])], text)

    options = {letter: told(text) for letter, text in OPTIONS.items()}
    return Case(id=case_id, vignette=told(VIGNETTE), question="Which diagnosis is it?", options=options)


def write_run(folder: Path, cases: Cases, samples: int) -> None:
    """A run folder, and its case file beside it."""
    strategy = GraphStrategy(sampling=Sampling(temperature=0.7, seed=0))
    settled = strategy.settle(ScriptedChatModel())
    by_letter = walks(strategy)
    folder.mkdir()
    known = manifest((entry.case for entry in cases), samples, settled)
    (folder / "run.json").write_text(known.model_dump_json())
    with (
        (folder / "traces.jsonl").open("w", encoding="utf-8") as out,
        folder.with_name("cases.jsonl").open("w", encoding="utf-8") as told,
    ):
        for number, (case, gold) in enumerate(cases):
            assert gold
            told.write(json.dumps({**case.model_dump(mode="json"), "answer": gold.answer}) + "\n")
            of_case = cases.words(number)
            for sample, (walk, words) in enumerate(drawn(by_letter, gold.answer, number, samples)):
                ids = (settled.trace_id(case, sample), case.id, str(sample))
                out.write(walk.told(of_case, words, ids) + "\n")


def drawn(
    by_letter: Mapping[str, Sequence[Walk]], gold: str, number: int, samples: int
) -> Iterator[tuple[Walk, Sequence[str]]]:
    """Walk and words of each sample of a case."""
    luck = Random(f"samples {number}")
    first: tuple[Walk, Sequence[str]] | None = None
    for _ in range(samples):
        fate = luck.random()
        if first and fate < SAME + NEARLY_SAME:
            walk, words = first
            if fate < NEARLY_SAME:
                words = [luck.choice(VOCABULARY) if luck.random() < EXCHANGED else word for word in words]
        else:
            letter = gold if luck.random() < RIGHT else luck.choice(LETTERS.replace(gold, ""))
            walk = luck.choice(by_letter[letter])
            words = luck.choices(VOCABULARY, k=walk.words)
        first = first or (walk, words)
        yield walk, words


def held_out() -> HeldOutSets:
    """The made-up test set."""
    questions = [filled_case(f"question-{number}", question_words(number)) for number in range(QUESTIONS)]
    return HeldOutSets((HeldOut("medqa", "made up", questions, "0" * 64),))


def timed(room: Path) -> dict[str, Any]:
    """Gate, compile, write."""
    sets = held_out()
    config = GateConfig()
    start = time.perf_counter()
    gated = gate([RunSource(room / "run", CaseFile(room / "cases.jsonl"))], config, held_out=sets)
    seconds = [time.perf_counter() - start]
    made = []
    for style in ("longmonolog", "longstep"):
        begun = time.perf_counter()
        made.append(write_journeys(gated, SetSettings(style=style, gate=config), room / style))
        seconds.append(time.perf_counter() - begun)
    total = time.perf_counter() - start
    return {
        "accepted": len(gated),
        "not_taken": {reason.value: count for reason, count in gated.report.rejected.items()},
        "gate_s": round(seconds[0], 1),
        "compile_s": {
            one.manifest.settings.style: round(s, 1) for one, s in zip(made, seconds[1:], strict=True)
        },
        "total_s": round(total, 1),
        "peak_mib": round(peak_mib()),
        "samples": {one.manifest.settings.style: one.manifest.samples for one in made},
        "set_mib": round(sum(file.bytes for one in made for file in one.manifest.files.values()) / MIB, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(timed(args.folder)))
        return
    cases = Cases(args.traces // args.samples)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        begun = time.perf_counter()
        write_run(room / "run", cases, args.samples)
        made_s = time.perf_counter() - begun
        size = (room / "run" / "traces.jsonl").stat().st_size
        child = subprocess.run(
            [sys.executable, __file__, "--folder", name], check=True, stdout=subprocess.PIPE, text=True
        )
    told = {
        "traces": cases.count * args.samples,
        "cases": cases.count,
        "bytes": size,
        "made_s": round(made_s, 1),
    }
    print(json.dumps({**told, **json.loads(child.stdout)}))


if __name__ == "__main__":
    main()
