"""The cases of a loop: those that journeys are made from and those that adapters are evaluated on, kept apart."""

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
    """A digest of cases and gold answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int
    sha256: str
    """Over the cases, in order, and the gold answers; hex."""


@dataclass(frozen=True)
class LoopCases:
    """Cases with their gold answers, which no strategy ever receives."""

    entries: Sequence[CaseEntry]
    selection: Selection | None
    """None for a case file."""

    def __iter__(self) -> Iterator[Case]:
        return (entry.case for entry in self.entries)

    @cached_property
    def known(self) -> CaseSet:
        """Their ids and digest."""
        return case_set(self)

    @cached_property
    def golds(self) -> Mapping[str, str]:
        """Case id to gold answer, for scoring only."""
        return {entry.case.id: entry.gold.answer for entry in self.entries if entry.gold}

    @property
    def key(self) -> Sequence[CaseEntry] | None:
        """The answer key for `score_run`; None for a benchmark, whose key the scorer finds itself."""
        return None if self.selection else self.entries

    @property
    def digest(self) -> CaseDigest:
        """The digest of cases and gold answers."""
        answers = "".join(f"\0{case}\0{answer}" for case, answer in self.golds.items())
        sha256 = hashlib.sha256(f"{self.known.sha256}{answers}".encode()).hexdigest()
        return CaseDigest(count=self.known.count, sha256=sha256)


def cases_of(work: CaseWork, file: LoopFile) -> LoopCases:
    """Load the cases that a section names. A benchmark's name takes precedence over a file of that name.

    Raises:
        LoopError: a case has no gold answer, or there is no case.
        BenchmarkError, CaseFileError, CaseConflict: the cases cannot be read, or two of them share an id.
    """
    cases = _of_benchmark(work) if work.cases in BENCHMARKS else _of_file(work, file)
    if not cases.entries:
        raise LoopError(f"{file.path}: {work.cases} holds no cases")
    without = [entry.case.id for entry in cases.entries if entry.gold is None]
    if without:
        raise LoopError(
            f"{file.path}: {_listed(without)} in {work.cases} {'has' if len(without) == 1 else 'have'} no gold "
            "answer: give every case its `answer`"
        )
    _ = cases.known  # raises now if two cases share an id
    return cases


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
            f"{file.path}: split is only for a benchmark ({', '.join(BENCHMARKS)}); {work.cases!r} is read as a "
            "case file: remove split"
        )
    entries: Iterable[CaseEntry] = list(read_cases(file.place(work.cases)))
    if work.limit is not None:
        entries = sample(entries, work.limit, work.limit_seed)
    return LoopCases(tuple(entries), None)


def check_apart(generate: LoopCases, evaluate: LoopCases) -> None:
    """Check that no validation case is among those that the training data come from.

    Ids and the words of vignette and question are compared; a reworded question is not recognised.

    Raises:
        LoopError: a validation case is.
    """
    ids = {case.id for case in generate}
    shared = [case.id for case in evaluate if case.id in ids]
    if shared:
        raise LoopError(
            f"[evaluate] and [generate] share {_listed(shared)}: an adapter must be evaluated on cases that it "
            "was not trained on; choose other cases for one of the two"
        )
    asked = {_question(case): case.id for case in generate}
    pairs = [
        f"{case.id} asks what {asked[_question(case)]} asks" for case in evaluate if _question(case) in asked
    ]
    if pairs:
        more = f", and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
        raise LoopError(
            f"[evaluate] and [generate] share questions ({'; '.join(pairs[:_NAMED])}{more}): remove them from "
            "one of the two"
        )


def _question(case: Case) -> tuple[str, ...]:
    return tuple(words(stem_of(case)))


def _listed(ids: Sequence[str]) -> str:
    named = ", ".join(map(repr, ids[:_NAMED]))
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"the case{'s' if len(ids) > 1 else ''} {named}{more}"
