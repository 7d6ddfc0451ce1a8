"""What a console can show: its width, its signs, and foreign texts made fit for it."""

import os
import re
from typing import Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console

_LEAST_CELLS: Final = 16
_UNFIT: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, those that turn the direction of writing, and halves of characters."""


class Signs(NamedTuple):
    """The characters that lines and bars are drawn with."""

    on: str
    back: str
    kept: str
    gained: str
    lost: str
    more: str
    """Stands for what was cut off."""


ASCII: Final = Signs(on=">", back="<-", kept="#", gained="+", lost="-", more="...")
UNICODE: Final = Signs(on="→", back="←", kept="█", gained="▓", lost="░", more="…")


class Screen:
    """A console as the views need it.

    Args:
        console: where the views print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self.signs = UNICODE if _has(console, "".join(UNICODE)) else ASCII

    @property
    def width(self) -> int:
        """Cells of a line; the last one stays free, because terminals differ over what is two cells wide."""
        return max(self._console.width - 1, _LEAST_CELLS)

    @property
    def height(self) -> int:
        """Lines."""
        return self._console.height

    @property
    def live(self) -> bool:
        """Whether lines can be drawn anew in place; not so where FORCE_COLOR makes a pipe pass for a terminal."""
        forced = bool(os.environ.get("FORCE_COLOR"))
        return self._console.is_interactive and not (forced and not self._console.file.isatty())

    def text(self, text: str) -> str:
        """A text without what could act on a terminal; its stream writes what it lacks in its own way."""
        return _UNFIT.sub("", text)

    def line(self, text: str, cells: int) -> str:
        """The beginning of a text on one line of at most so many cells."""
        start = text.lstrip()[: 4 * cells + 1]  # before all else: a megabyte is drawn several times a second
        line = self._shown(" ".join(start.split()))
        if cell_len(line) <= cells and len(start) <= 4 * cells:
            return line
        return set_cell_size(line, max(cells - len(self.signs.more), 0)).rstrip() + self.signs.more[:cells]

    def line_end(self, text: str, cells: int) -> str:
        """The end of a path in at most so many cells."""
        text = self._shown(text)
        if len(text) <= cells:
            return text
        start = self.signs.more + " "
        return start + text[len(text) - max(cells - len(start), 0) :].lstrip()

    def _shown(self, text: str) -> str:
        """A text in characters that the console has: others would be written at another width."""
        return self.text(text).encode(self._console.encoding, "replace").decode(self._console.encoding)


def _has(console: Console, characters: str) -> bool:
    try:
        characters.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return not console.legacy_windows
