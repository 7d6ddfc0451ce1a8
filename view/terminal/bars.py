"""A differential as bars that move: what each hypothesis has, and what it won or lost since the stop before."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from ddxgraph.view.data.course import Course
from ddxgraph.view.terminal.screen import Screen

_MOST_CELLS: Final = 24
_LEAST_CELLS: Final = 6
_FIXED_CELLS: Final = 17
"""Sign, id, percentage and change, with the gaps between them."""
_LABEL_SHARE: Final = 0.55
"""Of what the fixed columns leave."""


def bars(
    course: Course, labels: Mapping[str, str], screen: Screen, width: int, most: int | None = None
) -> Sequence[Text]:
    """One line a hypothesis: sign (`*` leads, `x` refuted), id, bar, percentage, change, label.

    Args:
        course: the journey so far.
        labels: hypothesis id to label.
        screen: where they are shown.
        width: cells of a line.
        most: lines at most; the weakest hypotheses are left out, and counted.
    """
    keys = list(course.shares)
    if most is not None and len(keys) > most:
        best = sorted(keys, key=lambda key: -course.shares[key])[: max(most - 1, 1)]
        keys = [key for key in keys if key in best]
    lines = [_line(key, course, labels.get(key, ""), screen, width) for key in keys]
    if left := len(course.shares) - len(keys):
        lines.append(Text(f"    {left} more", style="dim"))
    return lines


def _line(key: str, course: Course, label: str, screen: Screen, width: int) -> Text:
    refuted, leads = key in course.now.refuted, key == course.leader
    cells = max(min(round((width - _FIXED_CELLS) * (1 - _LABEL_SHARE)), _MOST_CELLS), _LEAST_CELLS)
    share = course.shares[key]
    line = Text(no_wrap=True, overflow="crop")
    line.append("x" if refuted else "*" if leads else " ", style="red" if refuted else "bold")
    line.append(f"{key:>3} ", style="bold" if leads else "")
    line.append_text(_bar(share, course.before.get(key, share), cells, screen))
    line.append(f" {share:>4.0%} ")
    change = _change(key, course)
    line.append(f"{change:>4} ", style="green" if change[:1] == "+" else "red" if change[:1] == "-" else "")
    line.append(screen.line(label, max(width - line.cell_len, 0)), style="dim" if refuted else "")
    return line


def _bar(share: float, before: float, cells: int, screen: Screen) -> Text:
    now, then = round(share * cells), round(before * cells)
    bar = Text(screen.signs.kept * min(now, then), style="cyan")
    bar.append(screen.signs.gained * (now - then), style="green")
    bar.append(screen.signs.lost * (then - now), style="red")
    bar.append(" " * (cells - max(now, then)))
    return bar


def _change(key: str, course: Course) -> str:
    """In points, between the percentages that were shown; `new` where there was none, among some that had."""
    if key not in course.before:
        return "new" if course.before else ""
    points = round(100 * course.shares[key]) - round(100 * course.before[key])
    return f"{points:+}" if points else ""
