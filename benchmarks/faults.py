"""What `ddxgraph run` does when the disk is full, nothing can be written, or a line of its traces is corrupt.

Each fault is really provoked: a small tmpfs that fills up (where the process may not mount one, a limit on the
size of files), a folder without write permission (root's right to write all the same is taken from the
command), a file system mounted read-only, a flipped byte. The command runs as a process of its own against a
scripted server on loopback. Of each fault is reported what was said, the exit code, whether a traceback was
printed, and whether what had been there is there still. Prints JSON; exits 1 if any fault was not borne.

    python benchmarks/faults.py [--cases 8]
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from scripted_server import scripted_server

LIMIT = "RLIMIT_FSIZE"
DISK_BYTES = 1 << 20
PAGE_BYTES = 4096
LEFT_BYTES = 40_000
"""Room for three or four traces."""
TIMEOUT_S = 120
_PR_CAPBSET_DROP = 24
_RIGHTS = {"CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2}
"""By which root writes and reads where permissions do not let it."""


Before = Callable[[], None] | None
"""What a process does before it starts a program."""


class Said(NamedTuple):
    """How the command ended."""

    exit_code: int
    error: str
    traceback: bool


class Disk(NamedTuple):
    """Where runs go, and how to leave only so much room there."""

    folder: Path
    by: str
    limited: Callable[[int], Before]
    """Called with the bytes that shall be left; gives what the command's process has to do before it starts."""
    freed: Callable[[], None]


class Command:
    """`ddxgraph run` on some cases."""

    def __init__(self, work: Path, base_url: str, cases: int) -> None:
        self._base_url = base_url
        self._file = work / "cases.jsonl"
        lines = [
            {"id": f"case-{number}", "vignette": f"Fever for {number} days.", "options": {"A": "x", "B": "y"}}
            for number in range(1, cases + 1)
        ]
        self._file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        self.cases = cases

    def __call__(self, out: Path, before_start: Before = None) -> Said:
        # The environment is the user's own; the engine is not.
        env = {key: value for key, value in os.environ.items() if not key.startswith("DDXGRAPH_")}
        command = [sys.executable, "-m", "ddxgraph", "run", str(self._file), "--out", str(out)]
        done = subprocess.run(
            [*command, "--base-url", self._base_url, "--concurrency", "2", "--quiet"],
            check=False,
            capture_output=True,
            text=True,
            env=env,
            timeout=TIMEOUT_S,
            preexec_fn=before_start,
        )
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return Said(done.returncode, "".join(last), "Traceback" in done.stderr)

    def stopped(self, out: Path) -> None:
        """Leave a folder as a run leaves it that was stopped before its last two traces."""
        said = self(out)
        if said.exit_code:
            raise SystemExit(f"the run itself failed: {said.error}")
        traces = out / "traces.jsonl"
        traces.write_bytes(b"".join(traces.read_bytes().splitlines(keepends=True)[:-2]))


def content(folder: Path) -> dict[str, bytes]:
    """Every byte of every file of a folder, but for the lock, which says who holds it."""
    return {file.name: file.read_bytes() for file in folder.glob("*") if file.name != "run.lock"}


@contextmanager
def small_disk(work: Path) -> Iterator[Disk]:
    """A tmpfs where the process may mount one; else the command's files may not grow beyond a limit."""
    folder = work / "disk"
    folder.mkdir()
    mounted = not _mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    ballast = folder / "ballast"

    def fill(left: int) -> None:
        free = os.statvfs(folder)
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - left // PAGE_BYTES * PAGE_BYTES))

    def limit(left: int) -> Before:
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (left, left))

    if mounted:
        disk = Disk(folder, f"a tmpfs of {DISK_BYTES} bytes", fill, ballast.unlink)
    else:
        disk = Disk(folder, LIMIT, limit, lambda: None)
    try:
        yield disk
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*args: str) -> int:
    """0 where it was mounted."""
    try:
        return subprocess.run(["mount", *args], check=False, capture_output=True).returncode
    except FileNotFoundError:
        return 1


def disk_full_midway(command: Command, work: Path) -> dict[str, Any]:
    """The disk fills up while traces are saved, is full still at the second start, and has room at the third."""
    with small_disk(work) as disk:
        out = disk.folder / "run"
        before_start = disk.limited(LEFT_BYTES)
        first = command(out, before_start)
        saved = content(out)
        second = command(out, before_start)
        kept = content(out)
        disk.freed()
        third = command(out)
        finished = content(out)
        ids = [json.loads(line)["id"] for line in finished["traces.jsonl"].splitlines()]
        return {
            "by": disk.by,
            **first._asdict(),
            "traceback": first.traceback or second.traceback or third.traceback,
            "exit_code_while_full_still": second.exit_code,
            "saved": saved["traces.jsonl"].count(b"\n"),
            "whole_lines": all(text.endswith(b"\n") for text in saved.values() if text),
            "unchanged": _begins(kept, saved) and _begins(finished, kept),
            "finished_by_the_same_command": third.exit_code == 0
            and len(set(ids)) == len(ids) == command.cases,
        }


