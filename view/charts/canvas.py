"""A sheet that boxes, ways and words are drawn on with Matplotlib, in pixels from its upper left corner.

Nothing here reads or changes what is global in Matplotlib, so that drawing is safe in threads and beside a user's
own settings: words are drawn as outlines, and what no font can show is replaced before Matplotlib sees it.
"""

import io
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any, Final, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D

from ddxgraph.common.errors import PageError

INK: Final = "#1b1f24"
MUTED: Final = "#59616a"
LINE: Final = "#8a939d"
RULE: Final = "#d9dee4"
SOFT: Final = "#f5f7f9"
PAGE: Final = "#ffffff"
BACK: Final = "#a33a00"
ALARM: Final = "#9a2b12"
END: Final = "#0060a8"
FORMATS: Final = (".png", ".svg")

Dash = Literal["solid", "dashed", "dotted"]
Point = tuple[float, float]

_PX: Final = 1 / 96
"""Inches that a pixel takes."""
_DPI: Final = 192
_MOST_PIXELS: Final = 60e6
"""Of a PNG; a longer drawing gets coarser."""
_DASHES: Final[dict[Dash, Any]] = {"solid": "-", "dashed": (0, (5, 3)), "dotted": (0, (1.2, 2.4))}
_ROUND: Final = 0.5523
"""A cubic curve with its handles so long is a quarter of a circle."""
_FAMILIES: Final = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
    "Noto Emoji",
    "Symbola",
)
"""The first of these that is installed and has a sign draws it."""
_UNKNOWN: Final = "□"


def check_format(path: Path) -> None:
    """See that a picture can be written under a name.

    Raises:
        PageError: it ends in something other than `.png` or `.svg`.
    """
    if path.suffix.lower() not in FORMATS:
        raise PageError(f"cannot draw to {str(path)!r}: a picture's name ends in {' or '.join(FORMATS)}")


class Canvas:
    """A sheet.

    Args:
        width: in pixels.
        height: in pixels.
    """

    def __init__(self, width: float, height: float) -> None:
        self._figure = Figure(figsize=(width * _PX, height * _PX), facecolor=PAGE)
        agg: Any = FigureCanvasAgg(self._figure)
        self._renderer: Any = agg.get_renderer()
        upright = Affine2D().scale(_PX, -_PX).translate(0, height * _PX)
        self._pixels = upright + self._figure.dpi_scale_trans
        self._dpi = min(_DPI, sqrt(_MOST_PIXELS * (96 / width) * (96 / height)))

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 10,
        colour: str = INK,
        bold: bool = False,
        across: Literal["left", "center", "right"] = "left",
        upright: bool = False,
        paper: str | None = None,
        room: float | None = None,
        zorder: float = 5,
    ) -> None:
        """One line of words, half-way up at `y`.

        Args:
            x: where it begins, has its middle or ends, as `across` says.
            y: its middle.
            text: anything.
            size: of the letters, in points.
            colour: of the letters.
            bold: in bold letters.
            across: what lies at `x`.
            upright: turned by a quarter, to be read from below.
            paper: colour of a ground of its own, which covers what is below.
            room: most pixels that it may take; what goes beyond is cut off, with an ellipsis.
            zorder: what is higher covers what is lower.
        """
        self._figure.text(
            x,
            y,
            legible(text, bold=bold) if room is None else self.fit(text, room, size=size, bold=bold),
            transform=self._pixels,
            fontproperties=_font(size, bold),
            color=colour,
            ha=across,
            va="center_baseline" if not upright else "center",
            rotation=90 if upright else 0,
            parse_math=False,
            usetex=False,
            zorder=zorder,
            bbox=None
            if paper is None
            else {"boxstyle": "round,pad=0.35", "fc": paper, "ec": colour, "lw": 0.8},
        )

    def fit(self, text: str, room: float, *, size: float, bold: bool = False) -> str:
        """As much of a text as goes into so many pixels; an ellipsis stands for the rest."""
        shown = legible(text, bold=bold)
        if self.width(shown, size=size, bold=bold) <= room:
            return shown
        low, high = 0, len(shown)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.width(shown[:middle].rstrip() + "…", size=size, bold=bold) <= room
            low, high = (middle, high) if fits else (low, middle - 1)
        return shown[:low].rstrip() + "…"

    def width(self, text: str, *, size: float, bold: bool = False) -> float:
        """Pixels that a legible text takes."""
        across, _, _ = self._renderer.get_text_width_height_descent(text, _font(size, bold), False)
        return float(across) * 96 / float(self._renderer.dpi)

    def box(
        self,
        corner: Point,
        size: Point,
        *,
        edge: str = LINE,
        fill: str = PAGE,
        dash: Dash = "solid",
        wide: float = 1.0,
        zorder: float = 3,
        radius: float = 7,
        strip: str | None = None,
    ) -> None:
        """A box with round corners; `strip` is the colour of a mark along its left edge."""
        outline = _rounded(*corner, *size, radius)
        self._patch(outline, facecolor=fill, edgecolor="none", zorder=zorder)
        if strip:
            x, y = corner
            mark = _left_end(x, y, 5, size[1], radius)
            self._patch(mark, facecolor=strip, edgecolor="none", zorder=zorder)
        self._patch(
            outline, fill=False, edgecolor=edge, lw=wide, linestyle=_DASHES[dash], zorder=zorder + 0.5
        )

    def rule(self, start: Point, end: Point, colour: str = RULE) -> None:
        """A thin line."""
        self._patch(Outline([start, end]), fill=False, edgecolor=colour, lw=0.8, zorder=1)

    def way(
        self,
        points: Sequence[Point],
        *,
        colour: str,
        dash: Dash = "solid",
        wide: float = 1.1,
        zorder: float = 2,
    ) -> None:
        """A way with an arrow's head at its end; its corners are rounded."""
        (*_, before, tip) = points
        self._patch(
            Outline(*_bent(points)),
            fill=False,
            edgecolor=colour,
            linestyle=_DASHES[dash],
            lw=wide,
            zorder=zorder,
        )
        self._head(before, tip, colour, zorder)

    def curve(self, points: Sequence[Point], *, colour: str, dash: Dash = "solid", wide: float = 1.1) -> None:
        """A way along a cubic curve of four points, with an arrow's head at its end."""
        outline = Outline(list(points), [Outline.MOVETO, *[Outline.CURVE4] * 3])
        self._patch(outline, fill=False, edgecolor=colour, linestyle=_DASHES[dash], lw=wide, zorder=2)
        self._head(points[-2], points[-1], colour, 2)

    def _head(self, before: Point, tip: Point, colour: str, zorder: float) -> None:
        """Points from `before` to `tip`, upright or level."""
        (x, y), (u, v) = before, tip
        dx, dy = ((v == y) * ((u > x) - (u < x)), (u == x) * ((v > y) - (v < y)))
        sides = [(u - 8 * dx + 4 * dy * s, v - 8 * dy + 4 * dx * s) for s in (1, -1)]
        self._patch(
            Outline([tip, *sides, tip], closed=True), facecolor=colour, edgecolor="none", zorder=zorder + 0.1
        )

    def _patch(self, outline: Outline, **how: Any) -> None:
        self._figure.add_artist(PathPatch(outline, transform=self._pixels, **how))

    def save(self, path: Path, title: str) -> Path:
        """Write it into a file; equal drawings give equal bytes.

        Args:
            path: the file; its folder must exist.
            title: for programs that list pictures.

        Raises:
            PageError: the path ends in something other than `.png` or `.svg`.
            OSError: it cannot be written.
        """
        check_format(path)
        form = path.suffix.lower().removeprefix(".")
        metadata = {"Title": legible(title), **({"Date": None} if form == "svg" else {"Software": None})}
        file = io.BytesIO()
        self._figure.savefig(file, format=form, dpi=self._dpi, metadata=metadata, facecolor=PAGE)
        path.write_bytes(file.getvalue())
        return path


