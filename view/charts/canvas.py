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
from matplotlib.patches import BoxStyle, FancyArrowPatch, Patch, PathPatch
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D, Bbox

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
_STRIP: Final = 5
"""Width of the mark along a box's left edge."""
_HEAD: Final = "-|>,head_length=6,head_width=3"
"""An arrow's head, in points."""
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
        """Draw a box with round corners.

        Args:
            corner: upper left.
            size: width and height.
            edge: colour of the edge.
            fill: colour of the ground.
            dash: how the edge is drawn.
            wide: of the edge, in points.
            zorder: what is higher covers what is lower.
            radius: of the corners.
            strip: colour of a mark along the left edge.
        """
        (x, y), (width, height) = corner, size
        round_box = BoxStyle.Round(pad=0, rounding_size=min(radius, width / 2, height / 2))
        outline = round_box(x, y, width, height, 1)
        self._add(PathPatch(outline, facecolor=fill, edgecolor="none", zorder=zorder))
        if strip:
            mark = outline.clip_to_bbox(Bbox.from_extents(x, y, x + _STRIP, y + height))
            self._add(PathPatch(mark, facecolor=strip, edgecolor="none", zorder=zorder))
        self._add(
            PathPatch(
                outline, fill=False, edgecolor=edge, lw=wide, linestyle=_DASHES[dash], zorder=zorder + 0.5
            )
        )

    def rule(self, start: Point, end: Point, colour: str = RULE) -> None:
        """Draw a thin line.

        Args:
            start: one end.
            end: the other.
            colour: of the line.
        """
        self._add(PathPatch(Outline([start, end]), fill=False, edgecolor=colour, lw=0.8, zorder=1))

    def way(
        self,
        points: Sequence[Point],
        *,
        colour: str,
        dash: Dash = "solid",
        wide: float = 1.1,
        zorder: float = 2,
    ) -> None:
        """Draw an arrow through points that lie level with or above one another; its corners are rounded.

        Args:
            points: two or more.
            colour: of the line and its head.
            dash: how the line is drawn.
            wide: of the line, in points.
            zorder: what is higher covers what is lower.
        """
        self._arrow(Outline(*_bent(points)), colour, dash, wide, zorder)

    def curve(self, points: Sequence[Point], *, colour: str, dash: Dash = "solid", wide: float = 1.1) -> None:
        """Draw an arrow along a cubic curve.

        Args:
            points: the curve's four control points.
            colour: of the line and its head.
            dash: how the line is drawn.
            wide: of the line, in points.
        """
        self._arrow(Outline(list(points), [Outline.MOVETO, *[Outline.CURVE4] * 3]), colour, dash, wide, 2)

    def _arrow(self, outline: Outline, colour: str, dash: Dash, wide: float, zorder: float) -> None:
        self._add(
            PathPatch(outline, fill=False, edgecolor=colour, lw=wide, linestyle=_DASHES[dash], zorder=zorder)
        )
        head = FancyArrowPatch(
            path=outline,
            arrowstyle=_HEAD,
            mutation_scale=1,
            linestyle="none",
            edgecolor=colour,
            facecolor=colour,
            lw=0,
            zorder=zorder + 0.1,
        )
        self._add(head)

    def _add(self, patch: Patch) -> None:
        patch.set_transform(self._pixels)
        self._figure.add_artist(patch)

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
