"""A differential as bars: the credence of each hypothesis, and its change since the previous stop."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from ddxgraph.view.data.course import Course
from ddxgraph.view.terminal.screen import Screen

_MOST_CELLS: Final = 24
_LEAST_CELLS: Final = 6
_FIXED_CELLS: Final = 17
"""For sign, id, percentage and change, with gaps."""
_LABEL_SHARE: Final = 0.55
"""Share of the rest of the line."""


def bars(
    course: Course, labels: Mapping[str, str], screen: Screen, width: int, most: int | None = None
) -> Sequence[Text]:
    """One line per hypothesis: sign (`*` leader, `x` refuted), id, bar, percentage, change, label.

    Args:
        course: the traversal so far.
        labels: hypothesis id to label.
        screen: where they are shown.
        width: cells of a line.
        most: maximal number of lines; the weakest hypotheses are left out and counted.

    Returns:
        The lines, in the order of the differential.
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
    """Change of the shown percentage, in points; `new` for an addition to an earlier differential."""
    if key not in course.before:
        return "new" if course.before else ""
    points = round(100 * course.shares[key]) - round(100 * course.before[key])
    return f"{points:+}" if points else ""
