"""`ddxgraph inspect`: what Inspect AI has run of this package's tasks."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.speech import STDOUT, Exit, fail, say, spoken

inspect = typer.Typer(name="inspect", help="Logs of Inspect AI.", no_args_is_help=True)


@inspect.callback()
def _inspect() -> None:
    pass


@inspect.command("import")
@spoken
def import_(
    logs: Annotated[
        list[Path], typer.Argument(help="Logs of one run: .eval or .json files.", metavar="LOG...")
    ],
    out: Annotated[
        Path, typer.Option(help="The run's folder, such as runs/inspect; made where it is missing.")
    ],
) -> None:
    """Turn logs of `inspect eval ddxgraph/...` into a run folder, which `ddxgraph eval` takes.

    Several logs are merged where they are of one run, such as a log and that of its `inspect eval-retry`.
    Doing it again changes nothing.

    Exit code: 0 imported, 2 a log or the folder is not fit for it.
    """
    if importlib.util.find_spec("inspect_ai") is None:
        fail("Inspect AI is not installed; run `pip install 'ddxgraph[inspect]'`", Exit.BAD_INPUT)
    from ddxgraph.common.errors import InspectLogError  # noqa: PLC0415 - an extra
    from ddxgraph.eval.inspect.logs import import_logs  # noqa: PLC0415 - an extra

    try:
        done = import_logs(logs, out)
    except InspectLogError as error:
        fail(str(error), Exit.BAD_INPUT)
    for remark in done.remarks:
        say(remark)
    known = f", {done.before} were there already" if done.before else ""
    STDOUT.print(
        f"{done.traces} traces and {done.errors} errors imported into {done.folder}{known}", markup=False
    )
    if done.missing:
        STDOUT.print(f"  {done.missing} traces of the run are missing", markup=False, style="dim")
