"""`ddxgraph runs`: what lies in run folders."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ddxgraph.cli.commands import group
from ddxgraph.cli.terminal import STDOUT, Exit, fail, show_json, spoken

if TYPE_CHECKING:
    from ddxgraph.batch.verify import FileCheck

_MOST_SHOWN: Final = 20
"""Faults of one file that are listed; `--json` has more of them."""

app = group("Run folders: check that they hold what was saved.", no_args_is_help=True)


@app.callback()
def _runs() -> None:
    """Keep `verify` a subcommand, although it is the only one."""


@app.command()
@spoken
def verify(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, folders of runs (every run below is checked), or trace files.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Check every line of runs against its checksum: traces, errors, judgements, reviews.

    A line that a crash cut short is no fault: the run's own command does that traversal again. Lines of earlier
    versions have no checksum; they are read, and counted.

    Exit code: 0 whole, 1 a line has changed or cannot be read, 2 bad input.
    """
    from ddxgraph.batch.verify import verify as verify_files

    checks = [check for source in sources for check in verify_files(source)]
    if as_json:
        show_json(json.dumps([check.model_dump(mode="json") for check in checks], ensure_ascii=False))
    else:
        for check in checks:
            _print(check)
    bad = [check for check in checks if not check.whole]
    if bad:
        faults = sum(check.fault_count for check in bad)
        fail(
            f"{faults} {'fault' if faults == 1 else 'faults'} in {len(bad)} of {len(checks)} files: restore "
            "these from a copy, or take the lines out and do their traversals again",
            Exit.NOT_DONE,
        )


def _print(check: "FileCheck") -> None:
    STDOUT.print(f"{check.path}: {_state(check)}", markup=False)
    for fault in check.faults[:_MOST_SHOWN]:
        STDOUT.print(f"  {fault}", markup=False)
    if check.fault_count > _MOST_SHOWN:
        STDOUT.print(f"  and {check.fault_count - _MOST_SHOWN} more", markup=False)


def _state(check: "FileCheck") -> str:
    parts = ["whole" if check.whole else "NOT WHOLE"]
    if check.lines:
        parts.append(f"{check.lines} lines")
    if check.unsealed:
        parts.append(f"{check.unsealed} without a checksum")
    if check.cut_bytes:
        parts.append(f"the last line is cut short ({check.cut_bytes} bytes)")
    return ", ".join(parts)
