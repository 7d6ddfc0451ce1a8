"""The answer key of a run: its cases with their gold answers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ddxgraph.batch.manifest import CaseSet, Manifest, case_set
from ddxgraph.common.errors import ScoreError
from ddxgraph.eval.benchmarks.items import Items, absent_from, load
from ddxgraph.eval.cases import CaseEntry
from ddxgraph.nodes.case import Case


class AnswerKey(NamedTuple):
    """The cases of a run with their gold answers."""

    entries: Mapping[str, CaseEntry]
    """Case id to case and gold answer, in their order."""
    cases: CaseSet
    absent: int
    """Cases of the benchmark that the user's data lack."""

    def check(self, manifest: Manifest) -> None:
        """Check that these are the run's cases, those without a trace included.

        Raises:
            ScoreError: they are not.
        """
        if self.cases == manifest.cases:
            return
        ours, its = self.cases, manifest.cases
        how = (
            f"{its.count} cases, not {ours.count}"
            if ours.count != its.count
            else "the same number of cases, but others, or in another order"
        )
        raise ScoreError(
            f"these are not the cases of the run: it has {how} (sha256 {its.sha256[:12]}..., here "
            f"{ours.sha256[:12]}...); score it against the cases that it was made from"
        )


def answer_key(manifest: Manifest, cases: Iterable[CaseEntry] | None) -> AnswerKey:
    """The answer key of a run: the cases given, else those of the manifest's selection.

    Raises:
        ScoreError: a case file is needed, or a case has no gold answer, or one that is none of its options.
        BenchmarkError, CaseFileError, CaseConflict: see `ddxgraph.eval.scoring.run.score_run`.
    """
    if cases is None:
        if manifest.selection is None:
            raise ScoreError(
                "the run was made of a case file, which holds the gold answers: give it (--cases FILE, or "
                "cases=read_cases(FILE))"
            )
        cases = load(manifest.selection)
    rows: dict[str, CaseEntry] = {}

    def kept() -> Iterator[Case]:
        for entry in cases:
            yield entry.case
            _keep(entry, rows)

    known = case_set(kept())
    if not rows:
        raise ScoreError("there are no cases to score against")
    if isinstance(cases, Items):
        return AnswerKey(rows, known, cases.denominator - len(cases))
    return AnswerKey(rows, known, absent_from(manifest.selection, known.count))


def _keep(entry: CaseEntry, rows: dict[str, CaseEntry]) -> None:
    case, gold = entry
    if gold is None:
        raise ScoreError(f"the case {case.id!r} has no gold answer: give every case its `answer`")
    if case.options and gold.answer not in case.options:
        raise ScoreError(
            f"the gold answer {gold.answer!r} of the case {case.id!r} is none of its options "
            f"{', '.join(case.letters)}"
        )
    if rows.setdefault(case.id, entry).gold != gold:
        raise ScoreError(f"the case {case.id!r} occurs twice, with two different gold answers")
