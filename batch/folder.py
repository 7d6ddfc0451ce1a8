"""A run's folder: its manifest, its traces, its errors; one writer at a time, nothing ever overwritten."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ddxgraph.batch.manifest import Manifest
from ddxgraph.batch.tracefile import TraceLine, TraceLog, read_lines, read_records
from ddxgraph.common.errors import RunFolderError, fault_of
from ddxgraph.common.files import FolderBusy, folder_held, make_folder, read_regular, real, write_whole
from ddxgraph.common.jsonl import line_of
from ddxgraph.graph.trace import UNFINISHED, Trace

MANIFEST: Final = "run.json"
TRACES: Final = "traces.jsonl"
ERRORS: Final = "errors.jsonl"
LOCK: Final = "run.lock"

_CARRIED_CHARS: Final = 1 << 20
"""Characters that a fork reads before it writes them, so that it does not wait for the disk at every trace."""

Seen = Callable[[Mapping[str, Any]], None]
"""Is told of each trace that a run has already, as a plain JSON object."""


class RunFolder:
    """A run folder held by this process; made by `open_run`.

    `traces.jsonl` holds the traces that came to an end, one a line, each id once. `errors.jsonl` holds what
    failed for reasons unrelated to the model (outcome `error`), one line per attempt; a later attempt may have
    succeeded.
    """

    def __init__(self, path: Path, manifest: Manifest, seen: Seen) -> None:
        self.path = path
        self.manifest = manifest
        self._seen = seen
        self._ids: set[str] = set()
        if (path / TRACES).exists():
            self._take_stock()
        self._traces = TraceLog(path / TRACES)
        try:
            self._errors = TraceLog(path / ERRORS)
        except BaseException:
            self._traces.close()
            raise

    @property
    def cut(self) -> int:
        """Bytes of a last line that a crash had cut short; its traversal is done again."""
        return self._traces.cut

    def __contains__(self, trace_id: str) -> bool:
        return trace_id in self._ids

    def append(self, traces: Sequence[Trace]) -> None:
        """Save traces, errors apart, and wait until they are on the disk.

        Raises:
            TraceFileError: they cannot be written; the files are as they were.
        """
        ended = {trace.id: trace for trace in traces if trace.finished and trace.id not in self._ids}
        self._traces.append([line_of(trace) for trace in ended.values()])
        self._ids.update(ended)
        self._errors.append([line_of(trace) for trace in traces if not trace.finished])

    def mend(self) -> None:
        """Leave both files ending in a whole line.

        Opening a folder does not, so that a process killed before it has told of a cut line (`cut`) leaves it to
        the next one to tell. The first `append` to a file mends it too.

        Raises:
            TraceFileError: a file cannot be written.
        """
        self._traces.mend()
        self._errors.mend()

    def close(self) -> None:
        """Close the files; harmless when repeated."""
        self._traces.close()
        self._errors.close()

    def carry_over(self, source: Path, wanted: Callable[[str], bool]) -> None:
        """Copy the traces that another run has of this one.

        Raises:
            TraceFileError: one of the files cannot be read or written.
        """
        if not (source / TRACES).exists():  # that run was stopped before its first trace
            return
        waiting: dict[str, TraceLine] = {}
        chars = 0
        for line in read_lines(source / TRACES):
            trace_id = line.record["id"]
            if trace_id in self._ids or not _is_done(line.record) or not wanted(trace_id):
                continue
            waiting[trace_id] = line
            chars += len(line.text)
            if chars >= _CARRIED_CHARS:
                self._carry(waiting)
                waiting, chars = {}, 0
        self._carry(waiting)

    def _carry(self, lines: Mapping[str, TraceLine]) -> None:
        self._traces.append([line.text for line in lines.values()])
        for line in lines.values():
            self._count(line.record)

    def _take_stock(self) -> None:
        """Learn what is there.

        Raises:
            TraceFileError: a line is no trace.
        """
        for record in read_records(self.path / TRACES):
            if _is_done(record) and record["id"] not in self._ids:
                self._count(record)

    def _count(self, record: Mapping[str, Any]) -> None:
        self._ids.add(record["id"])
        self._seen(record)


def _is_done(record: Mapping[str, Any]) -> bool:
    """An error or a pause is no end, even where somebody has put one among the traces."""
    return record["outcome"] not in UNFINISHED


def _ignore(record: Mapping[str, Any]) -> None:
    """The default of `open_run`'s `seen`."""


