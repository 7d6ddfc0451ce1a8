"""The terminal: results on stdout, progress and errors on stderr, sentences and exit codes instead of tracebacks.

No character that the terminal lacks, no closed stream and no full log breaks what a command does.
"""

import codecs
import errno
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from functools import wraps
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, ParamSpec, TypeVar, cast

import typer
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.markup import escape
from rich.segment import Segment

from ddxgraph.common.errors import BadInput, MissingExtra, NotDone
from ddxgraph.common.extras import install
from ddxgraph.common.typography import harmless, harmless_json

if TYPE_CHECKING:
    from rich.progress import Progress

P = ParamSpec("P")
R = TypeVar("R")


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    NOT_DONE = 1
    BAD_INPUT = 2
    INTERRUPTED = 130


class _Stderr(io.TextIOBase):
    """stderr as long as it can be written: work goes on when the terminal or the log behind it is gone."""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class declares an attribute
        """The stream's encoding."""
        return getattr(_stderr(), "encoding", None) or "utf-8"

    def write(self, text: str, /) -> int:
        """Write the text if the stream takes it."""
        _try(lambda stream: stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream if it can be flushed."""
        _try(lambda stream: stream.flush())

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        stream = _stderr()
        return stream is not None and bool(stream.isatty())

    def fileno(self) -> int:
        """The stream's file descriptor."""
        stream = _stderr()
        if stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(stream.fileno())


def _stderr() -> Any:
    """stderr itself; None in a process that was started without one."""
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich puts a proxy there while it draws


def _try(act: Callable[[Any], object]) -> None:
    stream = _stderr()
    try:
        if stream is not None:
            act(stream)
    except (OSError, ValueError):
        _discard(stream)


def _discard(stream: Any) -> None:
    """Send a stream's buffer and all that is written to it from now on to the null device."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class _Harmless(RenderHook):
    """Cleans all that a console prints: names, paths and errors may come from anyone."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wrap what is printed."""
        return [_Cleaned(renderable) for renderable in renderables]


class _Cleaned(NamedTuple):
    renderable: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self.renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


if not os.environ.get("COLUMNS", "1").strip("0"):  # Rich would write nothing into no width
    del os.environ["COLUMNS"]
STDERR: Final = Console(file=cast(IO[str], _Stderr()), stderr=True, highlight=False)
STDOUT: Final = Console(highlight=False, soft_wrap=True)
STDERR.push_render_hook(_Harmless())
STDOUT.push_render_hook(_Harmless())


def show_json(text: str) -> None:
    """Print JSON on stdout, with what could control a terminal escaped."""
    typer.echo(harmless_json(text.rstrip("\n")))


def say(message: str) -> None:
    """Print a remark on stderr."""
    STDERR.print(escape(message), style="dim", soft_wrap=True)


def fail(message: str, code: Exit) -> NoReturn:
    """Print an error on stderr and end with this exit code."""
    STDERR.print(f"[red]ddxgraph:[/red] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)


def spoken(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command: its errors become a sentence on stderr and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        _steady_streams()
        try:
            return command(*args, **kwargs)
        except BadInput as error:
            fail(str(error), Exit.BAD_INPUT)
        except NotDone as error:
            fail(str(error), Exit.NOT_DONE)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of the results has enough
                raise
            _discard(sys.stdout)
            fail(str(error), Exit.NOT_DONE)
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted", Exit.INTERRUPTED)

    return run


def _steady_streams() -> None:
    """Keep characters that stdout cannot encode, and closed standard streams, from breaking a command.

    Such a character is written as JSON would (`\\u00e9`), so that JSON stays JSON. The descriptor of a closed
    standard stream would go to the next file that is opened, and a library's warnings would end up in that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(descriptor)
    codecs.register_error("json", _as_json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


@contextmanager
def bar(label: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, if that is a terminal.

    Yields:
        A function of how much is done and how much there is; the bar appears at its first call.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=STDERR, transient=True, disable=quiet or not STDERR.is_interactive)
    task = shown.add_task(escape(label), total=None)

    def update(done: int, total: int) -> None:
        shown.start()
        shown.update(task, completed=done, total=total)

    try:
        yield update
    finally:
        shown.stop()


def counting_bar(quiet: bool) -> "Progress":
    """A progress bar on stderr that counts items; enter it, then add a task."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    disable = quiet or not STDERR.is_interactive
    return Progress(*columns, TimeRemainingColumn(), console=STDERR, transient=True, disable=disable)


def need(what: str, modules: Iterable[str], extra: str) -> None:
    """Check that what an extra installs is there.

    Args:
        what: what needs it, such as `the gate`.
        modules: the modules by the names under which they are imported.
        extra: the extra, or several with commas.

    Raises:
        MissingExtra: modules are missing; the message says what to install.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{what} needs {', '.join(missing)}, which this Python lacks: {install(extra)}")


def counted(number: int, noun: str) -> str:
    """Such as `1 sample`, `2 samples`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
