"""Numbers and texts as a reader is shown them."""

from typing import Final

_MINUS: Final = "−"


def cut(text: str, most: int) -> str:
    """A text on one line, at most so many characters long; an ellipsis stands for the rest."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else line[: most - 1].rstrip() + "…"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def signed(number: int) -> str:
    """A number with its sign, a true minus; 0 has none."""
    return "0" if number == 0 else f"+{number}" if number > 0 else f"{_MINUS}{-number}"


def percent(share: float) -> str:
    """A share in 0..1 as a whole percentage; what is not quite 0 or 1 is not rounded to it."""
    if 0 < share < 0.005:  # noqa: PLR2004 - half a percent
        return "<1%"
    if 0.995 <= share < 1:  # noqa: PLR2004
        return ">99%"
    return f"{share:.0%}"
