"""Numbers and texts as a reader sees them, and the notice that every page and every result carries."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

NOTICE: Final = "Research software, not a medical device: nothing here may guide the care of a patient."

_MINUS: Final = "−"
_SMALLEST_P: Final = 0.001
_HUNDRED: Final = 100


class Bounded(Protocol):
    """Something between two limits."""

    @property
    def low(self) -> float:
        """The lower limit."""

    @property
    def high(self) -> float:
        """The upper limit."""


class Accurate(Bounded, Protocol):
    """An accuracy, such as `eval.report.runresult.Accuracy`."""

    @property
    def value(self) -> float:
        """In 0..1."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Its limits, if something is unscored."""


def cut(text: str, most: int) -> str:
    """A text on one line, at most so many characters long; an ellipsis stands for the rest."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1].rstrip() + "…"


def plain(text: str) -> str:
    """A name on one line, without characters that hide or reorder what is read."""
    line = re.sub(r"\s+", " ", text)
    return (
        "".join(char if unicodedata.category(char)[0] != "C" else " " for char in line).strip() or "unnamed"
    )


def count(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun.

    Args:
        number: how many.
        singular: the noun.
        plural: the noun for other numbers than 1; by default the singular with an s.

    Returns:
        Such as `1,200 traces`.
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def number(value: float | None) -> str:
    """A count or a mean: no decimals from 100 on, one below; a dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= _HUNDRED or value == round(value) else f"{value:,.1f}"


def signed(value: int) -> str:
    """A number with its sign, a true minus; 0 has none."""
    return "0" if value == 0 else f"+{value}" if value > 0 else f"{_MINUS}{-value}"


def whole_percent(share: float) -> str:
    """A share in 0..1 as a whole percentage; what is not quite 0 or 1 is not rounded to it."""
    if 0 < share < 0.005:  # noqa: PLR2004 - half a percent
        return "<1%"
    if 0.995 <= share < 1:  # noqa: PLR2004
        return ">99%"
    return f"{share:.0%}"


def percent(share: float | None, decimals: int = 1) -> str:
    """A share in 0..1 as a percentage with decimals; a dash for None."""
    return "–" if share is None else f"{_HUNDRED * share:.{decimals}f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    return f"{_HUNDRED * difference:+.1f}".replace("-", _MINUS)


def interval(limits: Bounded) -> str:
    """An interval of shares in percent."""
    return f"{_HUNDRED * limits.low:.1f} to {_HUNDRED * limits.high:.1f}"


def points_interval(limits: Bounded) -> str:
    """An interval of a difference in percentage points."""
    return f"{points(limits.low)} to {points(limits.high)}"


def bounds(accuracy: Accurate, decimals: int = 1) -> str:
    """The limits of an incomplete accuracy in percent."""
    low, high = accuracy.bounds or (accuracy.value, accuracy.value)
    return f"{_HUNDRED * low:.{decimals}f} and {_HUNDRED * high:.{decimals}f}%"


def figure(accuracy: Accurate, decimals: int = 1) -> str:
    """An accuracy as a table shows it: an incomplete one only as its limits, and marked."""
    if accuracy.bounds is None:
        return percent(accuracy.value, decimals)
    low, high = accuracy.bounds
    return f"{_HUNDRED * low:.{decimals}f} to {_HUNDRED * high:.{decimals}f}% (incomplete)"


def p_value(p: float) -> str:
    """A p value; never 0."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def model_in_words(model: str, adapter: str | None) -> str:
    """A model and the adapter on it."""
    return f"{model} with {adapter}" if adapter else model


REPORT_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    filter_.__name__: filter_
    for filter_ in (percent, points, interval, points_interval, figure, p_value, number)
}
"""Filters for the templates of reports and summaries."""
