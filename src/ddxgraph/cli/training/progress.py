"""Progress of trainings, loops and starting engines on stderr."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from ddxgraph.cli.options import retries_counted
from ddxgraph.cli.signals import asked_to_stop
from ddxgraph.cli.terminal import STDERR, bar, say

if TYPE_CHECKING:
    from ddxgraph.batch.tally import Tally
    from ddxgraph.serving.server import Progress as EngineProgress
    from ddxgraph.training.loop.engines import Company
    from ddxgraph.training.sft.callbacks import TrainProgress
    from ddxgraph.training.sft.train import Hooks

_TRAINING_LINE_S: Final = 15.0
_ENGINE_LINE_S: Final = 60.0
"""Seconds between two lines of progress if stderr is no terminal."""


def company(*, quiet: bool) -> "Company":
    """Shows on stderr how a loop or an experiment is going."""
    from ddxgraph.training.loop.engines import Company

    return Company(
        watch=_StageProgress(quiet=quiet),
        training=lambda: _training(quiet=quiet),
        starting=lambda: starting(quiet=quiet),
    )


class _StageProgress:
    """A line for each stage, and the progress within it."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def stage(self, where: str, stage: str, *, there: bool = False) -> None:
        """Say that a stage begins, or that it is done already."""
        if not self._quiet:
            say(f"{where}: {stage}{' is done already' if there else ''}")

    @contextmanager
    def walking(self, name: str, tally: "Tally") -> Iterator[Callable[[], None]]:
        """The progress of traversals."""
        from ddxgraph.view.terminal.progress import RunProgress

        with ExitStack() as held:
            shown = None if self._quiet else held.enter_context(RunProgress(STDERR, tally, name))
            update: Callable[[], None] = shown.update if shown else _nothing
            held.enter_context(retries_counted(tally, update))
            yield update

    def working(self, what: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A bar."""
        return bar(what, self._quiet)


def _nothing() -> None:
    """Called instead of a display."""


@contextmanager
def _training(*, quiet: bool) -> Iterator["Hooks"]:
    """The progress of a training, and its stop after a step on Ctrl-C."""
    from ddxgraph.training.sft.train import Hooks

    with (
        training_progress(quiet=quiet) as update,
        bar("tokenizing", quiet) as tokenizing,
        asked_to_stop(say) as stop,
    ):
        yield Hooks(told=update, stop=stop, tokenizing=tokenizing, note=say)


@contextmanager
def training_progress(*, quiet: bool) -> Iterator["Callable[[TrainProgress], None] | None"]:
    """A bar with tokens/s and the time left; if stderr is no terminal, a line now and then."""
    _hush_libraries()
    if quiet:
        yield None
    elif STDERR.is_interactive:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=STDERR, transient=True) as shown:
            task = shown.add_task("loading the model", total=None)
            yield lambda at: shown.update(
                task, completed=at.step, total=at.steps, description=f"training, {figures(at)}"
            )
    else:
        yield _Lines()


def _hush_libraries() -> None:
    """Keep the training's libraries from drawing bars of their own and from warning about deprecations."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|trl|peft|accelerate)\.")


class _Lines:
    """Lines of progress: the first, the last, and between them one every `_TRAINING_LINE_S`."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, at: "TrainProgress") -> None:
        now = time.monotonic()
        if at.step in {0, at.steps} or now - self._last >= _TRAINING_LINE_S:
            self._last = now
            say(f"step {at.step} of {at.steps}, {figures(at)}")


def figures(at: "TrainProgress") -> str:
    """Loss, speed and the time left, in words."""
    parts = [f"loss {at.loss:.3f}"] if at.loss is not None else []
    parts += [f"validation {at.validation_loss:.3f}"] if at.validation_loss is not None else []
    if at.done and at.seconds > 0:
        parts.append(f"{at.tokens / at.seconds:.0f} tokens/s")
        parts.append(f"{at.seconds / at.done * (at.steps - at.step):.0f} s left")
    return ", ".join(parts) or "beginning"


@contextmanager
def starting(*, quiet: bool) -> "Iterator[EngineProgress | None]":
    """A line that moves while an engine starts; if stderr is no terminal, a line a minute."""
    if quiet:
        yield None
        return
    with ExitStack() as held:
        status = held.enter_context(STDERR.status("starting the engine")) if STDERR.is_terminal else None
        last = 0.0

        def progress(seconds: float, line: str) -> None:
            nonlocal last
            if status:
                room = max(STDERR.width - 30, 20)
                status.update(f"starting the engine, {seconds:.0f} s: [dim]{escape(line[:room])}[/dim]")
            elif seconds - last >= _ENGINE_LINE_S:
                last = seconds
                say(f"starting the engine, {seconds:.0f} s")

        yield progress
