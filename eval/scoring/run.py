"""A run folder scored: every trace against the gold answers, and nothing left out of the denominator."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError

from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import read_lines
from ddxgraph.common.errors import ScoreError, fault_of
from ddxgraph.common.files import read_regular, real
from ddxgraph.eval.cases import CaseEntry, Gold
from ddxgraph.eval.scoring.answerkey import AnswerKey, answer_key
from ddxgraph.eval.scoring.judgements import JUDGEMENTS, Agreement, Judge, Judged, find_judge, question_digest
from ddxgraph.eval.scoring.rule import Score, Verdict, choice_of, find_letters, verdict_of
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.case import Case

MISSING: Final = "missing"
ABSENT: Final = "absent"

_REPORT_EVERY: Final = 1 << 20
"""Bytes between two calls of the progress callback."""

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes in total."""


@dataclass(frozen=True)
class ScoredRun:
    """A run and its scores. A (case, sample) is a pair; the denominator is all pairs, whatever became of them."""

    name: str
    """The folder's name."""
    path: Path
    manifest: Manifest
    golds: Mapping[str, Gold]
    """Case id to gold answer, in the order of the benchmark."""
    options: Mapping[str, Mapping[str, str]]
    """Case id to the options as shown; empty ones for a free-form case."""
    scores: Sequence[Score]
    """One for each pair with a trace or only failed attempts (verdict `ERROR`); by case, then by sample."""
    missing: int
    """Pairs with neither: the run has not reached them."""
    absent: int = 0
    """Cases of the benchmark that the user's data lack, such as JAMA items that were not imported."""
    lost: Usage = Usage()  # noqa: RUF009 - frozen
    """Cost of failed attempts. Where a later attempt succeeded, no score includes it."""
    judged: Judged | None = None
    """What the judge did, where one settled free-form answers."""

    @property
    def size(self) -> int:
        """Cases of the benchmark, absent ones included."""
        return len(self.golds) + self.absent

    @property
    def pairs(self) -> int:
        """Cases times samples: the denominator."""
        return self.size * self.manifest.samples

    @cached_property
    def by_case(self) -> Mapping[str, Sequence[Score]]:
        """Case id to its scores, samples in order; every case of `golds`, also one without a score."""
        by_case: dict[str, list[Score]] = {case: [] for case in self.golds}
        for score in self.scores:
            by_case[score.case].append(score)
        return by_case

    @cached_property
    def counts(self) -> Mapping[Verdict, int]:
        """Pairs of each verdict; `missing` and `absent` ones are in none."""
        counts = Counter(score.verdict for score in self.scores)
        return {verdict: counts[verdict] for verdict in Verdict}

    @cached_property
    def incomplete(self) -> Mapping[str, int]:
        """Reason to unscored pairs: kinds of failures, `missing`, `absent`. Empty where there are none."""
        reasons = Counter(score.failure for score in self.scores if score.verdict is Verdict.ERROR)
        reasons[MISSING] += self.missing
        reasons[ABSENT] += self.absent * self.manifest.samples
        return {reason: count for reason, count in reasons.most_common() if count}

    @property
    def unscored(self) -> int:
        """Pairs of which it is unknown whether they are correct."""
        return sum(self.incomplete.values())

    @property
    def accuracy(self) -> float:
        """Correct / all pairs, in 0..1. Where the result is incomplete, a lower bound: see `bounds`."""
        return self.counts[Verdict.CORRECT] / self.pairs

    @property
    def bounds(self) -> tuple[float, float]:
        """The accuracy if all unscored pairs were wrong, and if all were correct."""
        return self.accuracy, (self.counts[Verdict.CORRECT] + self.unscored) / self.pairs

    @property
    def accuracy_scored(self) -> float | None:
        """Correct / scored pairs; None where none is scored. Never report it alone: the pairs that fail are often
        the long and hard ones."""
        scored = self.pairs - self.unscored
        return self.counts[Verdict.CORRECT] / scored if scored else None

    @property
    def loose_accuracy(self) -> float | None:
        """Accuracy by the looser rule (see `rule`), over all pairs: the better of first and last match over the
        whole run. For comparison only. None where no trace of a case with options is scored."""
        ruled = [score for score in self.scores if score.loose_first is not None]
        if not ruled:
            return None
        first, last = sum(bool(s.loose_first) for s in ruled), sum(bool(s.loose_last) for s in ruled)
        return max(first, last) / self.pairs


