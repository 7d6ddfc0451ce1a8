"""Files of JSON lines that are only ever added to: one writer at a time, whole lines or nothing.

Each line ends in a checksum, its last field. A line without one, as earlier versions wrote it, is taken as it is.
"""

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, NamedTuple, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from ddxgraph.common.errors import DdxgraphError, fault_of
from ddxgraph.common.files import make_folder, open_input, sync_folder

if sys.platform != "win32":
    import fcntl

_CHUNK: Final = 1 << 20
MOST_LINE_BYTES: Final = 256 << 20
"""Of a line that is read; the longest case with the longest replies takes a tenth of it."""
_LOOK_S: Final = 0.01
"""Seconds between two looks at a file that another process has open."""

_CHECKSUM_CHARS: Final = 16
"""Hex digits of SHA-256: enough to notice a change, and no signature."""
_SEALED: Final = re.compile(rb',"checksum":"(.{%d})"\}$' % _CHECKSUM_CHARS)

ModelT = TypeVar("ModelT", bound=BaseModel)


class LineFile(NamedTuple):
    """What a kind of file holds, who may write it, and how its errors are worded."""

    record: str
    """What a line is, such as `a trace of version 1`."""
    error: type[DdxgraphError]
    busy: str
    """What to say when another process writes the file; with `{path}` or `{folder}`."""
    beginning: bytes
    """How every line begins. It tells a last line that was cut short from a file that holds something else."""
    remedy: str = "take the line out"
    """What to do about a line that is something else."""
    lock: str | None = None
    """Name of a lock file beside the file. Without one, the file itself is locked, if the system can do that."""
    wait_s: float = 0.0
    """How long to wait for another writer."""
    strict: bool = False
    """Readers, too, refuse a last line that is neither whole nor cut short."""

    def refused(self, where: str, why: str) -> DdxgraphError:
        """The error for a line that is something else."""
        return self.error(f"{where}: not {self.record} ({why}); {self.remedy}")

    def unsealed(self, line: bytes, where: str) -> bytes:
        """A line without its newline and checksum; one that has no checksum as it is.

        Args:
            line: as it stands in the file.
            where: file and line, for the error.

        Raises:
            DdxgraphError: of the kind `error`: what stands there is not what was written.
        """
        record, checksum = split_checksum(line)
        if checksum is not None and checksum != checksum_of(record):
            raise self.error(
                f"{where}: it has changed since it was saved (its checksum does not fit); restore the file "
                'from a copy, or, to keep the change, take the field "checksum" out of that line'
            )
        return record

    def parsed(self, line: bytes, kind: type[ModelT], where: str) -> ModelT:
        """A line as a model.

        Args:
            line: with or without its newline and checksum.
            kind: the model.
            where: file and line, for the error.

        Returns:
            The model.

        Raises:
            DdxgraphError: of the kind `error`: the line is something else, or has changed since it was saved.
        """
        try:
            return kind.model_validate_json(self.unsealed(line, where))
        except ValidationError as error:
            raise self.refused(where, fault_of(error, "line")) from None

    def lines(self, path: Path, *, missing_ok: bool = False) -> Iterator[tuple[int, bytes]]:
        """Numbered lines of a file, from 1, without blank ones and without a last one that was cut short.

        Args:
            path: the file.
            missing_ok: read a file that does not exist as an empty one.

        Yields:
            The number of a line, and the line without its newline and checksum.

        Raises:
            DdxgraphError: of the kind `error`: the file cannot be read, or a line has changed since it was saved.
        """
        try:
            with open_input(path) as file:
                for number, line in enumerate(iter(partial(file.readline, MOST_LINE_BYTES), b""), 1):
                    ended, where = line.endswith(b"\n"), f"{path}, line {number}"
                    if len(line) == MOST_LINE_BYTES:
                        raise self.refused(where, f"it has more than {MOST_LINE_BYTES >> 20} MiB")
                    if line.strip() and (ended or self._counts(line, where)):
                        yield number, self.unsealed(line, where)
                    if not ended:  # what a writer adds from here on would look like a line of its own
                        return
        except OSError as error:
            if missing_ok and isinstance(error, FileNotFoundError):
                return
            raise self.error(f"cannot read {path}: {error.strerror or error}") from None

    def records(self, path: Path, kind: type[ModelT]) -> Iterator[ModelT]:
        """The lines of a file as models; none if there is no file.

        Raises:
            DdxgraphError: of the kind `error`: the file cannot be read, or a line is something else.
        """
        for number, line in self.lines(path, missing_ok=True):
            yield self.parsed(line, kind, f"{path}, line {number}")

    def ending(self, tail: bytes) -> Literal["whole", "cut", "foreign"]:
        """What stands behind the last newline of a file."""
        if is_whole(tail):
            return "whole"
        # A power cut may keep a file's new size and lose what was written there.
        return (
            "cut" if tail.startswith(self.beginning[: len(tail)]) or not tail.strip(b"\0 \r") else "foreign"
        )

    def _counts(self, tail: bytes, where: str) -> bool:
        """Whether a line without a newline is one."""
        ending = self.ending(tail)
        if ending == "foreign" and self.strict:
            raise self.refused(where, "it is no JSON object")
        return ending == "whole"


