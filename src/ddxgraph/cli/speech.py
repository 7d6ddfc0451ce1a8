"""How the command line speaks: sentences and exit codes instead of tracebacks."""

import errno
import sys
from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import IO, Final, NoReturn, ParamSpec, TypeVar, cast

import typer
from rich.console import Console
from rich.markup import escape

from ddxgraph.cli.streams import Remarks, discard, steady_streams
from ddxgraph.common.errors import BadInput, NotDone

P = ParamSpec("P")
R = TypeVar("R")

STDERR: Final = Console(file=cast(IO[str], Remarks()), stderr=True, highlight=False)
STDOUT: Final = Console(highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    NOT_DONE = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


def say(message: str) -> None:
    """A remark on stderr."""
    STDERR.print(escape(message), style="dim", soft_wrap=True)


def fail(message: str, code: Exit) -> NoReturn:
    """Say what went wrong, and end."""
    STDERR.print(f"[red]ddxgraph:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


def spoken(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what may go wrong into a sentence and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        steady_streams()
        try:
            return command(*args, **kwargs)
        except BadInput as error:
            fail(str(error), Exit.BAD_INPUT)
        except NotDone as error:
            fail(str(error), Exit.NOT_DONE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the results has enough
                raise
            discard(sys.stdout)
            fail(str(error), Exit.NOT_DONE)
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted", Exit.INTERRUPTED)

    return run