def score_run(
    folder: Path | str,
    cases: Iterable[CaseEntry] | None = None,
    *,
    judge: str | Literal[True] | None = None,
    progress: Progress | None = None,
) -> ScoredRun:
    """Score a run by the strict rule, and by the looser one beside it. The run may still be in progress.

    Trace lines are read but not kept: memory grows by one score a trace, under 2 kB. If a trace's id stands
    twice, the later line counts; a failed attempt counts only where no trace of its pair has ended.

    Args:
        folder: the run's folder.
        cases: the cases with their gold answers (`read_cases`); required for a run of a case file. By default
            those of the manifest's selection, from the user's data folder.
        judge: whose judgements settle the free-form answers that the normalised match does not: the beginning
            of a judge's digest, or its model's name; True for the only one there is. None: the match alone.
        progress: called about every megabyte.

    Returns:
        The run with its scores.

    Raises:
        ScoreError: the folder holds no run, a case has no gold answer, or a trace is not of these cases; the
            message names file and line.
        JudgementError: there is no such judge.
        BenchmarkError: the benchmark's data are missing or damaged.
        CaseFileError, CaseConflict: the cases cannot be read, or two of them have one id.
        TraceFileError: a trace file cannot be read.

    Example:
        >>> import asyncio
        >>> from ddxgraph import Case, Gold, run
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> async def pilot() -> list[str]:
        ...     return [trace.id async for trace in run([case], ScriptedChatModel(), out="runs/pilot")]
        >>> _ = asyncio.run(pilot())
        >>> score_run("runs/pilot", [CaseEntry(case, Gold(case=case.id, answer="A"))]).accuracy
        1.0
    """
    folder = Path(folder)
    manifest = manifest_of(folder)
    key = answer_key(manifest, cases)
    book = _Book(key, manifest.samples)
    for trace in _traces(folder, progress):
        book.take(trace)
    key.check(manifest)
    scores, judged = book.scores(), None
    if judge is not None and _needs_judge(scores, key, folder):
        scores, judged = _judged(scores, key, find_judge(folder, judge))
    return ScoredRun(
        name=real(folder).name,
        path=folder,
        manifest=manifest,
        golds={case: entry.gold for case, entry in key.entries.items() if entry.gold},
        options={case: entry.case.options for case, entry in key.entries.items()},
        scores=scores,
        missing=len(key.entries) * manifest.samples - len(scores),
        absent=key.absent,
        lost=book.lost(),
        judged=judged,
    )


def manifest_of(folder: Path) -> Manifest:
    """The manifest of a run folder.

    Raises:
        ScoreError: there is none, or it has another version.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(read_regular(path))
    except ValidationError as error:
        raise ScoreError(f"{path} is not a manifest of version 1 ({fault_of(error, 'file')})") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ScoreError(
            f"{folder} is not a run folder: it has no {MANIFEST}; name what `ddxgraph run --out` made"
        ) from None
    except OSError as error:
        raise ScoreError(f"cannot read {path}: {error.strerror or error}") from None


class _Traced(NamedTuple):
    record: Mapping[str, Any]
    where: str
    """File, line and id of the trace, in words."""


def _traces(folder: Path, progress: Progress | None) -> Iterator[_Traced]:
    """Every line of a run's two files, with progress."""
    paths = [path for name in (ERRORS, TRACES) if (path := folder / name).exists()]
    total = sum(path.stat().st_size for path in paths)
    done = reported = 0
    for path in paths:
        for record, text, number in read_lines(path):
            done += 1 + (len(text) if text.isascii() else len(text.encode()))
            if progress and done - reported >= _REPORT_EVERY:
                reported = done
                progress(min(done, total), total)
            yield _Traced(record, f"{path}, line {number} (trace {record['id']})")
    if progress:
        progress(total, total)


class _Pair(NamedTuple):
    case: str
    sample: int


class _Book:
    """Turns traces into scores, and refuses those of other cases."""

    def __init__(self, key: AnswerKey, samples: int) -> None:
        self._key, self._samples = key, samples
        self._shown = {case: entry.case.model_dump(mode="json") for case, entry in key.entries.items()}
        self._places = {case: place for place, case in enumerate(key.entries)}
        self._ended: dict[_Pair, Score] = {}
        self._failed: dict[_Pair, Score] = {}
        self._lost: Counter[str] = Counter()

    def take(self, trace: _Traced) -> None:
        """Score a trace.

        Raises:
            ScoreError: its case or sample is not the run's, its pair has another trace, or it is malformed.
        """
        pair, entry = self._pair(trace)
        try:
            score = score_of(trace.record, pair.sample, entry)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ScoreError(
                f"{trace.where} is malformed ({type(error).__name__}: {error}); take the line out"
            ) from None
        if score.verdict is Verdict.ERROR:
            self._failed[pair] = score
            self._lost.update(
                calls=score.calls, prompt=score.prompt_tokens, completion=score.completion_tokens
            )
            return
        before = self._ended.get(pair)
        if before is not None and before.trace != score.trace:
            raise ScoreError(
                f"{trace.where} is a second trace of the case {pair.case!r}, sample {pair.sample}, beside "
                f"{before.trace}: the folder holds traces of two runs; take one run's out"
            )
        self._ended[pair] = score

    def scores(self) -> list[Score]:
        """All scores, by case, then by sample."""
        known = {**self._failed, **self._ended}
        return [
            known[pair] for pair in sorted(known, key=lambda pair: (self._places[pair.case], pair.sample))
        ]

    def lost(self) -> Usage:
        """Cost of the failed attempts."""
        lost = self._lost
        return Usage(calls=lost["calls"], prompt_tokens=lost["prompt"], completion_tokens=lost["completion"])

    def _pair(self, trace: _Traced) -> tuple[_Pair, CaseEntry]:
        traced, sample = trace.record["case"], trace.record.get("sample", 0)
        entry = self._key.entries.get(traced["id"])
        if entry is None:
            raise ScoreError(
                f"{trace.where} is of the case {traced['id']!r}, which is none of the {len(self._shown)} cases "
                "in hand: score it against the cases that it was made of"
            )
        case = entry.case.id
        if traced != self._shown[case] and (changed := _changed(traced, self._shown[case])):
            raise ScoreError(
                f"{trace.where}: its case {case!r} is not the row in hand, {changed} differs; score it "
                "against the cases that it was made of, or run it anew"
            )
        if not isinstance(sample, int) or not 0 <= sample < self._samples:
            raise ScoreError(
                f"{trace.where} is sample {sample!r} of the case {case!r}, but the run has {self._samples} of "
                "each, from 0"
            )
        return _Pair(case, sample), entry


