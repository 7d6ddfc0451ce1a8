"""The cases of a loop: where journeys come from, and where an adapter is put to the test. They share nothing."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pydantic import BaseModel, ConfigDict

from ddxgraph.batch.manifest import CaseSet, Selection, case_set
from ddxgraph.common.errors import LoopError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.benchmarks.registry import BENCHMARKS
from ddxgraph.eval.cases import CaseEntry, read_cases, sample
from ddxgraph.nodes.case import Case
from ddxgraph.training.gate.text import stem_of, words
from ddxgraph.training.loop.config import CaseWork, LoopFile

_NAMED: Final = 3


class CaseDigest(BaseModel):
    """Cases and their gold answers, by their content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    sha256: str
    """Over the cases in their order, and the gold answers; hex."""


@dataclass(frozen=True)
class LoopCases:
    """Cases with their gold answers, which no strategy is ever handed."""

    entries: Sequence[CaseEntry]
    selection: Selection | None
    """None for a case file."""

    def __iter__(self) -> Iterator[Case]:
        return (entry.case for entry in self.entries)

    @cached_property
    def known(self) -> CaseSet:
        """Which they are."""
        return case_set(self)

    @cached_property
    def golds(self) -> Mapping[str, str]:
        """Case id to gold answer, for the scores alone."""
        return {entry.case.id: entry.gold.answer for entry in self.entries if entry.gold}

    @property
    def key(self) -> Sequence[CaseEntry] | None:
        """The answer key, as a run's scorer takes it: None where it finds the benchmark's by itself."""
        return None if self.selection else self.entries

    @property
    def digest(self) -> CaseDigest:
        """Cases and gold answers, by their content."""
        told = "".join(f"\0{case}\0{answer}" for case, answer in self.golds.items())
        whole = hashlib.sha256(f"{self.known.sha256}{told}".encode()).hexdigest()
        return CaseDigest(count=self.known.count, sha256=whole)


def cases_of(work: CaseWork, file: LoopFile) -> LoopCases:
    """The cases that a section names. A benchmark's name is that benchmark, whatever files there are.

    Raises:
        LoopError: a case has no gold answer, or there is no case.
        BenchmarkError, CaseFileError, CaseConflict: they cannot be read, or two of them have one id.
    """
    found = _of_benchmark(work) if work.cases in BENCHMARKS else _of_file(work, file)
    if not found.entries:
        raise LoopError(f"{file.path}: {work.cases} holds no cases")
    without = [entry.case.id for entry in found.entries if entry.gold is None]
    if without:
        raise LoopError(
            f"{file.path}: {_listed(without)} in {work.cases} {'has' if len(without) == 1 else 'have'} no gold "
            "answer: give every case its `answer`"
        )
    _ = found.known  # read through, so that two cases of one id are found before anything is started
    return found


def _of_benchmark(work: CaseWork) -> LoopCases:
    wanted = Selection(
        benchmark=work.cases,
        split=work.split or work.USUAL_SPLIT,
        limit=work.limit,
        limit_seed=work.limit_seed,
    )
    items = load(wanted)
    return LoopCases(items.entries, items.selection)


def _of_file(work: CaseWork, file: LoopFile) -> LoopCases:
    if work.split is not None:
        raise LoopError(
            f"{file.path}: split is for a benchmark ({', '.join(BENCHMARKS)}), and {work.cases!r} is read as a "
            "case file: leave it out"
        )
    entries: Iterable[CaseEntry] = list(read_cases(file.place(work.cases)))
    if work.limit is not None:
        entries = sample(entries, work.limit, work.limit_seed)
    return LoopCases(tuple(entries), None)


def check_apart(generate: LoopCases, evaluate: LoopCases) -> None:
    """See that no validation case is among those that the training data come from.

    Compared are ids and the words of vignette and question; a question that was reworded is not found so.

    Raises:
        LoopError: one is.
    """
    ids = {case.id for case in generate}
    shared = [case.id for case in evaluate if case.id in ids]
    if shared:
        raise LoopError(
            f"[evaluate] has {_listed(shared)} of [generate] too: an adapter must be judged on cases that it was "
            "not trained on; choose other cases for one of the two"
        )
    asked = {_question(case): case.id for case in generate}
    pairs = [
        f"{case.id} asks what {asked[_question(case)]} asks" for case in evaluate if _question(case) in asked
    ]
    if pairs:
        more = f", and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
        raise LoopError(
            f"[evaluate] and [generate] share questions ({'; '.join(pairs[:_NAMED])}{more}): take them out of "
            "one of the two"
        )


def _question(case: Case) -> tuple[str, ...]:
    return tuple(words(stem_of(case)))


def _listed(ids: Sequence[str]) -> str:
    named = ", ".join(map(repr, ids[:_NAMED]))
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"the case{'s' if len(ids) > 1 else ''} {named}{more}"
