"""A journey in the terminal while it is walked: its steps, and below them, in place, where it stands."""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ddxgraph.graph.budget import Budget
from ddxgraph.graph.trace import Step
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.registry import title
from ddxgraph.view.data.course import Course, Stop
from ddxgraph.view.terminal.bars import bars
from ddxgraph.view.terminal.journey import JourneyPrinter
from ddxgraph.view.terminal.pathline import path_line, short_path
from ddxgraph.view.terminal.screen import Screen

_OTHER_LINES: Final = 5
"""Lines of the region beside the bars, and one that stays free."""
_LEAST_BARS: Final = 3


class LiveJourney:
    """Prints steps as they come and, on a terminal that can go back a line, keeps a region below them current.

    The region is gone at the end, whatever ends it. Elsewhere, as in a pipe, there are the steps alone.

    Args:
        console: where to print; stderr.
        case: the case.
        budget: what the journey may spend; None where that is not known.
        clock: seconds.
    """

    def __init__(
        self,
        console: Console,
        case: Case,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._printer, self._screen = JourneyPrinter(console, case), Screen(console)
        self._budget, self._clock = budget, clock
        self._course = Course()
        self._began = self._since = clock()
        self._live = (
            Live(get_renderable=self.region, console=console, refresh_per_second=4, transient=True)
            if self._screen.live
            else None
        )

    def __enter__(self) -> Self:
        self._began = self._since = self._clock()
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def step(self, step: Step) -> None:
        """Print a step that has just been taken."""
        self._course, self._since = self._course.after(step), self._clock()
        if self._live and self._live.is_started:
            self._live.refresh()  # else the region as it was last drawn follows the step
        self._printer.step(step)

    def region(self) -> Group:
        """Where the journey stands: its path, its differential, what it waits for, what it has spent."""
        course, width = self._course, self._screen.width
        most = max(self._screen.height - _OTHER_LINES, _LEAST_BARS)
        lines = [self._path(course, width), *bars(course, self._printer.labels, self._screen, width, most)]
        return Group(Text(), *lines, *self._waiting(course, width))

    def _path(self, course: Course, width: int) -> Text:
        whole = path_line(course.steps, course.awaited, self._screen.signs)
        if len(whole) > width:
            whole = short_path(course.steps, course.awaited, self._screen.signs)
        return _marked(self._screen.line_end(whole, width), self._screen.signs.back)

    def _waiting(self, course: Course, width: int) -> Iterator[Text]:
        """One line; two where the terminal is narrow."""
        now = self._clock()
        took = f"{now - self._since:.0f} s" + (f" ({now - self._began:.0f} s in all)" if course.steps else "")
        what = self._screen.line(_in_words(course.awaited), max(width - len(took) - 5, 0))
        wait, facts = f"{what} ... {took}", _spent(course, self._budget)
        if len(wait) + 3 + len("   ".join(facts)) <= width:
            yield Text.assemble((wait, "bold"), "   ", ("   ".join(facts), "dim"), no_wrap=True)
            return
        while len(facts) > 1 and len("  ".join(facts)) > width:
            facts = facts[:-1]
        yield Text(wait[:width], style="bold", no_wrap=True)
        yield Text("  ".join(facts)[:width], style="dim", no_wrap=True)


def _spent(course: Course, budget: Budget | None) -> Sequence[str]:
    """What the journey has spent, of how much; what says most first."""
    usage = course.usage
    spent = {"tokens": usage.total_tokens, "backtracks": course.backtracks, "calls": usage.calls}
    if budget is None:
        return [f"{many:,} {what}" for what, many in spent.items()]
    most = {"tokens": budget.max_tokens, "backtracks": budget.max_backtracks, "calls": budget.max_calls}
    return [f"{many:,} of {most[what]:,} {what}" for what, many in spent.items()]


def _marked(path: str, back: str) -> Text:
    """A path with its moves back and the current place in colours, which repeat what its signs say."""
    text = Text(path, no_wrap=True, overflow="crop")
    text.highlight_words([back], "bold magenta")
    text.highlight_regex(r"\[[^\]]*\]", "bold reverse")
    return text


def _in_words(awaited: Sequence[Stop]) -> str:
    if not awaited:
        return "Done"
    checked = [stop.branch for stop in awaited if stop.branch]
    about = f" on {', '.join(checked)}" if checked else ""
    return title(awaited[0].node) + about
