"""Plots as pictures: SVG and PNG whose bytes depend only on what is drawn, and their place in a page."""

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from math import ceil
from textwrap import fill
from typing import Any, Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#1b1f24"
MUTED: Final = "#5a626b"
RULE: Final = "#d5dae0"
PAGE: Final = "#ffffff"
SERIES: Final = ("#0060a8", "#b8450f", "#00785a", "#8f3f88", "#8a6d00", "#4b5563")
"""Colours of series, distinct for colour-blind readers (after Okabe and Ito) and in grey print."""
_MARKERS: Final = "osD^vPX*"
_LINES: Final = ("-", "--", "-.", ":")
_DPI: Final = 160
_LONGEST: Final = 60
"""Characters of a name that a plot shows."""
_TITLE_LINE: Final = 78
"""Characters that fit on a line of a title."""
_LEGEND_LINES: Final = 2
"""Lines of a legend that fit into a figure."""
_LEGEND_LINE: Final = 0.19
"""Height of a line of a legend, in inches."""

_VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    PAGE: "var(--page)",
    **{colour: f"var(--s{place})" for place, colour in enumerate(SERIES)},
}
"""Colours of the files to those of the page, which has a light and a dark scheme."""
_COLOUR: Final = re.compile("|".join(_VARIABLES), re.IGNORECASE)
_ID: Final = re.compile(r'(\bid="|href="#|url\(#)')
_METADATA: Final = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE: Final = re.compile(
    r'(<svg\b[^>]*?) height="[^"]*"([^>]*?) width="[^"]*"|(<svg\b[^>]*?) width="[^"]*"([^>]*?) height="[^"]*"'
)
_STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "axes.unicode_minus": True,
    "figure.facecolor": PAGE,
    "axes.facecolor": PAGE,
    "savefig.facecolor": PAGE,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica"],
    "font.size": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "ddxgraph",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}


class Sign(NamedTuple):
    """The look of a series, distinct with and without colour."""

    colour: str
    marker: str
    line: str


class NumberTable(NamedTuple):
    """The numbers of a plot."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A plot with its text alternative."""

    name: str
    """Of its files, without suffix."""
    title: str
    alt: str
    """The text alternative."""
    table: NumberTable
    svg: str
    png: bytes

    @property
    def inline(self) -> str:
        """The SVG as part of a page: in the page's colours, with unique ids, no wider than the page."""
        body = self.svg[self.svg.index("<svg") :]
        body = _COLOUR.sub(lambda match: _VARIABLES[match[0].lower()], _METADATA.sub("", body))
        body = _ID.sub(rf"\g<1>{self.name}-", body)
        body = _SIZE.sub(lambda match: "".join(part for part in match.groups() if part), body, count=1)
        return body.replace("<svg", f'<svg role="img" aria-label="{escape(self.alt)}"', 1)


def sign_of(number: int) -> Sign:
    """The sign of a run, the same in every plot; its number counts from 1.

    Colours repeat after 6, but with other markers and lines.
    """
    place = number - 1
    return Sign(SERIES[place % len(SERIES)], _MARKERS[place % len(_MARKERS)], _LINES[place % len(_LINES)])


def short(name: str, most: int = _LONGEST) -> str:
    """A name shortened to fit a plot."""
    return name if len(name) <= most else f"{name[: most - 3]}..."


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style, and restore Matplotlib's settings afterwards."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing"
        )  # a name in a script that the font lacks
        yield


def sheet(width: float = 7.0, height: float = 4.6) -> tuple[Figure, Axes]:
    """An empty figure, in inches; no window, no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def picture(name: str, title: str, alt: str, table: NumberTable, figure: Figure) -> Picture:
    """Save a figure; equal figures give equal bytes.

    Args:
        name: of its files.
        title: of the plot.
        alt: its text alternative.
        table: its numbers.
        figure: the plot.

    Returns:
        The picture.
    """
    return Picture(
        name=name,
        title=title,
        alt=alt,
        table=table,
        svg=_saved(figure, "svg", {"Date": None, "Creator": None}).decode(),
        png=_saved(figure, "png", {"Software": None}),
    )


def entitle(axes: Axes, title: str) -> None:
    """Title a plot; a page that shows the title beside the plot hides this one by its id."""
    lines = fill(short(title, 2 * _TITLE_LINE), _TITLE_LINE)
    axes.figure.suptitle(lines, x=0.01, ha="left", fontsize=mpl.rcParams["axes.titlesize"], gid="title")


def legend(figure: Figure, entries: Sequence[tuple[Any, str]]) -> None:
    """Name the series below the plot; the figure grows with them, so that the axes keep their height."""
    if not entries:
        return
    marks, names = zip(*entries, strict=True)
    columns = 1 if max(map(len, names)) > _LONGEST // 2 else 2
    lines = ceil(sum(name.count("\n") + 1 for name in names) / columns)
    figure.set_figheight(figure.get_figheight() + _LEGEND_LINE * max(0, lines - _LEGEND_LINES))
    figure.legend(marks, names, loc="outside lower center", ncols=columns)


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, dpi=_DPI, metadata=metadata)
    return file.getvalue()
