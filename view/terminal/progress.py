"""The progress of a run, on a terminal or in a log."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ddxgraph.batch.tally import Recent, Tally
from ddxgraph.view.terminal.outcomes import outcome_bar
from ddxgraph.view.terminal.pathline import short_path
from ddxgraph.view.terminal.screen import LiveRegion, Screen

LOG_EVERY_S: Final = 15.0
"""Seconds between two lines if stderr is no terminal."""
_MINUTE, _HOUR = 60, 3600
_BAR_CELLS: Final = 30
_LEAST_BAR: Final = 8
_INDENT: Final = 2
_NAME_SHARE, _ANSWER_SHARE = 0.25, 0.2
"""Largest share of a line for the id of a case and for an answer."""


class RunProgress(LiveRegion):
    """Shows a growing tally: redrawn in place on a terminal, as an occasional line elsewhere.

    Args:
        console: where to print; stderr.
        tally: what to show.
        name: of the run.
        every_s: seconds between two lines if the console is no terminal.
    """

    def __init__(self, console: Console, tally: Tally, name: str, *, every_s: float = LOG_EVERY_S) -> None:
        self._console, self._tally, self._name, self._every_s = console, tally, name, every_s
        self._screen = Screen(console)
        self._note = ""
        self._logged = time.monotonic()
        super().__init__(console, self._panel)  # a terminal that cannot move up a line gets lines, like a log

    def update(self) -> None:
        """Show that the tally has grown."""
        if self._live is None and time.monotonic() - self._logged >= self._every_s:
            self._log()

    def note(self, text: str) -> None:
        """Show a message below the figures until the end, such as that the run is stopping."""
        self._note = text
        if self._live is None:
            self._print(text)

    def _log(self) -> None:
        self._logged = time.monotonic()
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
        """Name, bar and count on one line, or on two if the terminal is narrow."""
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
    """How many traversals are done, and how long the rest will take."""
    percent = 100 * tally.done // tally.total if tally.total else 100  # never 100 before the end
    left = f", {duration(tally.eta_s)} left" if tally.eta_s and tally.done < tally.total else ""
    return f"{tally.done} of {tally.total} ({percent}%){left}"


def figures(tally: Tally) -> list[str]:
    """Pace, tokens, cache share, accuracy, abstentions and unparsed answers, as far as known."""
    return pace(tally) + [
        f"{count} {outcome}" for outcome in ("abstained", "unparsed") if (count := tally.outcomes[outcome])
    ]


def pace(tally: Tally) -> list[str]:
    """Pace, tokens, cache share and accuracy, as far as known."""
    parts = []
    if tally.ended:
        rate = tally.ended / tally.elapsed_s
        parts.append(f"{rate:.1f} traces/s" if rate >= 1 else f"{rate * _MINUTE:.1f} traces/min")
        parts.append(f"{tally.usage.completion_tokens / tally.elapsed_s:.0f} tokens/s written")
        parts.append(f"{tally.usage.prompt_tokens / tally.elapsed_s:.0f} read")
    if tally.usage.cache_share is not None:
        parts.append(f"{tally.usage.cache_share:.0%} of the prompts cached")
    if tally.accuracy is not None:
        parts.append(f"accuracy {tally.accuracy:.1%} ({tally.correct} of {tally.judged})")
    return parts


def means(tally: Tally) -> list[str]:
    """Mean backtracks and tokens of a trace; nothing until one has ended."""
    if not tally.ended:
        return []
    backtracks, tokens = tally.backtracks / tally.ended, tally.usage.total_tokens / tally.ended
    return [f"{backtracks:.1f} backtracks and {tokens:,.0f} tokens a trace"]


def recent_lines(recent: Sequence[Recent], screen: Screen, width: int) -> list[Text]:
    """One line for each traversal that has just ended: case, path, answer, verdict.

    Args:
        recent: the traversals, the newest last.
        screen: where they are shown.
        width: cells of a line.

    Returns:
        The lines, in the same order.
    """
    names = [screen.line(item.trace.case.id, int(width * _NAME_SHARE)) for item in recent]
    ends = [_verdict(item, screen, int(width * _ANSWER_SHARE)) for item in recent]
    wide = max(map(cell_len, names), default=0)
    room = [width - wide - 2 - end.cell_len - 2 for end in ends]
    paths = [
        screen.line_end(short_path(item.trace.steps, (), screen.signs), cells)
        for item, cells in zip(recent, room, strict=True)
    ]
    longest = max(map(len, paths), default=0)
    lines = []
    for name, path, end, cells in zip(names, paths, ends, room, strict=True):
        shown = Text(path.ljust(min(longest, cells)) + "  ")
        shown.highlight_words([screen.signs.back], "bold magenta")
        line = Text(name + " " * (wide - cell_len(name) + 2), no_wrap=True, overflow="crop")
        lines.append(line.append_text(shown).append_text(end))
    return lines


def _verdict(recent: Recent, screen: Screen, cells: int) -> Text:
    trace = recent.trace
    if trace.outcome == "error":
        kind = trace.failure.kind.replace("_", " ") if trace.failure else "other"
        return Text(f"error: {kind}", style="red")
    if trace.answer is None:
        return Text(trace.outcome, style="yellow")
    line = Text(screen.line(trace.answer, cells))
    if recent.correct is not None:
        verdict = (" correct", "green") if recent.correct else (" not correct", "red")
        line.append(*verdict)
    return line


def troubles(tally: Tally) -> str:
    """Errors and repeated calls by kind, and cut prompts; empty if there are none."""
    parts = []
    if tally.errors:
        parts.append(f"errors: {_counts(tally.errors)}")
    if tally.retried:
        parts.append(f"calls made again: {_counts(tally.retried)}")
    if tally.cut:
        parts.append(f"prompts cut by the server: in {tally.cut} of {tally.ended} traversals")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """A duration as `h:mm:ss` or `m:ss`."""
    whole = round(seconds)
    hours, minutes = whole // _HOUR, whole % _HOUR // _MINUTE
    return f"{hours}:{minutes:02}:{whole % _MINUTE:02}" if hours else f"{minutes}:{whole % _MINUTE:02}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counter.most_common())