@contextmanager
def open_run(
    path: Path,
    wanted: Manifest,
    *,
    fork: bool = False,
    ids: Callable[[], Iterator[str]] | None = None,
    seen: Seen = _ignore,
) -> Iterator[RunFolder]:
    """Open a run's folder to go on with it, or make it.

    Args:
        path: the folder.
        wanted: the manifest of the run.
        fork: where the folder is another run's, use one beside it (`NAME-2`, ...), and carry over from there
            the traces that belong to this run too.
        ids: the ids of the run's traces; a fork needs them.
        seen: told of each trace that is there.

    Raises:
        RunFolderError: another process writes there, the folder is another run's, or it cannot be written.
        TraceFileError: a trace file there cannot be read or written.
    """
    relatives: list[Path] = []
    if fork:
        path, relatives = _branch(path, wanted)
    with _locked(path):
        folder = RunFolder(path, _settled(path, wanted, relatives), seen)
        try:
            if relatives and ids:
                every = set(ids())
                for relative in relatives:
                    folder.carry_over(relative, every.__contains__)
            yield folder
            folder.mend()
        finally:
            folder.close()


def _branch(path: Path, wanted: Manifest) -> tuple[Path, list[Path]]:
    """The first folder of a family that is this run's or free, and those before it."""
    if path.name in {"", ".."}:  # such as `.`: what lies beside it has to be named by its own name
        path = real(path)
    before: list[Path] = []
    for number in count(1):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        known = read_manifest(candidate)
        if known is None or not known.changes(wanted):
            return candidate, before
        before.append(candidate)
    raise AssertionError  # count() does not end


def _settled(path: Path, wanted: Manifest, relatives: Sequence[Path]) -> Manifest:
    """The folder's manifest, checked against the wanted one; written where there is none."""
    known = read_manifest(path)
    if known is None:
        filled = [
            name for name in (TRACES, ERRORS) if (path / name).exists() and (path / name).stat().st_size
        ]
        if filled:
            raise RunFolderError(f"{path} holds {filled[0]} but no {MANIFEST}: name another folder")
        fresh = wanted.model_copy(update={"forked_from": relatives[0].name if relatives else None})
        _write_whole(path / MANIFEST, fresh.model_dump_json(indent=2) + "\n")
        return fresh
    changes = known.changes(wanted)
    if changes:
        raise RunFolderError(
            f"{path} is another run: {'; '.join(map(str, changes))}. Nothing was changed. Use another folder, or "
            "--fork (fork=True) to go on in one beside it with the traces that still hold"
        )
    return known


def read_manifest(path: Path) -> Manifest | None:
    """The manifest that lies in a run's folder; None where there is none.

    Raises:
        RunFolderError: it cannot be read, or is none.
    """
    try:
        return Manifest.model_validate_json(read_regular(path / MANIFEST))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RunFolderError(f"{path / MANIFEST} is no manifest of version 1 ({fault_of(error)})") from None
    except NotADirectoryError:
        raise _in_the_way(path) from None
    except OSError as error:
        raise RunFolderError(f"cannot read {path / MANIFEST}: {error.strerror or error}") from None


def _write_whole(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        raise RunFolderError(f"cannot write {path}: {error.strerror or error}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            make_folder(path)
            held.enter_context(folder_held(path, LOCK))
        except FolderBusy as busy:
            raise RunFolderError(
                f"{path} is being written by {busy.holder}; wait for it, or stop it"
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise _in_the_way(path) from None
        except OSError as error:
            raise RunFolderError(f"cannot write in {path}: {error.strerror or error}") from None
        yield


def _in_the_way(path: Path) -> RunFolderError:
    return RunFolderError(f"{path} cannot be a run's folder: a file is in its place; name another")
