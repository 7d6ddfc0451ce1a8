"""How a run is going, on a terminal or in a log."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ddxgraph.batch.tally import Recent, Tally
from ddxgraph.view.charts.outcomes import outcome_bar
from ddxgraph.view.terminal.pathline import short_path
from ddxgraph.view.terminal.screen import Screen

LOG_EVERY_S: Final = 15.0
"""Seconds between two lines where stderr is no terminal."""
_MINUTE, _HOUR = 60, 3600
_BAR_CELLS: Final = 30
_LEAST_BAR: Final = 8
_INDENT: Final = 2
_NAME_SHARE, _ANSWER_SHARE = 0.25, 0.2
"""Of a line, at most, for a case's name and for an answer."""


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
        self._screen = Screen(console)
        self._note = ""
        self._spoken = time.monotonic()
        self._live = (
            Live(get_renderable=self._panel, console=console, refresh_per_second=4, transient=True)
            if self._screen.live  # a terminal that cannot go back a line gets lines, as a log does
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
        parts = [place(self._tally), *figures(self._tally), *means(self._tally), troubles(self._tally)]
        self._print(", ".join(filter(None, parts)))

    def _print(self, line: str) -> None:
        self._console.print(Text(line), soft_wrap=True)

    def _panel(self) -> RenderableType:
        tally, width = self._tally, self._screen.width - _INDENT
        lines = [
            Text("  ".join([*pace(tally), *means(tally)]), style="dim"),
            *outcome_bar(tally.outcomes, width),
        ]
        if trouble := troubles(tally):
            lines.append(Text(trouble, style="yellow"))
        lines += recent_lines(tally.recent, self._screen, width)
        if self._note:
            lines.append(Text(self._note, style="yellow"))
        return Group(
            *self._head(), *(Padding(line, (0, 0, 0, _INDENT), expand=False) for line in lines if line)
        )

    def _head(self) -> Iterator[RenderableType]:
        """Name, bar and place on one line; on two where the terminal is narrow."""
        tally, width = self._tally, self._screen.width
        bar = ProgressBar(total=max(tally.total, 1), completed=tally.done, width=_BAR_CELLS)
        name, where = Text(self._screen.line(self._name, width), style="bold"), Text(place(tally))
        row: list[ProgressBar | Text] = [name, bar, where]
        if name.cell_len + where.cell_len + _LEAST_BAR + 3 > width:
            yield name
            row = [where]
        else:
            bar.width = min(_BAR_CELLS, width - name.cell_len - where.cell_len - 3)
        head = Table.grid(padding=(0, 1))
        head.add_row(*row)
        yield head


def place(tally: Tally) -> str:
    """How far it is, and how long it will take."""
    percent = 100 * tally.done // tally.total if tally.total else 100  # never 100 before the end
    left = f", {duration(tally.eta_s)} left" if tally.eta_s and tally.done < tally.total else ""
    return f"{tally.done} of {tally.total} ({percent}%){left}"


def figures(tally: Tally) -> list[str]:
    """Pace, tokens, cache, accuracy and answers that are none, as far as they are known."""
    return pace(tally) + [
        f"{count} {outcome}" for outcome in ("abstained", "unparsed") if (count := tally.outcomes[outcome])
    ]


def pace(tally: Tally) -> list[str]:
    """Pace, tokens, cache and accuracy, as far as they are known."""
    said = []
    if tally.ended:
        rate = tally.ended / tally.elapsed_s
        said.append(f"{rate:.1f} traces/s" if rate >= 1 else f"{rate * _MINUTE:.1f} traces/min")
        said.append(f"{tally.usage.completion_tokens / tally.elapsed_s:.0f} tokens/s written")
        said.append(f"{tally.usage.prompt_tokens / tally.elapsed_s:.0f} read")
    if tally.usage.cache_share is not None:
        said.append(f"{tally.usage.cache_share:.0%} of the prompts cached")
    if tally.accuracy is not None:
        said.append(f"accuracy {tally.accuracy:.1%} ({tally.correct} of {tally.judged})")
    return said


def means(tally: Tally) -> list[str]:
    """What a trace took on average; nothing before one has ended."""
    if not tally.ended:
        return []
    backtracks, tokens = tally.backtracks / tally.ended, tally.usage.total_tokens / tally.ended
    return [f"{backtracks:.1f} backtracks and {tokens:,.0f} tokens a trace"]


def recent_lines(recent: Sequence[Recent], screen: Screen, width: int) -> list[Text]:
    """A line a journey that has just ended: case, path with its moves back, answer, verdict; the newest last."""
    names = [screen.line(one.trace.case.id, int(width * _NAME_SHARE)) for one in recent]
    ends = [_verdict(one, screen, int(width * _ANSWER_SHARE)) for one in recent]
    wide = max(map(cell_len, names), default=0)
    room = [width - wide - 2 - end.cell_len - 2 for end in ends]
    paths = [
        screen.line_end(short_path(one.trace.steps, (), screen.signs), cells)
        for one, cells in zip(recent, room, strict=True)
    ]
    longest = max(map(len, paths), default=0)
    lines = []
    for name, path, end, cells in zip(names, paths, ends, room, strict=True):
        shown = Text(path.ljust(min(longest, cells)) + "  ")
        shown.highlight_words([screen.signs.back], "bold magenta")
        line = Text(name + " " * (wide - cell_len(name) + 2), no_wrap=True, overflow="crop")
        lines.append(line.append_text(shown).append_text(end))
    return lines


def _verdict(one: Recent, screen: Screen, cells: int) -> Text:
    trace = one.trace
    if trace.outcome == "error":
        kind = trace.failure.kind.replace("_", " ") if trace.failure else "other"
        return Text(f"error: {kind}", style="red")
    if trace.answer is None:
        return Text(trace.outcome, style="yellow")
    said = Text(screen.line(trace.answer, cells))
    if one.correct is not None:
        said.append(" correct" if one.correct else " not correct", style="green" if one.correct else "red")
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