def checksum_of(line: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a line without newline and checksum."""
    return hashlib.sha256(line).hexdigest()[:_CHECKSUM_CHARS]


def split_checksum(line: bytes) -> tuple[bytes, str | None]:
    """A line without its newline and checksum, and the checksum; None where it has none."""
    bare = line.strip()
    found = _SEALED.search(bare, max(0, len(bare) - _CHECKSUM_CHARS - 20))
    if found is None:
        return bare, None
    return bare[: found.start()] + b"}", found[1].decode(errors="replace")


def sealed(line: str) -> str:
    """A line with its checksum as its last field."""
    return f'{line[:-1]},"checksum":"{checksum_of(line.encode())}"}}'


def is_whole(line: bytes) -> bool:
    """Whether a line is a JSON object from its first byte to its last."""
    try:
        return isinstance(from_json(line), dict)
    except ValueError:
        return False


def line_of(record: BaseModel) -> str:
    """A record as its line, without the newline.

    Half a surrogate pair, as an engine may send one, cannot stand in a file: a question mark takes its place, so
    that one odd reply does not cost the record.
    """
    try:
        return record.model_dump_json()
    except PydanticSerializationError:
        text = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace").decode()


class LineLog:
    """A file of JSON lines open for appending, by one writer at a time; a context manager.

    Opening a file changes nothing in it. `mend` and the first `write` remove a last line that a crash cut short.

    Args:
        path: the file; it and its folders are made where they are missing.
        kind: what it holds.
        check: called once the file is locked, with the last line if it is whole but for its newline, else with
            nothing; it may raise to refuse the file.
        lost: what to add to the error when the file cannot be opened or written.

    Raises:
        DdxgraphError: of the kind's `error`: the file cannot be opened for writing, another process has it open,
            or it ends in something else.
    """

    def __init__(
        self,
        path: Path,
        kind: LineFile,
        *,
        check: Callable[[bytes], object] = lambda _line: None,
        lost: str = "",
    ) -> None:
        self.path = path
        self.cut = 0
        """Bytes of a last line that a crash had cut short."""
        self._kind, self._lost = kind, lost
        self._cut_at: int | None = None
        """Where what has to be taken off begins."""
        self._unended = False
        """The last line is whole, but for its newline."""
        self._lock: FileLock | None = None
        self._file: BinaryIO | None = None
        try:
            make_folder(path.parent)
            self._claim()
            self._inspect(check)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be appended."""
        return self._file is None

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        if self._file:
            self._file.close()
            self._file = None
        if self._lock:
            self._lock.release()

    def write(self, lines: Sequence[str], lost: str = "") -> None:
        """Append lines, and wait until they are on the disk.

        Args:
            lines: JSON objects without newlines; each gets its checksum.
            lost: what to add to the error.

        Raises:
            DdxgraphError: of the kind's `error`: they cannot be written, such as on a full disk. The file is then
                as it was.
        """
        if not lines:
            return
        self.mend()
        size = self._open.seek(0, os.SEEK_END)
        rest = memoryview("".join(f"{sealed(line)}\n" for line in lines).encode())
        try:
            while rest:
                rest = rest[self._open.write(rest) :]
            os.fsync(self._open.fileno())
        except OSError as error:
            self._cut_at = size
            with suppress(
                self._kind.error
            ):  # what cannot be taken back now is taken off before the next write
                self.mend()
            raise self._unwritable(error, lost) from None

    def mend(self) -> None:
        """Leave the file ending in a whole line.

        Raises:
            DdxgraphError: of the kind's `error`: the file cannot be written.
        """
        try:
            if self._cut_at is not None:
                self._open.truncate(self._cut_at)
                self._cut_at = None
            if self._unended:
                self._open.write(b"\n")
                self._unended = False
        except OSError as error:
            raise self._unwritable(error) from None

    @property
    def _open(self) -> BinaryIO:
        if self._file is None:
            raise self._kind.error(f"{self.path} is closed: keep the log open while you append to it")
        return self._file

    def _claim(self) -> None:
        """Open the file and keep other writers out: a line that is being written looks as if cut short."""
        if self._kind.lock is not None:
            lock = FileLock(self.path.with_name(self._kind.lock), timeout=self._kind.wait_s)
            try:
                lock.acquire()
            except Timeout:
                raise self._busy() from None
            self._lock = lock
        self._file = self.path.open("a+b", buffering=0)
        sync_folder(self.path.parent)
        if self._kind.lock is not None or sys.platform == "win32":
            return
        patience = time.monotonic() + self._kind.wait_s
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > patience:
                    raise self._busy() from None
                time.sleep(_LOOK_S)
            except OSError:  # a file system without locks
                return
            else:
                return

    def _inspect(self, check: Callable[[bytes], object]) -> None:
        """See how the file ends."""
        end = self._open.seek(0, os.SEEK_END)
        start = _last_line_start(self._open, end)
        self._open.seek(start)
        tail = self._open.read(end - start)
        ending = self._kind.ending(tail) if tail else None
        check(self._kind.unsealed(tail, f"{self.path}, last line") if ending == "whole" else b"")
        if ending == "foreign":
            raise self._kind.error(
                f"{self.path} ends in a line that is not {self._kind.record}; name another file"
            )
        self._unended = ending == "whole"
        if ending == "cut":
            self._cut_at, self.cut = start, end - start

    def _busy(self) -> DdxgraphError:
        return self._kind.error(self._kind.busy.format(path=self.path, folder=self.path.parent))

    def _unwritable(self, error: OSError, lost: str = "") -> DdxgraphError:
        consequence = lost or self._lost
        why = f"cannot write {self.path}: {error.strerror or error}"
        return self._kind.error(f"{why}; {consequence}" if consequence else why)


def _last_line_start(file: BinaryIO, end: int) -> int:
    """Offset behind the last newline of a file that ends at `end`."""
    place = end
    while place > 0:
        step = min(_CHUNK, place)
        place -= step
        file.seek(place)
        newline = file.read(step).rfind(b"\n")
        if newline >= 0:
            return place + newline + 1
    return 0
