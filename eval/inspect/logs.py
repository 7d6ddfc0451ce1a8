"""Logs of Inspect AI as run folders: the traces of this package's tasks, taken out of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from inspect_ai.log import EvalLog, EvalSample, read_eval_log, read_eval_log_samples
from pydantic import ValidationError

from ddxgraph.batch.folder import ERRORS, RunFolder, open_run
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import read_records
from ddxgraph.common.errors import InspectLogError, fault_of
from ddxgraph.eval.inspect.tasks import ORIGIN_KEY, TRACE_KEY, Origin
from ddxgraph.graph.trace import Trace, plan_digest

_SKIPPED: Final = {"attachments", "events", "messages", "output", "timelines"}
"""Parts of a sample that hold no trace, and most of its bytes."""
_BATCH: Final = 64
"""Traces that are written at once."""
_SAID_CHARS: Final = 120


@dataclass(frozen=True)
class Imported:
    """What became of some logs."""

    folder: Path
    traces: int
    """Traces that came to an end, new in the folder."""
    errors: int
    """Failed traces, new in the folder."""
    before: int
    """Traces of these logs that the folder had already."""
    missing: int
    """Traces of the whole run that the folder has not: failed, or in none of the logs."""
    remarks: Sequence[str]
    """What the logs lack, one sentence each."""


class _Attempt(NamedTuple):
    """One attempt at a traversal; a trace that failed may have several."""

    trace_id: str
    started_at: str


class _Log(NamedTuple):
    """A log's header."""

    path: Path
    header: EvalLog
    origin: Origin

    @property
    def epochs(self) -> int:
        """Samples of each case, in the words of this package."""
        return self.header.eval.config.epochs or 1

    @property
    def cases(self) -> int:
        """Cases that Inspect was to take."""
        return len(self.header.eval.dataset.sample_ids or ())


def import_logs(logs: Sequence[Path | str], out: Path | str) -> Imported:
    """Take the traces of Inspect logs over into a run folder, made where it is missing.

    The logs are those of one run: the same cases, model, settings and strategy, such as a log and those of its
    `inspect eval-retry`. Where a trace stands in several, the first that came to an end counts. Doing it again
    changes nothing.

    Args:
        logs: `.eval` or `.json` files, one at least.
        out: the folder.

    Raises:
        InspectLogError: a log is unreadable or of another task, has no traces, or belongs to another run than the
            first. Nothing was changed then.
        RunFolderError, TraceFileError: see `open_run`.
    """
    opened = [_open(Path(path)) for path in logs]
    surveys = [_survey(log) for log in opened]
    wanted = _common(opened, [survey.first for survey in surveys])
    held: set[str] = set()
    with open_run(Path(out), wanted, seen=lambda record: held.add(record["id"])) as folder:
        filing = _Filing(folder, held, _failures_in(folder.path / ERRORS))
        for log in opened:
            for sample in _samples(log):
                trace = _trace(log, sample)
                if trace is not None:
                    filing.add(trace)
        filing.write()
        return Imported(
            folder=folder.path,
            traces=filing.counts["traces"],
            errors=filing.counts["errors"],
            before=filing.counts["before"],
            missing=wanted.total - len(held),
            remarks=[remark for survey in surveys for remark in survey.remarks],
        )


def _open(path: Path) -> _Log:
    """Read a log's header."""
    try:
        header = read_eval_log(path, header_only=True)
    except FileNotFoundError:
        raise InspectLogError(f"no file {str(path)!r}") from None
    except Exception as error:  # Inspect's readers raise whatever their parsers do
        raise InspectLogError(
            f"{path} cannot be read as a log of Inspect's ({_in_short(error)}); give a .eval or .json file that "
            "`inspect eval` has written, or mend it with `inspect log recover`"
        ) from None
    told = (header.eval.metadata or {}).get(ORIGIN_KEY)
    if told is None:
        raise InspectLogError(
            f"{path} is a log of the task {header.eval.task!r}, which is none of ddxgraph's: "
            "run one of those, such as `inspect eval ddxgraph/medqa`, and import its log"
        )
    try:
        return _Log(path, header, Origin.model_validate(told))
    except ValidationError as error:
        raise InspectLogError(
            f"{path} was written by another version of ddxgraph ({fault_of(error)})"
        ) from None


def _samples(log: _Log) -> Iterator[EvalSample]:
    """The samples of a log that it has, one in memory at a time (of a `.json` log, all)."""
    try:
        if log.path.suffix == ".json":
            yield from read_eval_log(log.path).samples or ()
        else:
            yield from read_eval_log_samples(log.path, all_samples_required=False, exclude_fields=_SKIPPED)
    except InspectLogError:
        raise
    except Exception as error:
        raise InspectLogError(
            f"the samples of {log.path} cannot be read ({_in_short(error)}); mend it with `inspect log recover`"
        ) from None


def _trace(log: _Log, sample: EvalSample) -> Trace | None:
    """A sample's trace; None where it has none, or was declared invalid.

    Raises:
        InspectLogError: what is there is no trace, or that of another sample.
    """
    told = sample.store.get(TRACE_KEY)
    if told is None or sample.invalidation is not None:
        return None
    where = f"{log.path}, sample {sample.id} of epoch {sample.epoch}"
    try:
        trace = Trace.model_validate(told)
    except ValidationError as error:
        raise InspectLogError(
            f"{where}: not a trace of version 1 ({fault_of(error)}); nothing was changed"
        ) from None
    if (trace.case.id, trace.sample) != (sample.id, sample.epoch - 1):
        raise InspectLogError(
            f"{where} holds the trace of sample {trace.sample} of the case {trace.case.id!r}; nothing was changed"
        )
    return trace


