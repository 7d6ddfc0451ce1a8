"""Logs of Inspect AI as run folders: imports the traces of this package's tasks."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from inspect_ai.log import EvalLog, EvalSample, read_eval_log, read_eval_log_samples
from pydantic import ValidationError

from ddxgraph.batch.folder import ERRORS, open_run
from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import read_records
from ddxgraph.common.errors import InspectLogError, fault_of
from ddxgraph.eval.inspect.tasks import ORIGIN_KEY, TRACE_KEY, Origin
from ddxgraph.graph.trace import Trace, plan_digest

_SKIPPED: Final = {"attachments", "events", "messages", "output", "timelines"}
"""Parts of a sample without a trace, which make up most of its bytes."""
_BATCH: Final = 64
"""Traces written at once."""
_ERROR_CHARS: Final = 120


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    folder: Path
    traces: int
    """Traces that came to an end, new in the folder."""
    errors: int
    """Failed traces, new in the folder."""
    before: int
    """Traces of these logs that were already in the folder."""
    missing: int
    """Traces of the whole run that the folder lacks: failed, or in none of the logs."""
    remarks: Sequence[str]
    """What the logs lack, one sentence each."""


class _Attempt(NamedTuple):
    """One attempt at a traversal; a failed one may be followed by others."""

    trace_id: str
    started_at: str | None
    """None for the one that came to an end."""


class _Log(NamedTuple):
    """A log's header."""

    path: Path
    header: EvalLog
    origin: Origin

    @property
    def epochs(self) -> int:
        """Epochs, which are this package's samples of a case."""
        return self.header.eval.config.epochs or 1

    @property
    def cases(self) -> int:
        """Cases that Inspect was told to take."""
        return len(self.header.eval.dataset.sample_ids or ())


def import_logs(logs: Sequence[Path | str], out: Path | str) -> Imported:
    """Import the traces of Inspect logs into a run folder, which is created if it is missing.

    The logs must be of one run (the same cases, model, settings and strategy), such as a log and those of its
    `inspect eval-retry`. If a trace is in several, the first that came to an end counts. Importing again changes
    nothing.

    Args:
        logs: `.eval` or `.json` files, at least one.
        out: the folder.

    Returns:
        What was imported.

    Raises:
        InspectLogError: a log is unreadable or of another task, has no traces, or belongs to another run than the
            first. Nothing was changed then.
        RunFolderError, TraceFileError: see `open_run`.
    """
    opened = [_open(Path(path)) for path in logs]
    surveys = [_survey(log) for log in opened]
    wanted = _common(opened, [survey.first for survey in surveys])
    held: set[_Attempt] = set()
    counts: Counter[str] = Counter()
    with open_run(Path(out), wanted, seen=lambda record: held.add(_Attempt(record["id"], None))) as folder:
        errors = folder.path / ERRORS
        failed = read_records(errors) if errors.exists() else ()
        held.update(_Attempt(record["id"], record["provenance"]["started_at"]) for record in failed)
        waiting: list[Trace] = []
        for trace in _new_traces(opened, held, counts):
            waiting.append(trace)
            if len(waiting) == _BATCH:
                folder.append(waiting)
                waiting = []
        folder.append(waiting)
    return Imported(
        folder=folder.path,
        traces=counts["traces"],
        errors=counts["errors"],
        before=counts["before"],
        missing=wanted.total - sum(attempt.started_at is None for attempt in held),
        remarks=[remark for survey in surveys for remark in survey.remarks],
    )


def _new_traces(logs: Sequence[_Log], held: set[_Attempt], counts: Counter[str]) -> Iterator[Trace]:
    """The traces that the folder lacks; each is counted and then held."""
    for log in logs:
        for sample in _samples(log):
            trace = _trace(log, sample)
            if trace is None:
                continue
            failed = not trace.finished
            attempt = _Attempt(trace.id, trace.provenance.started_at if failed else None)
            if attempt in held:
                counts["before"] += 1
                continue
            held.add(attempt)
            counts["errors" if failed else "traces"] += 1
            yield trace


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
    origin = (header.eval.metadata or {}).get(ORIGIN_KEY)
    if origin is None:
        raise InspectLogError(
            f"{path} is a log of the task {header.eval.task!r}, which is none of ddxgraph's: "
            "run one of those, such as `inspect eval ddxgraph/medqa`, and import its log"
        )
    try:
        return _Log(path, header, Origin.model_validate(origin))
    except ValidationError as error:
        raise InspectLogError(
            f"{path} was written by another version of ddxgraph ({fault_of(error)})"
        ) from None


def _samples(log: _Log) -> Iterator[EvalSample]:
    """The samples that a log has, one in memory at a time (for a `.json` log, all)."""
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
    """A sample's trace; None if it has none, or was declared invalid.

    Raises:
        InspectLogError: the stored value is not a trace, or that of another sample.
    """
    stored = sample.store.get(TRACE_KEY)
    if stored is None or sample.invalidation is not None:
        return None
    where = f"{log.path}, sample {sample.id} of epoch {sample.epoch}"
    try:
        trace = Trace.model_validate(stored)
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
    """The content of a log."""

    first: Trace
    remarks: Sequence[str]
    """What the log lacks."""


def _survey(log: _Log) -> _Survey:
    """Read a whole log before anything is written.

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
        counts["failed"] += not trace.finished
        first = first or trace
        if plan_digest(trace.strategy, trace.provenance) != plan_digest(first.strategy, first.provenance):
            raise InspectLogError(
                f"{log.path} holds traces of more than one strategy or model: nothing was changed"
            )
    if first is None:
        cause = f" ({why})" if why else ""
        raise InspectLogError(
            f"{log.path} holds no trace{cause}; mend that, and take its samples again with `inspect eval-retry`"
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
    """Why a sample has no trace, if the log says."""
    if sample.error is not None:
        return _in_short(sample.error.message)
    return f"the {sample.limit.type} limit" if sample.limit is not None else ""


def _common(logs: Sequence[_Log], firsts: Sequence[Trace]) -> Manifest:
    """The manifest of the run that all logs belong to.

    Raises:
        InspectLogError: a log is of another run than the first.
    """
    samples = max(log.epochs for log in logs)
    manifests = [
        Manifest(
            cases=log.origin.cases,
            samples=samples,
            selection=log.origin.selection,
            strategy=first.strategy,
            provenance=first.provenance.model_copy(update={"started_at": ""}),
            created_at=log.header.eval.created,
        )
        for log, first in zip(logs, firsts, strict=True)
    ]
    for log, other in zip(logs[1:], manifests[1:], strict=True):
        if changes := manifests[0].changes(other):
            raise InspectLogError(
                f"{log.path} is of another run than {logs[0].path}: {'; '.join(map(str, changes))}. Nothing was "
                "changed: import it into a folder of its own"
            )
    return manifests[0]


def _in_short(error: object) -> str:
    return " ".join(str(error).split())[:_ERROR_CHARS]