def _bent(points: Sequence[Point], radius: float = 14) -> tuple[list[Point], list[Any]]:
    """A line through points that lie level with or above one another, its corners rounded: points and codes."""
    vertices, codes = [points[0]], [Outline.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, _length(before, corner) / 2, _length(corner, after) / 2)
        into, out = _towards(corner, before, r), _towards(corner, after, r)
        hold = (1 - _ROUND) * r
        vertices += [into, _towards(corner, before, hold), _towards(corner, after, hold), out]
        codes += [Outline.LINETO, Outline.CURVE4, Outline.CURVE4, Outline.CURVE4]
    return [*vertices, points[-1]], [*codes, Outline.LINETO]


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: Point, b: Point, by: float) -> Point:
    whole = _length(a, b) or 1
    return a[0] + (b[0] - a[0]) * by / whole, a[1] + (b[1] - a[1]) * by / whole


def _rounded(x: float, y: float, w: float, h: float, r: float) -> Outline:
    right, low = x + w, y + h
    middle = (x + w / 2, y)
    corners = [middle, (right, y), (right, low), (x, low), (x, y), middle]
    vertices, codes = _bent(corners, r)
    return Outline([*vertices, middle], [*codes, Outline.CLOSEPOLY])


def _left_end(x: float, y: float, w: float, h: float, r: float) -> Outline:
    """The part of a rounded box that lies left of `w`."""
    inset = r - sqrt(r * r - (r - w) ** 2)
    arc = [(x + r - r * _cos(t), y + r - r * _sin(t)) for t in range(7)]
    left = [point for point in arc if point[0] <= x + w]
    upper = [*reversed(left)]
    lower = [(px, 2 * y + h - py) for px, py in left]
    start = (x + w, y + inset)
    return Outline([start, *upper, *lower, (x + w, y + h - inset), start], closed=True)


def _cos(sixth: int) -> float:
    return (1.0, 0.9659, 0.866, 0.7071, 0.5, 0.2588, 0.0)[sixth]


def _sin(sixth: int) -> float:
    return _cos(6 - sixth)


@cache
def _installed() -> tuple[str, ...]:
    names = set(fontManager.get_font_names())
    return tuple(name for name in _FAMILIES if name in names)


@cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(family=list(_installed()), weight="bold" if bold else "normal", size=size)


@cache
def _has(sign: str, bold: bool) -> bool:
    weight = "bold" if bold else "normal"
    files = (findfont(FontProperties(family=[name], weight=weight)) for name in _installed())
    return any(get_font(file).get_char_index(ord(sign)) for file in files)


def legible(text: str, *, bold: bool = False) -> str:
    """A text on one line, as the fonts that are installed can show it; a box stands for what they lack."""
    return "".join(_shown(" ".join(text.split()), bold=bold))


def _shown(text: str, *, bold: bool) -> Iterable[str]:
    for sign in text:
        kind = unicodedata.category(sign)
        if kind in {"Cc", "Cf"} or (kind in {"Mn", "Me"} and not _has(sign, bold)):
            continue  # nothing to be seen by itself
        yield sign if kind != "Cs" and _has(sign, bold) else _UNKNOWN
