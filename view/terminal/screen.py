"""What a console can show: its size, its characters, and text made safe for it."""

import os
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.live import Live

from ddxgraph.common.typography import harmless

_LEAST_CELLS: Final = 16


class Signs(NamedTuple):
    """The characters that lines and bars are drawn with."""

    on: str
    back: str
    kept: str
    gained: str
    lost: str
    more: str
    """Marks what was cut off."""


ASCII: Final = Signs(on=">", back="<-", kept="#", gained="+", lost="-", more="...")
UNICODE: Final = Signs(on="→", back="←", kept="█", gained="▓", lost="░", more="…")


class Screen:
    """A console, as the terminal views see it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.signs = UNICODE if _has(console, "".join(UNICODE)) else ASCII

    @property
    def width(self) -> int:
        """Cells of a line. The last cell stays free, since terminals disagree on which characters take two."""
        return max(self._console.width - 1, _LEAST_CELLS)

    @property
    def height(self) -> int:
        """Lines."""
        return self._console.height

    @property
    def live(self) -> bool:
        """Whether lines can be redrawn in place. False for a pipe that FORCE_COLOR presents as a terminal."""
        forced = bool(os.environ.get("FORCE_COLOR"))
        return self._console.is_interactive and not (forced and not self._console.file.isatty())

    def text(self, text: str) -> str:
        """A text without the characters that could control a terminal."""
        return harmless(text)

    def line(self, text: str, cells: int) -> str:
        """The beginning of a text, on one line of at most `cells` cells."""
        start = text.lstrip()[
            : 4 * cells + 1
        ]  # first of all: a text of a megabyte may be drawn several times a second
        line = self._shown(" ".join(start.split()))
        if cell_len(line) <= cells and len(start) <= 4 * cells:
            return line
        return set_cell_size(line, max(cells - len(self.signs.more), 0)).rstrip() + self.signs.more[:cells]

    def line_end(self, text: str, cells: int) -> str:
        """The end of a path, in at most `cells` cells."""
        text = self._shown(text)
        if len(text) <= cells:
            return text
        start = self.signs.more + " "
        return start + text[len(text) - max(cells - len(start), 0) :].lstrip()

    def _shown(self, text: str) -> str:
        """A text in characters that the console can encode: others would be written at another width."""
        return self.text(text).encode(self._console.encoding, "replace").decode(self._console.encoding)


class LiveRegion:
    """A region below the output, redrawn in place while a `with` block runs; absent if the console lacks that.

    Args:
        console: where it is shown.
        draw: makes its content.
    """

    def __init__(self, console: Console, draw: Callable[[], RenderableType]) -> None:
        live = Live(get_renderable=draw, console=console, refresh_per_second=4, transient=True)
        self._live = live if Screen(console).live else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()


def _has(console: Console, characters: str) -> bool:
    try:
        characters.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return not console.legacy_windows
