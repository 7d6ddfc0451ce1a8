"""`ddxgraph inspect`: logs of Inspect AI as run folders."""

from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.commands import group
from ddxgraph.cli.terminal import STDOUT, need, say, spoken

app = group("Logs of Inspect AI.", no_args_is_help=True)


@app.callback()
def _inspect() -> None:
    pass


@app.command("import")
@spoken
def import_(
    logs: Annotated[
        list[Path], typer.Argument(help="Logs of one run: .eval or .json files.", metavar="LOG...")
    ],
    out: Annotated[
        Path, typer.Option(help="The run's folder, such as runs/inspect. It is made if it does not exist.")
    ],
) -> None:
    """Convert logs of `inspect eval ddxgraph/...` to a run folder, which `ddxgraph eval` reads.

    Logs of one run, such as a log and that of its `inspect eval-retry`, are merged. Repeating the command changes
    nothing.

    Exit code: 0 imported, 2 a log or the folder cannot be used.
    """
    need("importing logs", ("inspect_ai",), "inspect")
    from ddxgraph.eval.inspect.logs import import_logs

    done = import_logs(logs, out)
    for remark in done.remarks:
        say(remark)
    known = f", {done.before} were there already" if done.before else ""
    STDOUT.print(
        f"{done.traces} traces and {done.errors} errors imported into {done.folder}{known}", markup=False
    )
    if done.missing:
        STDOUT.print(f"  {done.missing} traces of the run are missing", markup=False, style="dim")