def _begins(later: dict[str, bytes], before: dict[str, bytes]) -> bool:
    """What was there before is there still, and what came is behind it."""
    return all(later.get(name, b"").startswith(text) for name, text in before.items())


def disk_full_at_the_manifest(command: Command, work: Path) -> dict[str, Any]:
    """The lock finds room on the disk, run.json none; then there is room."""
    with small_disk(work) as disk:
        out = disk.folder / "run"
        first = command(out, disk.limited(200 if disk.by == LIMIT else PAGE_BYTES))
        there = (out / "run.json").exists()
        disk.freed()
        second = command(out)
        return {
            "by": disk.by,
            **first._asdict(),
            "traceback": first.traceback or second.traceback,
            "unchanged": not there,
            "finished_by_the_same_command": second.exit_code == 0,
        }


def corrupt_line(command: Command, work: Path) -> dict[str, Any]:
    """A byte flips in the second of the traces, and the last is cut short besides."""
    out = work / "run"
    command.stopped(out)
    traces = out / "traces.jsonl"
    lines = traces.read_bytes().splitlines(keepends=True)
    lines[1] = bytes([lines[1][0] ^ 4]) + lines[1][1:]
    traces.write_bytes(b"".join(lines)[:-100])
    return {"by": "a flipped bit in line 2, 100 bytes off the last line", **_refused(command, out)}


def read_only_folder(command: Command, work: Path) -> dict[str, Any]:
    """The folder of a stopped run, and all in it, lose their write permission."""
    out = work / "run"
    command.stopped(out)
    return {"by": f"chmod a-w, {_without_rights()}", **_refused_without_permission(command, out, out)}


def read_only_parent(command: Command, work: Path) -> dict[str, Any]:
    """The folder in which the run's is to be made lacks write permission."""
    parent = work / "runs"
    parent.mkdir()
    said = _refused_without_permission(command, parent / "run", parent)
    return {"by": f"chmod a-w, {_without_rights()}", **said}


def _without_rights() -> str:
    return "root's right to override it dropped" if os.geteuid() == 0 else "not as root"


def _drop_rights() -> None:
    """Bind root by permissions too, from the next program on that the process becomes."""
    libc = ctypes.CDLL(None, use_errno=True)
    for right, number in _RIGHTS.items():
        if libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"cannot drop {right}")


def _refused_without_permission(command: Command, out: Path, locked: Path) -> dict[str, Any]:
    places = [locked, *locked.iterdir()]
    modes = {place: place.stat().st_mode for place in places}
    for place, mode in modes.items():
        place.chmod(mode & ~0o222)
    try:
        return _refused(command, out, _drop_rights if os.geteuid() == 0 else None)
    finally:
        for place, mode in modes.items():
            place.chmod(mode)


def read_only_file_system(command: Command, work: Path) -> dict[str, Any] | None:
    """The file system of a stopped run is mounted read-only; None where the process may not mount."""
    with small_disk(work) as disk:
        out = disk.folder / "run"
        if disk.by == LIMIT:
            return None
        command.stopped(out)
        if _mount("-o", "remount,ro", str(disk.folder)):
            return None
        return {"by": "a tmpfs mounted read-only", **_refused(command, out)}


def _refused(command: Command, out: Path, before_start: Before = None) -> dict[str, Any]:
    before = content(out)
    said = command(out, before_start)
    return {**said._asdict(), "unchanged": content(out) == before and out.exists() == bool(before)}


FAULTS: tuple[Callable[[Command, Path], dict[str, Any] | None], ...] = (
    disk_full_midway,
    disk_full_at_the_manifest,
    read_only_folder,
    read_only_parent,
    read_only_file_system,
    corrupt_line,
)


def is_borne(report: dict[str, Any]) -> bool:
    """A sentence, an exit code, nothing lost; and the same command finishes what could not be written."""
    return (
        report["exit_code"] in {1, 2}
        and report["error"].startswith("ddxgraph: ")
        and not report["traceback"]
        and report["unchanged"]
        and report.get("whole_lines", True)
        and report.get("finished_by_the_same_command", True)
    )


def measure(cases: int) -> dict[str, Any]:
    reports: dict[str, Any] = {}
    with scripted_server() as served:
        for fault in FAULTS:
            with tempfile.TemporaryDirectory(prefix="ddxgraph-faults-") as name:
                work = Path(name)
                report = fault(Command(work, served.base_url, cases), work)
                told = {"provoked": " ".join((fault.__doc__ or "").split())}
                reports[fault.__name__] = (
                    {**told, "not_provoked": "needs the right to mount"}
                    if report is None
                    else {**told, **report, "borne": is_borne(report)}
                )
    return reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cases", type=int, default=8)
    args = parser.parse_args()
    reports = measure(args.cases)
    print(json.dumps({**reports, **vars(args)}))
    sys.exit(not all(report.get("borne", True) for report in reports.values()))


if __name__ == "__main__":
    main()
