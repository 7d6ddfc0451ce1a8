"""What judge models said of free-form answers: a file beside a run's traces, only ever added to."""

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
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.failure import Failure
from ddxgraph.nodes.usage import Usage, total_usage

JUDGEMENTS: Final = "judgements.jsonl"
LOCK: Final = "judgements.lock"
_FILE: Final = LineFile(
    record="a judgement of version 1",
    error=JudgementError,
    busy="{folder} is being judged by another process; wait for it",
    lock=LOCK,
)

_DIGEST_CHARS: Final = 16


class Judgement(BaseModel):
    """What a judge said of an answer, or why it said nothing. Traces with the same answer share it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    judge: str
    """Digest of the judge: its model, adapter, sampling and prompt; 16 hex digits."""
    question: str
    """Digest of what it was asked: the case, the gold answer and the answer; 16 hex digits."""
    case: str
    """The case's id."""
    trace: str
    """Id of a trace that gave the answer."""
    answer: str
    equivalent: bool | None
    """Whether the answer says what the gold answer says; None where the judge failed: unscored, asked again."""
    reason: str = ""
    failure: Failure | None = None
    provenance: Provenance
    """Of the judge; `prompt_set` is the hash of its prompts."""
    usage: Usage
    """What the judge wrote and read; never counted as the strategy's."""


def question_digest(case: Case, gold: str, answer: str) -> str:
    """Names what a judge is asked: with another case, gold answer or answer it is another question."""
    asked = json.dumps([case.digest, gold, answer], ensure_ascii=False)
    return hashlib.sha256(asked.encode(errors="replace")).hexdigest()[:_DIGEST_CHARS]


def judge_digest(provenance: Provenance) -> str:
    """Names a judge: another model, adapter, sampling or prompt is another judge."""
    decides = [
        provenance.model,
        provenance.adapter,
        provenance.adapter_sha256,
        dict(provenance.sampling),
        provenance.prompt_set,
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:_DIGEST_CHARS]


def read_judgements(path: Path) -> Iterator[Judgement]:
    """Judgements of a file, in its order; none where there is no file. A last line that was cut short is
    left out.

    Raises:
        JudgementError: the file cannot be read, or a line of it is no judgement.
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
        """Judge to its judgements, when the file was opened."""
        super().__init__(folder / JUDGEMENTS, _FILE, check=self._read)

    def append(self, judgements: Iterable[Judgement]) -> None:
        """Append judgements, and wait until they are on the disk.

        Raises:
            JudgementError: they cannot be written; those before them are untouched.
        """
        self.write([line_of(judgement) for judgement in judgements])

    def _read(self, _last: bytes) -> None:
        self.known = _by_judge(read_judgements(self.path))


def _by_judge(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    found: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        found.setdefault(judgement.judge, []).append(judgement)
    return found


@dataclass(frozen=True)
class Judge:
    """A judge and all that it said of a run."""

    digest: str
    provenance: Provenance
    said: Mapping[str, Judgement]
    """Question digest to the judgement that counts: the last that came to an answer, else the last failure."""
    usage: Usage
    """Over all of them, failures included."""

    def settled(self, question: str) -> bool | None:
        """Whether the answer was found equivalent; None where the judge was not asked, or failed."""
        found = self.said.get(question)
        return found.equivalent if found else None

    def why_not(self, question: str) -> str:
        """Why there is no judgement, as a reason for being unscored."""
        found = self.said.get(question)
        return f"judge {found.failure.kind.value}" if found and found.failure else "not judged"


def judge_of(judgements: Sequence[Judgement]) -> Judge:
    """A judge from its judgements, one at least."""
    said: dict[str, Judgement] = {}
    for judgement in judgements:
        before = said.get(judgement.question)
        if before is None or before.equivalent is None or judgement.equivalent is not None:
            said[judgement.question] = judgement
    last = judgements[-1]
    return Judge(last.judge, last.provenance, said, total_usage(one.usage for one in judgements))


def find_judge(folder: Path, wanted: str | Literal[True]) -> Judge:
    """The judge of a run that is meant.

    Args:
        folder: the run's folder.
        wanted: the beginning of its digest, or its model's name; True: the only one there is.

    Raises:
        JudgementError: none is meant, or several; or the file cannot be read.
    """
    known = _by_judge(read_judgements(folder / JUDGEMENTS))
    if not known:
        raise JudgementError(f"{folder} has no judgements: run `ddxgraph judge {folder}` first")
    meant = [
        judgements
        for digest, judgements in known.items()
        if wanted is True or digest.startswith(wanted) or judgements[-1].provenance.model == wanted
    ]
    if len(meant) == 1:
        return judge_of(meant[0])
    told = "; ".join(f"{digest} ({said[-1].provenance.model})" for digest, said in known.items())
    how = "several judges" if meant else f"no judge {wanted!r}"
    raise JudgementError(f"{folder} has {how}; name one by its digest: {told}")


@dataclass(frozen=True)
class Judged:
    """What a judge's word did in a scored run. Counts are of traces with a free-form answer."""

    judge: str
    """Digest of the judge."""
    model: str
    adapter: str | None
    prompt_hash: str
    matched: int
    """Correct by the normalised match, which is never overruled; the judge need not be asked."""
    judged: int
    """Settled by the judge."""
    unjudged: Mapping[str, int]
    """Reason to traces that the match does not settle and the judge did not: unscored."""
    both: int
    """Correct by the match, and equivalent to the judge, where it was asked all the same."""
    match_only: int
    """Correct by the match, not equivalent to the judge."""
    judge_only: int
    """Not correct by the match, equivalent to the judge."""
    neither: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    """Of the judge alone, failures and repairs included; no part of the strategy's."""


@dataclass
class Agreement:
    """Counts how a judge and the normalised match agree, trace by trace."""

    judge: Judge
    cells: Counter[tuple[bool, bool | None]] = field(default_factory=Counter)
    """(correct by the match, equivalent to the judge or None) to traces."""
    unjudged: Counter[str] = field(default_factory=Counter)

    def add(self, matched: bool, question: str) -> bool | None:
        """Count a trace; whether it is correct, None where neither can say."""
        said = self.judge.settled(question)
        self.cells[matched, said] += 1
        if matched:
            return True
        if said is None:
            self.unjudged[self.judge.why_not(question)] += 1
        return said

    def judged(self) -> Judged:
        """The counts as a scored run holds them."""
        told, cells, usage = self.judge.provenance, self.cells, self.judge.usage
        return Judged(
            judge=self.judge.digest,
            model=told.model,
            adapter=told.adapter,
            prompt_hash=told.prompt_set,
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
