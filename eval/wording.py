"""How figures are worded in a report: per cent with one decimal, intervals, p values."""

import re
import unicodedata
from typing import Final, Protocol

_SMALLEST_P: Final = 0.001
_HUNDRED: Final = 100
_CONTROL: Final = re.compile(r"\s+")


class Bounded(Protocol):
    """What lies between two limits."""

    @property
    def low(self) -> float:
        """The lower one."""

    @property
    def high(self) -> float:
        """The upper one."""


class Accurate(Bounded, Protocol):
    """An accuracy, as `eval.runresult.Accuracy` is one."""

    @property
    def value(self) -> float:
        """In 0..1."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Its limits where something is unscored."""


def percent(share: float | None, decimals: int = 1) -> str:
    """A share of 0..1 as per cent; a dash for None."""
    return "–" if share is None else f"{_HUNDRED * share:.{decimals}f}%"


def signed(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{_HUNDRED * share:+.1f}".replace("-", "−")


def interval(found: Bounded) -> str:
    """An interval of shares in per cent."""
    return f"{_HUNDRED * found.low:.1f} to {_HUNDRED * found.high:.1f}"


def signed_interval(found: Bounded) -> str:
    """An interval of a difference in percentage points."""
    return f"{signed(found.low)} to {signed(found.high)}"


def bounds(found: Accurate, decimals: int = 1) -> str:
    """The limits of an incomplete accuracy in per cent."""
    low, high = found.bounds or (found.value, found.value)
    return f"{_HUNDRED * low:.{decimals}f} and {_HUNDRED * high:.{decimals}f}%"


def figure(found: Accurate, decimals: int = 1) -> str:
    """An accuracy as it may stand in a table: an incomplete one only as its limits, and marked."""
    if found.bounds is None:
        return percent(found.value, decimals)
    low, high = found.bounds
    return f"{_HUNDRED * low:.{decimals}f} to {_HUNDRED * high:.{decimals}f}% (incomplete)"


def p_value(p: float) -> str:
    """A p value; never 0."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def number(value: float | None) -> str:
    """A count or a mean: no decimals from 100 on, one below; a dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= _HUNDRED or value == round(value) else f"{value:,.1f}"


def model_in_words(model: str, adapter: str | None) -> str:
    """A model and the adapter on it."""
    return f"{model} with {adapter}" if adapter else model


def plain(text: str) -> str:
    """A name on one line, without characters that hide or reorder what is read."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in _CONTROL.sub(" ", text))
    return kept.strip() or "unnamed"
