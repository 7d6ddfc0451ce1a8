"""A sheet that boxes, ways and words are drawn on with Matplotlib, in pixels from its upper left corner."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.text import Text

INK: Final = "#1b1f24"
MUTED: Final = "#59616a"
LINE: Final = "#8a939d"
BACK: Final = "#a33a00"
END: Final = "#0060a8"
FORMATS: Final = (".png", ".svg")
_SOFT, _PAGE = "#f5f7f9", "white"
_DPI: Final = 160
_PX: Final = 1 / 96
"""Inches that a pixel takes."""
_STILL: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "ddxgraph"}
"""Text stays text, and the same drawing gives the same bytes."""
_DASHES: Final[Mapping[str, Any]] = {"solid": "-", "dashed": (0, (5, 3)), "dotted": (0, (2, 3))}
_HEADS: Final = {
    "right": ((-7, -4), (-7, 4)),
    "up": ((-4, 7), (4, 7)),
    "down": ((-4, -7), (4, -7)),
}
Dash = Literal["solid", "dashed", "dotted"]
Towards = Literal["right", "up", "down"]


def check_format(path: Path) -> None:
    """See that a picture can be written under a name.

    Raises:
        ValueError: it ends in something other than `.png` or `.svg`.
    """
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"{path}: a picture's name ends in {' or '.join(FORMATS)}")


class Canvas:
    """A sheet.

    Args:
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        self._figure = Figure(figsize=(width * _PX, height * _PX), facecolor=_PAGE)
        FigureCanvasAgg(self._figure)
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.set_xlim(0, width)
        self._axes.set_ylim(height, 0)
        self._axes.set_axis_off()

    def write(self, x: float, y: float, text: str, *, size: float = 10, **how: Any) -> Text:
        """Words, their base line at `y`."""
        # Dollars would begin a formula; halves of characters cannot be drawn.
        plain = text.encode(errors="replace").decode()
        return self._axes.text(x, y, plain, **{"fontsize": size, "color": INK, "parse_math": False, **how})

    def box(
        self, x: float, y: float, size: tuple[float, float], *, edge: str, dashed: bool, strong: bool
    ) -> None:
        """A box with round corners."""
        box = FancyBboxPatch(
            (x, y),
            *size,
            boxstyle="round,pad=0,rounding_size=7",
            facecolor=_PAGE if dashed else _SOFT,
            edgecolor=edge,
            linewidth=1.8 if strong else 1,
            linestyle=_DASHES["dashed" if dashed else "solid"],
            zorder=3,
        )
        self._axes.add_patch(box)

    def way(
        self,
        points: Sequence[tuple[float, float]],
        *,
        curved: bool,
        colour: str,
        dash: Dash,
        wide: bool = False,
        towards: Towards = "right",
    ) -> None:
        """A way with an arrow's head at its end: a cubic Bézier curve, or straight pieces."""
        code = Outline.CURVE4 if curved else Outline.LINETO
        outline = Outline(list(points), [Outline.MOVETO, *[code] * (len(points) - 1)])
        line = PathPatch(outline, fill=False, edgecolor=colour, linestyle=_DASHES[dash])
        line.set_linewidth(1.5 if wide else 1)
        self._axes.add_patch(line)
        x, y = points[-1]
        sides = [(x + dx, y + dy) for dx, dy in _HEADS[towards]]
        head = Outline([(x, y), *sides, (x, y)], closed=True)
        self._axes.add_patch(PathPatch(head, facecolor=colour, edgecolor="none"))

    def save(self, path: Path, title: str) -> Path:
        """Write it into a file.

        Raises:
            ValueError: the file's name ends in something other than `.png` or `.svg`.
            OSError: it cannot be written.
        """
        check_format(path)
        form = path.suffix.lower().removeprefix(".")
        metadata = {"Title": title, **({"Date": None} if form == "svg" else {"Software": None})}
        with rc_context(_STILL), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # a sign that the font lacks is drawn as a box
            self._figure.savefig(path, format=form, dpi=_DPI, metadata=metadata)
        return path
