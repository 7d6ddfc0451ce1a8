"""A Matplotlib canvas for boxes, arrows and text, in pixels from its upper left corner.

Nothing here reads or changes Matplotlib's global state, so drawing is safe in threads and independent of a user's
settings. Characters that no installed font can show are replaced before Matplotlib sees them.
"""

import io
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cache
from math import dist, sqrt
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
"""Inches per pixel."""
_DPI: Final = 192
_MOST_PIXELS: Final = 60e6
"""Of a PNG; a larger drawing gets a lower resolution."""
_DASHES: Final[dict[Dash, Any]] = {"solid": "-", "dashed": (0, (5, 3)), "dotted": (0, (1.2, 2.4))}
_STRIP: Final = 5
"""Width of the mark along the left edge of a box."""
_HEAD: Final = "-|>,head_length=6,head_width=3"
"""An arrow head; lengths in points."""
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
"""A character is drawn in the first of these that is installed and has it."""
_UNKNOWN: Final = "□"


def check_format(path: Path) -> None:
    """Check the format of a picture.

    Raises:
        PageError: the file name does not end in `.png` or `.svg`.
    """
    if path.suffix.lower() not in FORMATS:
        raise PageError(f"cannot draw to {str(path)!r}: the file name must end in {' or '.join(FORMATS)}")


class Canvas:
    """A drawing of a given size in pixels."""

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
    ) -> None:
        """Write one line of text.

        Args:
            x: position of the edge or centre that `across` names.
            y: position of the middle.
            text: any text.
            size: font size in points.
            colour: of the text.
            bold: whether the text is bold.
            across: which part of the text lies at `x`.
            upright: rotated by 90 degrees, to be read from below.
            paper: background colour; by default, what lies below shows through.
            room: maximal width in pixels; longer text is cut off with an ellipsis.
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
            zorder=5,
            bbox={"boxstyle": "round,pad=0.35", "fc": paper, "ec": colour, "lw": 0.8} if paper else None,
        )

    def fit(self, text: str, room: float, *, size: float, bold: bool = False) -> str:
        """Cut a text to a width.

        Args:
            text: any text.
            room: maximal width in pixels.
            size: font size in points.
            bold: whether the text is bold.

        Returns:
            The legible text, or as much of it as fits, with an ellipsis.
        """
        shown = legible(text, bold=bold)
        if self.width(shown, size=size, bold=bold) <= room:
            return shown

        def width(length: int) -> float:
            return self.width(shown[:length].rstrip() + "…", size=size, bold=bold)

        most = bisect_right(range(1, len(shown)), room, key=width)
        return shown[:most].rstrip() + "…"

    def width(self, text: str, *, size: float, bold: bool = False) -> float:
        """Measure a text.

        Args:
            text: a legible text.
            size: font size in points.
            bold: whether the text is bold.

        Returns:
            Its width in pixels.
        """
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
        """Draw a box with rounded corners.

        Args:
            corner: the upper left one.
            size: width and height.
            edge: edge colour.
            fill: background colour.
            dash: line style of the edge.
            wide: line width of the edge, in points.
            zorder: higher elements cover lower ones.
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
        line = {"edgecolor": edge, "lw": wide, "linestyle": _DASHES[dash]}
        self._add(PathPatch(outline, fill=False, zorder=zorder + 0.5, **line))

    def rule(self, start: Point, end: Point, colour: str = RULE) -> None:
        """Draw a thin line.

        Args:
            start: one end.
            end: the other end.
            colour: of the line.
        """
        self._add(PathPatch(Outline([start, end]), fill=False, edgecolor=colour, lw=0.8, zorder=1))

    def arrow(
        self, points: Sequence[Point], *, colour: str, dash: Dash, wide: float, curved: bool = False
    ) -> None:
        """Draw an arrow.

        Args:
            points: the ends and corners of horizontal and vertical segments; or four control points of a curve.
            colour: of line and head.
            dash: line style.
            wide: line width in points.
            curved: whether it is a cubic curve.
        """
        codes = [Outline.MOVETO, *[Outline.CURVE4] * 3]
        outline = Outline(list(points), codes) if curved else Outline(*_rounded(points))
        line = {"edgecolor": colour, "lw": wide, "linestyle": _DASHES[dash]}
        self._add(PathPatch(outline, fill=False, zorder=2, **line))
        head = FancyArrowPatch(
            path=outline, arrowstyle=_HEAD, mutation_scale=1, linestyle="none", lw=0, zorder=2.1
        )
        head.set_color(colour)
        self._add(head)

    def _add(self, patch: Patch) -> None:
        patch.set_transform(self._pixels)
        self._figure.add_artist(patch)

    def save(self, path: Path, title: str) -> Path:
        """Write the drawing to a file. Equal drawings give equal bytes.

        Args:
            path: the file; its folder must exist.
            title: written into the metadata.

        Raises:
            PageError: the file name does not end in `.png` or `.svg`.
            OSError: the file cannot be written.
        """
        check_format(path)
        form = path.suffix.lower().removeprefix(".")
        metadata = {"Title": legible(title), **({"Date": None} if form == "svg" else {"Software": None})}
        file = io.BytesIO()
        self._figure.savefig(file, format=form, dpi=self._dpi, metadata=metadata, facecolor=PAGE)
        path.write_bytes(file.getvalue())
        return path


def _rounded(points: Sequence[Point], radius: float = 14) -> tuple[list[Point], list[Any]]:
    """Vertices and codes of a line of horizontal and vertical segments with rounded corners."""
    vertices, codes = [points[0]], [Outline.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, dist(before, corner) / 2, dist(corner, after) / 2)
        vertices += [_towards(corner, before, r), corner, _towards(corner, after, r)]
        codes += [Outline.LINETO, Outline.CURVE3, Outline.CURVE3]
    return [*vertices, points[-1]], [*codes, Outline.LINETO]


def _towards(a: Point, b: Point, by: float) -> Point:
    share = by / (dist(a, b) or 1)
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


@cache
def _installed() -> tuple[str, ...]:
    names = set(fontManager.get_font_names())
    return tuple(name for name in _FAMILIES if name in names)


@cache
def _font(size: float, bold: bool) -> FontProperties:
    return FontProperties(family=list(_installed()), weight="bold" if bold else "normal", size=size)


@cache
def _has(character: str, bold: bool) -> bool:
    weight = "bold" if bold else "normal"
    files = (findfont(FontProperties(family=[name], weight=weight)) for name in _installed())
    return any(get_font(file).get_char_index(ord(character)) for file in files)


def legible(text: str, *, bold: bool = False) -> str:
    """A text on one line; a box replaces each character that the installed fonts lack."""
    return "".join(_shown(" ".join(text.split()), bold=bold))


def _shown(text: str, *, bold: bool) -> Iterable[str]:
    for character in text:
        kind = unicodedata.category(character)
        if kind in {"Cc", "Cf"} or (kind in {"Mn", "Me"} and not _has(character, bold)):
            continue  # invisible by itself
        yield character if kind != "Cs" and _has(character, bold) else _UNKNOWN
