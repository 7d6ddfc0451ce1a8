"""A traversal in progress in the terminal: its steps and, below them, a live region with its state."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

from rich.console import Console, Group
from rich.text import Text

from ddxgraph.graph.budget import Budget
from ddxgraph.graph.trace import Step
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.registry import title
from ddxgraph.view.data.course import Course, Stop
from ddxgraph.view.terminal.bars import bars
from ddxgraph.view.terminal.journey import JourneyPrinter
from ddxgraph.view.terminal.pathline import path_line, short_path
from ddxgraph.view.terminal.screen import LiveRegion, Screen

_OTHER_LINES: Final = 5
"""Lines of the region besides the bars, plus a free one."""
_LEAST_BARS: Final = 3


class LiveJourney(LiveRegion):
    """Prints steps as they arrive and, on a terminal with cursor control, a live region below them.

    The region disappears when the traversal ends, for whatever reason. In a pipe, only the steps appear.

    Args:
        console: where to print; stderr.
        case: the case.
        budget: of the traversal, if known.
        clock: returns seconds.
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
        super().__init__(console, self.region)

    def __enter__(self) -> Self:
        self._began = self._since = self._clock()
        return super().__enter__()

    def step(self, step: Step) -> None:
        """Print a finished step."""
        self._course, self._since = self._course.after(step), self._clock()
        if self._live and self._live.is_started:
            self._live.refresh()  # otherwise the outdated region would follow the step
        self._printer.step(step)

    def region(self) -> Group:
        """The state of the traversal: path, differential, pending stops, budget spent."""
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
        """One line, or two if the terminal is narrow."""
        now = self._clock()
        time_taken = f"{now - self._since:.0f} s"
        time_taken += f" ({now - self._began:.0f} s in all)" if course.steps else ""
        pending = self._screen.line(_in_words(course.awaited), max(width - len(time_taken) - 5, 0))
        wait, facts = f"{pending} ... {time_taken}", _spent(course, self._budget)
        if len(wait) + 3 + len("   ".join(facts)) <= width:
            yield Text.assemble((wait, "bold"), "   ", ("   ".join(facts), "dim"), no_wrap=True)
            return
        while len(facts) > 1 and len("  ".join(facts)) > width:
            facts = facts[:-1]
        yield Text(wait[:width], style="bold", no_wrap=True)
        yield Text("  ".join(facts)[:width], style="dim", no_wrap=True)


def _spent(course: Course, budget: Budget | None) -> Sequence[str]:
    """What the traversal has spent, of which budget; the most important first."""
    usage = course.usage
    spent = {"tokens": usage.total_tokens, "backtracks": course.backtracks, "calls": usage.calls}
    if budget is None:
        return [f"{number:,} {unit}" for unit, number in spent.items()]
    most = {"tokens": budget.max_tokens, "backtracks": budget.max_backtracks, "calls": budget.max_calls}
    return [f"{number:,} of {most[unit]:,} {unit}" for unit, number in spent.items()]


def _marked(path: str, back: str) -> Text:
    """A path with backtracks and current stops in colour; its signs say the same."""
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