class _Survey(NamedTuple):
    """What a log holds."""

    first: Trace
    remarks: Sequence[str]
    """What it lacks."""


def _survey(log: _Log) -> _Survey:
    """Read a log through, before anything is written.

    Raises:
        InspectLogError: it has no trace, or its traces are not of one strategy on one model.
    """
    first: Trace | None = None
    counts: Counter[str] = Counter()
    why = ""
    for sample in _samples(log):
        counts["seen"] += 1
        trace = _trace(log, sample)
        if trace is None:
            counts["invalid" if sample.invalidation is not None else "bare"] += 1
            why = why or _reason(sample)
            continue
        counts["failed"] += trace.outcome == "error"
        first = first or trace
        if _plan(trace) != _plan(first):
            raise InspectLogError(
                f"{log.path} holds traces of more than one strategy or model: nothing was changed"
            )
    if first is None:
        said = f" ({why})" if why else ""
        raise InspectLogError(
            f"{log.path} holds no trace{said}; mend that, and take its samples again with `inspect eval-retry`"
        )
    return _Survey(first, list(_remarks(log, counts, why)))


def _remarks(log: _Log, counts: Counter[str], why: str) -> Iterator[str]:
    name, again = log.path.name, "`inspect eval-retry` takes them again"
    if log.header.status != "success":
        yield f"{name}: the evaluation has the status {log.header.status!r}"
    if log.origin.absent:
        yield (
            f"{name}: {log.origin.absent} of the benchmark's {log.origin.cases.count + log.origin.absent} cases "
            "were not on the machine that ran it; a score counts them as unscored, Inspect's own leaves them out"
        )
    if log.cases < log.origin.cases.count:
        yield (
            f"{name}: Inspect took {log.cases} of the task's {log.origin.cases.count} cases (--limit or "
            "--sample-id); the others count as missing; -T limit=N makes a smaller benchmark"
        )
    if unseen := log.cases * log.epochs - counts["seen"]:
        yield f"{name}: {unseen} samples are not in the log; {again}"
    if counts["bare"]:
        yield f"{name}: {counts['bare']} samples ended without a trace ({why or 'no reason is told'}); {again}"
    if counts["failed"]:
        yield f"{name}: {counts['failed']} samples failed, which is no wrong answer; {again}"
    if counts["invalid"]:
        yield f"{name}: {counts['invalid']} samples were declared invalid, and are left out"


def _reason(sample: EvalSample) -> str:
    """Why a sample has no trace, as far as the log tells."""
    if sample.error is not None:
        return _in_short(sample.error.message)
    return f"the {sample.limit.type} limit" if sample.limit is not None else ""


def _common(logs: Sequence[_Log], firsts: Sequence[Trace]) -> Manifest:
    """The manifest of the run that all logs are of.

    Raises:
        InspectLogError: one is of another run than the first.
    """
    samples = max(log.epochs for log in logs)
    manifests = [_manifest(log, first, samples) for log, first in zip(logs, firsts, strict=True)]
    for log, other in zip(logs[1:], manifests[1:], strict=True):
        if changes := manifests[0].changes(other):
            raise InspectLogError(
                f"{log.path} is of another run than {logs[0].path}: {'; '.join(map(str, changes))}. Nothing was "
                "changed: import it into a folder of its own"
            )
    return manifests[0]


def _manifest(log: _Log, first: Trace, samples: int) -> Manifest:
    return Manifest(
        cases=log.origin.cases,
        samples=samples,
        selection=log.origin.selection,
        strategy=first.strategy,
        provenance=first.provenance.model_copy(update={"started_at": ""}),
        created_at=log.header.eval.created,
    )


@dataclass
class _Filing:
    """Puts the traces into the folder that it has not."""

    folder: RunFolder
    held: set[str]
    """Ids of the traces that it has."""
    failures: set[_Attempt]
    """Failed traces that it has."""
    counts: Counter[str] = field(default_factory=Counter)
    waiting: list[Trace] = field(default_factory=list)

    def add(self, trace: Trace) -> None:
        """Put a trace into the folder, unless it is there."""
        failed = trace.outcome == "error"
        if _attempt(trace) in self.failures if failed else trace.id in self.held:
            self.counts["before"] += 1
            return
        if failed:
            self.failures.add(_attempt(trace))
        else:
            self.held.add(trace.id)
        self.counts["errors" if failed else "traces"] += 1
        self.waiting.append(trace)
        if len(self.waiting) == _BATCH:
            self.write()

    def write(self) -> None:
        """Save what waits."""
        self.folder.append(self.waiting)
        self.waiting = []


def _attempt(trace: Trace) -> _Attempt:
    return _Attempt(trace.id, trace.provenance.started_at)


def _failures_in(errors: Path) -> set[_Attempt]:
    if not errors.exists():
        return set()
    return {_Attempt(told["id"], told["provenance"]["started_at"]) for told in read_records(errors)}


def _plan(trace: Trace) -> str:
    return plan_digest(trace.strategy, trace.provenance)


def _in_short(said: object) -> str:
    return " ".join(str(said).split())[:_SAID_CHARS]
