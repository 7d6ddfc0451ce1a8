"""Judgements of free-form answers by judge models: an append-only file beside a run's traces."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import JudgementError
from ddxgraph.common.jsonl import LineFile, LineLog, line_of
from ddxgraph.graph.trace import Provenance
from ddxgraph.nodes.call.usage import Usage, total_usage
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import Failure

JUDGEMENTS: Final = "judgements.jsonl"
LOCK: Final = "judgements.lock"
_FILE: Final = LineFile(
    record="a judgement of version 1",
    error=JudgementError,
    busy="{folder} is being judged by another process; wait for it",
    lock=LOCK,
    beginning=b'{"version":1,"judge":"',
)

_DIGEST_CHARS: Final = 16


class Judgement(BaseModel):
    """A judge's verdict on an answer, or why there is none. Traces with the same answer share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    judge: str
    """Digest of the judge: its model, adapter, sampling and prompt; 16 hex digits."""
    question: str
    """Digest of the question: the case, the gold answer and the answer; 16 hex digits."""
    case: str
    """The case's id."""
    trace: str
    """Id of a trace that gave the answer."""
    answer: str
    equivalent: bool | None
    """Whether the answer means the same as the gold answer; None if the judge failed: unscored, asked again."""
    reason: str = ""
    failure: Failure | None = None
    provenance: Provenance
    """Of the judge; `prompt_set` is the hash of its prompts."""
    usage: Usage
    """Of the judge; never counted as the strategy's."""


def question_digest(case: Case, gold: str, answer: str) -> str:
    """Identifies a question to a judge: it changes with the case, the gold answer and the answer.

    Args:
        case: the case.
        gold: its gold answer.
        answer: the answer to judge.

    Returns:
        16 hex digits.
    """
    question = json.dumps([case.digest, gold, answer], ensure_ascii=False)
    return hashlib.sha256(question.encode(errors="replace")).hexdigest()[:_DIGEST_CHARS]


def judge_digest(provenance: Provenance) -> str:
    """Identifies a judge: it changes with the model, the adapter, the sampling and the prompt."""
    made, sampling = provenance, dict(provenance.sampling)
    identity = [made.model, made.adapter, made.adapter_sha256, sampling, made.prompt_set]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_DIGEST_CHARS]


def read_judgements(path: Path) -> Iterator[Judgement]:
    """The judgements of a file, in its order; none if there is no file. A truncated last line is left out.

    Raises:
        JudgementError: the file cannot be read, or a line is not a judgement.
    """
    return _FILE.records(path, Judgement)


class JudgementLog(LineLog):
    """A file of judgements open for appending, by one process at a time; a context manager.

    Args:
        folder: the run's folder.

    Raises:
        JudgementError: another process judges the run, or the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.known: Mapping[str, Sequence[Judgement]] = {}
        """Judge to its judgements at the time the file was opened."""
        super().__init__(folder / JUDGEMENTS, _FILE, check=self._read)

    def append(self, judgements: Iterable[Judgement]) -> None:
        """Append judgements, and wait until they are on the disk.

        Raises:
            JudgementError: they cannot be written; the file is as it was.
        """
        self.write([line_of(judgement) for judgement in judgements])

    def _read(self, _last: bytes) -> None:
        self.known = _by_judge(read_judgements(self.path))


def _by_judge(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    by_judge: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_judge.setdefault(judgement.judge, []).append(judgement)
    return by_judge


@dataclass(frozen=True)
class Judge:
    """A judge and all its judgements of a run."""

    digest: str
    provenance: Provenance
    verdicts: Mapping[str, Judgement]
    """Question digest to the judgement that counts: the last with an answer, else the last failure."""
    usage: Usage
    """Over all of them, failures included."""

    def settled(self, question: str) -> bool | None:
        """Whether the answer was found equivalent; None if the judge was not asked, or failed."""
        verdict = self.verdicts.get(question)
        return verdict.equivalent if verdict else None

    def why_not(self, question: str) -> str:
        """Why there is no judgement, as a reason for being unscored."""
        verdict = self.verdicts.get(question)
        return f"judge {verdict.failure.kind.value}" if verdict and verdict.failure else "not judged"


def judge_of(judgements: Sequence[Judgement]) -> Judge:
    """A judge from its judgements, at least one."""
    verdicts: dict[str, Judgement] = {}
    for judgement in judgements:
        before = verdicts.get(judgement.question)
        if before is None or before.equivalent is None or judgement.equivalent is not None:
            verdicts[judgement.question] = judgement
    last, usage = judgements[-1], total_usage(judgement.usage for judgement in judgements)
    return Judge(last.judge, last.provenance, verdicts, usage)


def find_judge(folder: Path, wanted: str | Literal[True]) -> Judge:
    """A judge of a run.

    Args:
        folder: the run's folder.
        wanted: the beginning of its digest, or its model's name; True for the only one there is.

    Raises:
        JudgementError: no judge or several fit; or the file cannot be read.
    """
    known = _by_judge(read_judgements(folder / JUDGEMENTS))
    if not known:
        raise JudgementError(f"{folder} has no judgements: run `ddxgraph judge {folder}` first")
    fitting = [
        judgements
        for digest, judgements in known.items()
        if wanted is True or digest.startswith(wanted) or judgements[-1].provenance.model == wanted
    ]
    if len(fitting) == 1:
        return judge_of(fitting[0])
    names = "; ".join(f"{digest} ({its[-1].provenance.model})" for digest, its in known.items())
    how = "several judges" if fitting else f"no judge {wanted!r}"
    raise JudgementError(f"{folder} has {how}; name one by its digest: {names}")


@dataclass(frozen=True)
class Judged:
    """A judge's effect on a scored run. Counts are of traces with a free-form answer."""

    judge: str
    """Digest of the judge."""
    model: str
    adapter: str | None
    prompt_hash: str
    matched: int
    """Correct by the normalised match, which is never overruled."""
    judged: int
    """Settled by the judge."""
    unjudged: Mapping[str, int]
    """Reason to traces that neither the match nor the judge settled: unscored."""
    both: int
    """Correct by the match, and equivalent according to the judge, if it was asked anyway."""
    match_only: int
    """Correct by the match, but not equivalent according to the judge."""
    judge_only: int
    """Not correct by the match, but equivalent according to the judge."""
    neither: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    """Of the judge only, failures and repairs included; not part of the strategy's."""


@dataclass
class Agreement:
    """Counts how a judge and the normalised match agree, trace by trace."""

    judge: Judge
    cells: Counter[tuple[bool, bool | None]] = field(default_factory=Counter)
    """(correct by the match, equivalent to the judge or None) to traces."""
    unjudged: Counter[str] = field(default_factory=Counter)

    def add(self, matched: bool, question: str) -> bool | None:
        """Count a trace and return whether it is correct; None if neither can say."""
        equivalent = self.judge.settled(question)
        self.cells[matched, equivalent] += 1
        if matched:
            return True
        if equivalent is None:
            self.unjudged[self.judge.why_not(question)] += 1
        return equivalent

    def judged(self) -> Judged:
        """The counts as a scored run holds them."""
        made, cells, usage = self.judge.provenance, self.cells, self.judge.usage
        return Judged(
            judge=self.judge.digest,
            model=made.model,
            adapter=made.adapter,
            prompt_hash=made.prompt_set,
            matched=sum(count for (matched, _), count in cells.items() if matched),
            judged=cells[False, True] + cells[False, False],
            unjudged=dict(self.unjudged),
            both=cells[True, True],
            match_only=cells[True, False],
            judge_only=cells[False, True],
            neither=cells[False, False],
            calls=usage.calls,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        )
