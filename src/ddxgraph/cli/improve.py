"""`ddxgraph improve`: rounds of journeys, training and evaluation, from one configuration."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ddxgraph.batch.tally import Tally
from ddxgraph.cli import options
from ddxgraph.cli.bar import bar
from ddxgraph.cli.retries import retries_counted
from ddxgraph.cli.serve import starting
from ddxgraph.cli.signals import FROM_OUTSIDE, asked_to_stop, signals_handled
from ddxgraph.cli.speech import STDERR, STDOUT, Exit, fail, say, spoken
from ddxgraph.cli.train import training_progress
from ddxgraph.eval.wording import figure, interval, number, p_value, percent, signed
from ddxgraph.training.loop.config import default_toml
from ddxgraph.view.notice import NOTICE
from ddxgraph.view.terminal.progress import RunProgress

if TYPE_CHECKING:
    from ddxgraph.training.loop.engines import Company
    from ddxgraph.training.loop.summary import LoopSummary
    from ddxgraph.training.sft.train import Hooks

_NEEDED: Final = {
    "eval": ("numpy", "scipy"),
    "journeys": ("datasketch",),
    "train": ("torch", "transformers", "trl", "peft", "datasets"),
}
"""Extra to the packages of it that the loop needs."""
_TOLD_EVERY_S: Final = 60.0
"""Seconds between two lines while an engine starts, where stderr is no terminal."""

branches = typer.Typer(rich_markup_mode="markdown")


@spoken
def improve(
    loop: Annotated[
        Path,
        typer.Argument(
            metavar="LOOP", help="Settings (TOML); `ddxgraph improve default-config` prints them all."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The loop's folder; else one of the file's name, without its ending, beside it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Rounds of generate, gate, compile, train, serve, verify, evaluate, compare.

    A round's adapter is kept unless the paired test on the validation cases shows it worse; then the loop stops.
    The same command goes on where it was broken off, in whatever stage. Ctrl-C loses nothing that has ended.

    Exit code: 0 done, 1 stopped (by the rule, for want of journeys, or since an adapter is not in force) or not
    done, 2 bad input, 130 interrupted.
    """
    need_the_extras()
    from ddxgraph.training.loop.improve import improve as go_on  # noqa: PLC0415 - needs the extras
    from ddxgraph.training.loop.improve import place_of  # noqa: PLC0415

    place = place_of(loop, out)
    with stopped_as_ctrl_c():
        try:
            summary = go_on(loop, place, company=company(quiet=quiet))
        except KeyboardInterrupt as interrupt:
            fail(str(interrupt) or "interrupted; the same command goes on from there", Exit.INTERRUPTED)
    if as_json:
        typer.echo(summary.model_dump_json())
    else:
        _print(summary, place)
    if summary.state == "stopped":
        fail(summary.why, Exit.NOT_DONE)


@branches.command("default-config")
@spoken
def default_config() -> None:
    """Print the settings as a TOML file that explains itself; every line of it may be left out."""
    typer.echo(default_toml(), nl=False)


def company(*, quiet: bool) -> "Company":
    """Who says on stderr how a loop is going."""
    from ddxgraph.training.loop.engines import Company  # noqa: PLC0415 - needs the extras

    return Company(
        watch=_Teller(quiet=quiet),
        training=lambda: _training(quiet=quiet),
        starting=lambda: starting(quiet=quiet),
    )


class _Teller:
    """Says on stderr how a loop is going: a line a stage, and the progress within it."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def stage(self, where: str, stage: str, *, there: bool = False) -> None:
        """A stage begins, or is done already."""
        if not self._quiet:
            say(f"{where}: {stage}{' is done already' if there else ''}")

    @contextmanager
    def walking(self, name: str, tally: Tally) -> Iterator[Callable[[], None]]:
        """The progress of traversals."""
        with ExitStack() as held:
            shown = None if self._quiet else held.enter_context(RunProgress(STDERR, tally, name))
            told: Callable[[], None] = shown.update if shown else _nothing
            held.enter_context(retries_counted(tally, told))
            yield told

    def working(self, what: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A bar."""
        return bar(what, self._quiet)


def _nothing() -> None:
    """Where nobody is told."""


@contextmanager
def _training(*, quiet: bool) -> Iterator["Hooks"]:
    """Progress of a training, and its stop after a step."""
    from ddxgraph.training.sft.train import Hooks  # noqa: PLC0415 - needs the extra

    with (
        training_progress(quiet=quiet) as told,
        bar("tokenizing", quiet) as tokenizing,
        asked_to_stop(say) as stop,
    ):
        yield Hooks(told=told, stop=stop, tokenizing=tokenizing)


def stopped_as_ctrl_c() -> AbstractContextManager[None]:
    """While this holds, what stops a process from outside ends it as Ctrl-C does."""
    return signals_handled(FROM_OUTSIDE, _as_ctrl_c)


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    """Have a batch system's stop, and the end of a login session, end the loop as Ctrl-C does."""
    # Through its own handler where there is one, so that a run saves what has ended.
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)
    else:
        raise KeyboardInterrupt


def _print(summary: "LoopSummary", place: Path) -> None:
    """Print base model and rounds, and where the rest is told."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("")
    for name in ("accuracy", "95% interval", "tokens", "journeys", "loss", "points", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kept", overflow="fold")
    if summary.base:
        base = summary.base
        table.add_row(
            "base", figure(base.accuracy), interval(base.accuracy), number(base.output_tokens), *[""] * 5
        )
    for one in summary.rounds:
        found, decision, gathered = one.evaluated, one.decision, one.gathered
        told = decision.comparison if decision else None
        table.add_row(
            f"round {one.number}",
            figure(found.accuracy) if found else "–",
            interval(found.accuracy) if found else "–",
            number(found.output_tokens) if found else "–",
            f"{gathered.accepted} of {gathered.traversals} ({percent(gathered.share, 0)})"
            if gathered
            else "–",
            f"{one.trained.train_loss:.3f}" if one.trained else "–",
            f"{signed(told.difference)} against {told.a}" if told else "–",
            p_value(told.p_value) if told else "–",
            ("yes" if decision.kept else "no") if decision else "–",
        )
    STDOUT.print(table, soft_wrap=False)
    STDOUT.print(Text(f"{summary.items}, by {summary.strategy}; more in {place / 'summary.html'}"))
    if summary.kept:
        STDOUT.print(Text(f"the adapter to use: {place / summary.kept}"))
    STDOUT.print(Text(NOTICE, style="dim"))


def need_the_extras() -> None:
    """See to it that a loop has all the packages that it needs."""
    lacking = {extra: [name for name in names if find_spec(name) is None] for extra, names in _NEEDED.items()}
    if any(lacking.values()):
        _lack(lacking)


def _lack(lacking: dict[str, list[str]]) -> NoReturn:
    missing = ", ".join(name for names in lacking.values() for name in names)
    extras = ",".join(extra for extra, names in lacking.items() if names)
    fail(
        f"the loop needs {missing}, which this Python lacks: pip install 'ddxgraph[{extras}]'", Exit.BAD_INPUT
    )
