"""Gold answers for pages: from the run's benchmark or from a case file, where they are to be had."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from ddxgraph.common.errors import BenchmarkError
from ddxgraph.eval.benchmarks.items import load
from ddxgraph.eval.cases import CaseEntry, CaseFile
from ddxgraph.eval.scoring.rule import verdict_of
from ddxgraph.eval.scoring.run import manifest_of
from ddxgraph.view.data.judged import Judge, Judged, Verdict


class GoldAnswers(NamedTuple):
    """Who judges the traces of a source, and why he may not know their gold answers."""

    judge: Judge
    unknown: str
    """Empty where they are known."""


def gold_answers(source: Path, cases: Path | None) -> GoldAnswers:
    """Find the gold answers of a run folder or trace file.

    A page can be read without them, so that their absence is said and is no error.

    Args:
        source: the folder or file.
        cases: a case file that holds them.

    Raises:
        CaseFileError: the case file cannot be read.
        ScoreError: the folder holds no run.
    """
    if cases is not None:
        return GoldAnswers(_Key(CaseFile(cases)), "")
    selection = manifest_of(source).selection if source.is_dir() else None
    if selection is None:
        return GoldAnswers(_Key(()), "give the case file that holds them: --cases FILE")
    try:
        return GoldAnswers(_Key(load(selection)), "")
    except BenchmarkError as error:
        return GoldAnswers(_Key(()), str(error))


class _Key:
    """Judges traces of the cases that it has; a case of the same id and other content is not among them."""

    def __init__(self, entries: Iterable[CaseEntry]) -> None:
        self._known = {
            entry.case.id: (entry.case.model_dump(mode="json"), entry.gold.answer)
            for entry in entries
            if entry.gold
        }

    def __call__(self, record: Mapping[str, Any]) -> Judged | None:
        case = record["case"]
        shown, gold = self._known.get(case["id"], ({}, ""))
        if not shown or any(case.get(field) != value for field, value in shown.items() if field in _SEEN):
            return None
        options = case.get("options") or {}
        return Judged(
            gold, cast(Verdict, str(verdict_of(record["outcome"], record["answer"], gold, options)))
        )


_SEEN = ("vignette", "question", "options")
"""What a model sees of a case: with the same of it, the gold answer holds."""
