"""Whether what a run saved is still what it saved: every line of its files against its checksum."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import computed_field

from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES, read_manifest
from ddxgraph.batch.tracefile import is_foreign, parse_trace
from ddxgraph.common.errors import DdxgraphError, RunFolderError
from ddxgraph.common.files import open_regular
from ddxgraph.common.frozen import Frozen
from ddxgraph.common.jsonl import checksum_of, is_whole, split_checksum

_MOST_FAULTS: Final = 1000
"""Faults of one file that are kept; the rest is counted."""


class FileCheck(Frozen):
    """What was found in a file."""

    path: Path
    lines: int = 0
    unsealed: int = 0
    """Lines without a checksum, as earlier versions wrote them."""
    cut_bytes: int = 0
    """Bytes of a last line that a crash cut short, or that is being written just now; no fault."""
    fault_count: int = 0
    faults: tuple[str, ...] = ()
    """A sentence each; the first 1,000."""

    @computed_field  # type: ignore[prop-decorator]  # mypy knows no decorated property
    @property
    def whole(self) -> bool:
        """Whether every line is what was written."""
        return not self.fault_count


class _Line(NamedTuple):
    fault: str
    state: Literal["sealed", "unsealed", "cut"]
    size: int


def verify(source: Path) -> list[FileCheck]:
    """Check a trace file, a run folder, or every run below a folder.

    A line's checksum notices a changed value, a torn or a swapped byte. It is no signature: anyone who changes
    a line on purpose can replace its checksum too. Memory does not grow with the files.

    Args:
        source: the file or folder.

    Returns:
        A report for each file, by path: of a run its manifest, traces, errors, judgements and reviews.

    Raises:
        RunFolderError: there is no such file or folder, no run in it, or a file cannot be read.
    """
    if not source.exists():
        raise RunFolderError(f"no file or folder {str(source)!r}: name a run folder or a trace file")
    if not source.is_dir():
        return [_check_lines(source, traces=True)]
    manifests = sorted(source.rglob(MANIFEST))
    if not manifests:
        raise RunFolderError(
            f"{source} holds no run (no {MANIFEST} in it or below): name a folder that `ddxgraph run --out` made"
        )
    return [found for manifest in manifests for found in _check_run(manifest.parent)]


def _check_run(folder: Path) -> Iterator[FileCheck]:
    try:
        read_manifest(folder)
        faults: tuple[str, ...] = ()
    except DdxgraphError as error:
        faults = (str(error),)
    yield FileCheck(path=folder / MANIFEST, fault_count=len(faults), faults=faults)
    for path in sorted(folder.glob("*.jsonl")):
        yield _check_lines(path, traces=path.name in {TRACES, ERRORS})


def _check_lines(path: Path, *, traces: bool) -> FileCheck:
    lines = unsealed = cut = count = 0
    faults: list[str] = []
    for line in _checked(path, traces=traces):
        lines += line.state != "cut"
        unsealed += line.state == "unsealed"
        cut += line.size if line.state == "cut" else 0
        if line.fault:
            count += 1
            faults += [line.fault] if count <= _MOST_FAULTS else []
    return FileCheck(
        path=path, lines=lines, unsealed=unsealed, cut_bytes=cut, fault_count=count, faults=tuple(faults)
    )


def _checked(path: Path, *, traces: bool) -> Iterator[_Line]:
    try:
        with open_regular(path) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _check(line, number, path, traces=traces)
    except OSError as error:
        raise RunFolderError(f"cannot read {path}: {error.strerror or error}") from None


def _check(line: bytes, number: int, path: Path, *, traces: bool) -> _Line:
    where = f"{path}, line {number}"
    record, checksum = split_checksum(line)
    state: Literal["sealed", "unsealed"] = "unsealed" if checksum is None else "sealed"
    if not line.endswith(b"\n") and not is_whole(line):
        foreign = traces and is_foreign(line)
        fault = f"{where}: it is no trace, nor the beginning of one" if foreign else ""
        return _Line(fault, "cut", len(line))
    if checksum is not None and checksum != checksum_of(record):
        return _Line(f"{where}: it has changed since it was saved", state, len(line))
    if traces:
        try:
            parse_trace(record, where)
        except DdxgraphError as error:
            return _Line(str(error), state, len(line))
    elif not is_whole(record):
        return _Line(f"{where}: it is no JSON object", state, len(line))
    return _Line("", state, len(line))
