"""How a run is going, on a terminal or in a log."""

import time
from collections import Counter
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ddxgraph.graph.tally import Tally

LOG_EVERY_S: Final = 15.0
"""Seconds between two lines where stderr is no terminal."""
_MINUTE, _HOUR = 60, 3600


class RunProgress:
    """Shows a tally while it grows: in place on a terminal, as a line now and then elsewhere.

    Args:
        console: where to print; stderr.
        tally: what to show.
        name: of the run.
        every_s: seconds between two lines where the console is no terminal.
    """

    def __init__(self, console: Console, tally: Tally, name: str, *, every_s: float = LOG_EVERY_S) -> None:
        self._console, self._tally, self._name, self._every_s = console, tally, name, every_s
        self._note = ""
        self._spoken = time.monotonic()
        self._live = (
            Live(get_renderable=self._panel, console=console, refresh_per_second=4, transient=True)
            if console.is_interactive  # a terminal that cannot go back a line gets lines, as a log does
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def update(self) -> None:
        """The tally has grown."""
        if self._live is None and time.monotonic() - self._spoken >= self._every_s:
            self._speak()

    def note(self, text: str) -> None:
        """Say something beside the figures until the end, such as that the run is stopping."""
        self._note = text
        if self._live is None:
            self._print(text)

    def _speak(self) -> None:
        self._spoken = time.monotonic()
        parts = [place(self._tally), *figures(self._tally), troubles(self._tally)]
        self._print(", ".join(filter(None, parts)))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _panel(self) -> RenderableType:
        tally = self._tally
        head = Table.grid(padding=(0, 1))
        head.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=max(tally.total, 1), completed=tally.done, width=30),
            Text(place(tally)),
        )
        lines: list[RenderableType] = [head, Text("  " + "  ".join(figures(tally)), style="dim")]
        if trouble := troubles(tally):
            lines.append(Text("  " + trouble, style="yellow"))
        if self._note:
            lines.append(Text("  " + self._note, style="yellow"))
        return Group(*lines)


def place(tally: Tally) -> str:
    """How far it is, and how long it will take."""
    percent = 100 * tally.done // tally.total if tally.total else 100  # never 100 before the end
    left = f", {duration(tally.eta_s)} left" if tally.eta_s and tally.done < tally.total else ""
    return f"{tally.done} of {tally.total} ({percent}%){left}"


def figures(tally: Tally) -> list[str]:
    """Pace, tokens, cache and accuracy, as far as they are known."""
    said = []
    if tally.ended:
        pace = tally.ended / tally.elapsed_s
        said.append(f"{pace:.1f} traces/s" if pace >= 1 else f"{pace * _MINUTE:.1f} traces/min")
        said.append(f"{tally.usage.completion_tokens / tally.elapsed_s:.0f} tokens/s written")
        said.append(f"{tally.usage.prompt_tokens / tally.elapsed_s:.0f} read")
    if tally.usage.cache_share is not None:
        said.append(f"{tally.usage.cache_share:.0%} of the prompts cached")
    if tally.accuracy is not None:
        said.append(f"accuracy {tally.accuracy:.1%} ({tally.correct} of {tally.judged})")
    said += [
        f"{count} {outcome}" for outcome in ("abstained", "unparsed") if (count := tally.outcomes[outcome])
    ]
    return said


def troubles(tally: Tally) -> str:
    """Errors and repeated calls by kind; empty where there are none."""
    said = []
    if tally.errors:
        said.append(f"errors: {_counts(tally.errors)}")
    if tally.retried:
        said.append(f"calls made again: {_counts(tally.retried)}")
    return "; ".join(said)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as clocks write them."""
    whole = round(seconds)
    hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
    return f"{hours}:{minutes:02}:{whole % _MINUTE:02}" if hours else f"{minutes}:{whole % _MINUTE:02}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counter.most_common())