def _changed(traced: Mapping[str, Any], shown: Mapping[str, Any]) -> str:
    """The fields in which a trace's case differs from the row; an absent field has its default."""
    blank = Case(vignette="-").model_dump(mode="json")
    fields = [field for field in shown if traced.get(field, blank[field]) != shown[field]]
    return ", ".join(fields + [field for field in traced if field not in shown])


def score_of(record: Mapping[str, Any], sample: int, entry: CaseEntry) -> Score:
    """The score of a trace from its plain JSON object; pure.

    Args:
        record: the trace.
        sample: its number.
        entry: its case, with the gold answer.

    Returns:
        The score.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: the trace is malformed.
    """
    case, gold = entry
    assert gold is not None  # noqa: S101 - an answer key has one for every case
    answer, options = record["answer"], case.options
    verdict = verdict_of(record["outcome"], answer, gold.answer, options)
    usage, steps = record.get("usage") or {}, record.get("steps") or ()
    loose_first = loose_last = None
    if options and verdict is not Verdict.ERROR:
        text = steps[-1].get("text", "") if steps else ""
        first, last = find_letters(text, options) if text else (None, None)
        loose_first, loose_last = first == gold.answer, last == gold.answer
    return Score(
        case=case.id,
        sample=sample,
        verdict=verdict,
        answer=answer,
        gold=gold.answer,
        choice=choice_of(answer, options),
        loose_first=loose_first,
        loose_last=loose_last,
        distribution=record.get("distribution") or {},
        completion_tokens=int(usage.get("completion_tokens", 0)),
        prompt_tokens=int(usage.get("prompt_tokens", 0)),
        calls=int(usage.get("calls", 0)),
        repairs=sum(map(_repairs, steps)),
        backtracks=sum(bool(step["move"].get("backtrack")) for step in steps),
        elapsed_s=float(record.get("elapsed_s", 0.0)),
        ended=str(record.get("ended", "")),
        failure=_failure_kind(record) if verdict is Verdict.ERROR else "",
        trace=record["id"],
        cut=bool(record.get("cut_prompts")),
    )


def _repairs(step: Mapping[str, Any]) -> int:
    """Calls of a step that were made because a reply did not fit."""
    attempts = step.get("attempts")
    return min(len(attempts), int(step["usage"]["calls"]) - 1) if attempts else 0


def _failure_kind(record: Mapping[str, Any]) -> str:
    return str((record.get("failure") or {}).get("kind", "other"))


def _needs_judge(scores: Iterable[Score], key: AnswerKey, folder: Path) -> bool:
    """Whether the normalised match leaves something open, or a judge was asked anyway."""
    free = {score.verdict for score in scores if not key.entries[score.case].case.options}
    asked = Verdict.CORRECT in free and (folder / JUDGEMENTS).exists()
    return asked or Verdict.INCORRECT in free


def _judged(scores: Iterable[Score], key: AnswerKey, judge: Judge) -> tuple[list[Score], Judged]:
    """Scores in which a judge has settled what the normalised match leaves open."""
    agreement = Agreement(judge)
    return [_settled(score, key.entries[score.case].case, agreement) for score in scores], agreement.judged()


def _settled(score: Score, case: Case, agreement: Agreement) -> Score:
    if case.options or score.verdict not in {Verdict.CORRECT, Verdict.INCORRECT}:
        return score
    matched, question = (
        score.verdict is Verdict.CORRECT,
        question_digest(case, score.gold, score.answer or ""),
    )
    match agreement.add(matched, question):
        case True:
            return score if matched else replace(score, verdict=Verdict.CORRECT)
        case False:
            return score
        case None:
            return replace(score, verdict=Verdict.ERROR, failure=agreement.judge.why_not(question))
