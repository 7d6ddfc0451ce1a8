"""How the command line speaks: sentences and exit codes instead of tracebacks."""

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from functools import wraps
from typing import IO, Any, Final, NoReturn, ParamSpec, TypeVar, cast

import typer
from rich.console import Console
from rich.markup import escape

from ddxgraph.eval.casefile import CaseFileError
from ddxgraph.graph.checkpointstore import CheckpointError
from ddxgraph.graph.manifest import CaseConflict
from ddxgraph.graph.plan import CaseTooLong
from ddxgraph.graph.runfolder import RunFolderError
from ddxgraph.graph.tracefile import TraceFileError
from ddxgraph.serving.connect import EndpointError
from ddxgraph.serving.weights import WeightsError

P = ParamSpec("P")
R = TypeVar("R")


class _Remarks(io.TextIOBase):
    """stderr for as long as it can be written: work goes on when the terminal or the log behind it is gone."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The characters that it can show."""
        return getattr(_stderr(), "encoding", None) or "utf-8"

    def write(self, text: str, /) -> int:
        """Write, or else nothing."""
        stream = _stderr()
        try:
            if stream is not None:  # None where the process was started without one
                stream.write(text)
        except (OSError, ValueError):
            _discard(stream)
        return len(text)

    def flush(self) -> None:
        """Flush, or else nothing."""
        stream = _stderr()
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            _discard(stream)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        stream = _stderr()
        return stream is not None and bool(stream.isatty())

    def fileno(self) -> int:
        """Its number."""
        stream = _stderr()
        if stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(stream.fileno())


def _stderr() -> Any:
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich puts a proxy there while it draws


def _discard(stream: Any) -> None:
    """Send what is written to a stream from now on nowhere, and what it still holds with it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


STDERR: Final = Console(file=cast(IO[str], _Remarks()), stderr=True, highlight=False)
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
        _steady_streams()
        try:
            return command(*args, **kwargs)
        except (CaseFileError, CaseConflict, CaseTooLong, TraceFileError, RunFolderError) as error:
            fail(str(error), Exit.BAD_INPUT)
        except (EndpointError, WeightsError, CheckpointError) as error:
            fail(str(error), Exit.NOT_DONE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the results has enough
                raise
            _discard(sys.stdout)
            fail(str(error), Exit.NOT_DONE)
        except KeyboardInterrupt:
            fail("interrupted", Exit.INTERRUPTED)

    return run


def _steady_streams() -> None:
    """See to it that no character and no closed stream breaks what a command prints, or what it writes.

    What the terminal cannot show is written as JSON would (`\\u00e9`), so that JSON stays JSON. A standard stream
    that is closed would give its number to the next file that is opened, and a library's warnings would go there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(number)
    codecs.register_error("json", _as_json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
