"""Bars on the terminal for work that knows how much there is of it; nothing where stderr is no terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ddxgraph.cli.speech import STDERR


@contextmanager
def bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how much is done of how much; a bar shows it from its first call on."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=STDERR, transient=True, disable=quiet or not STDERR.is_interactive)
    task = shown.add_task(escape(what), total=None)

    def told(done: int, total: int) -> None:
        shown.start()
        shown.update(task, completed=done, total=total)

    try:
        yield told
    finally:
        shown.stop()


def counting_bar(quiet: bool) -> Progress:
    """A bar that counts what is done, to be entered."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=STDERR,
        transient=True,
        disable=quiet or not STDERR.is_interactive,
    )
