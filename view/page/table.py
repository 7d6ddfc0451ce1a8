"""A table of journeys as a page: one file, or a folder whose index loads each journey when it is opened."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ddxgraph.common.errors import PageError
from ddxgraph.common.files import write_whole
from ddxgraph.view.data.row import Column
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.blocks import Blocks, Spot
from ddxgraph.view.page.document import Inert, as_json, document

SCRIPTS: Final = ("journey.js", "table.js")
INDEX: Final = "index.html"
BLOCKS: Final = "blocks"
_FROM_FILES: Final = "'self' file:"
"""Sources of scripts for the index of a folder: its own server, or the disk."""


Progress = Callable[[int, int], None]
"""Receives the number of finished rows and the number of all rows."""


class Fact(NamedTuple):
    """A figure about the whole table."""

    value: str
    name: str
    gold: bool = False


class Heading(NamedTuple):
    """What is shown above a table."""

    title: str
    where: str
    """Benchmarks and strategies of the journeys."""
    facts: Sequence[Fact]
    more: Markup = Markup("")
    """Markup between facts and table."""
    gold: bool = False
    """Whether the table shows gold answers."""
    noun: str = "trace"
    """Name of a row, in the singular."""


class TablePage:
    """Writes the page of a table, one journey at a time. Memory grows by a row per journey, or by the whole page
    if it is a single file.

    Args:
        out: an `.html` file; or a folder for an index and the journeys, created if missing.

    Raises:
        PageError: the folder holds other files, or is a file.
    """

    def __init__(self, out: Path) -> None:
        self._single = is_single(out)
        self._out = out
        self._texts: list[Inert] = []
        if not self._single:
            _check_folder(out)
            (out / BLOCKS).mkdir(parents=True, exist_ok=True)
            for old in (out / BLOCKS).glob("*.js"):
                if old.stem.isdecimal():  # a block: other scripts stay
                    old.unlink()
        self._blocks = Blocks(self._keep if self._single else self._save)
        self._ids: list[str] = []
        self._rows: list[Sequence[Any]] = []
        self._at: list[Spot] = []

    def add(self, key: str, row: Sequence[Any], markup: str) -> None:
        """Add a row.

        Args:
            key: its id, unique within the table.
            row: its cells.
            markup: the journey that it opens.
        """
        self._ids.append(key)
        self._rows.append(row)
        self._at.append(self._blocks.add(markup))

    def write(self, heading: Heading, columns: Iterable[Column], *, blind: bool) -> Path:
        """Write the page.

        Args:
            heading: what is shown above the table.
            columns: of the table.
            blind: whether gold answers are hidden until the reader asks for them.

        Returns:
            Its path.
        """
        self._blocks.close()
        table = table_data(heading, columns, self._ids, self._rows, live=False, at=self._at)
        data = [
            table,
            *self._texts,
        ]  # in this order, so that the browser has the table before it reads journeys
        page = table_page(heading, data, blind=blind, sources="" if self._single else _FROM_FILES)
        place = self._out if self._single else self._out / INDEX
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, page)
        return place

    def _keep(self, number: int, text: str) -> None:
        self._texts.append(Inert(f"block-{number}", text))

    def _save(self, number: int, text: str) -> None:
        (self._out / BLOCKS / f"{number}.js").write_text(f'ddxBlock({number},"{text}")\n', encoding="ascii")


def table_data(
    heading: Heading,
    columns: Iterable[Column],
    ids: Sequence[str],
    rows: Sequence[Sequence[Any]],
    **more: Any,
) -> Inert:
    """A table for the page's script.

    Args:
        heading: what is shown above the table.
        columns: of the table.
        ids: of the rows.
        rows: their cells.
        **more: whether the table is `live`, and how its journeys are found.

    Returns:
        The data of a page.
    """
    named = [column._asdict() for column in columns]
    return Inert("table", as_json({"columns": named, "ids": ids, "rows": rows, "noun": heading.noun, **more}))


def table_page(
    heading: Heading, data: Iterable[Inert], *, blind: bool, sources: str = "", connects: bool = False
) -> str:
    """The page of a table.

    Args:
        heading: what is shown above the table.
        data: for the page's script.
        blind: whether gold answers are hidden until the reader asks for them.
        sources: see `document`.
        connects: see `document`.

    Returns:
        The page.
    """
    body = rendered("table.html.jinja", heading=heading, blind=blind)
    return document(heading.title, body, scripts=SCRIPTS, data=data, sources=sources, connects=connects)


def is_single(out: Path) -> bool:
    """Whether a path names a single file rather than a folder."""
    return out.suffix.lower() in {".html", ".htm"}


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise PageError(f"{folder} is a file: name a folder for the pages, or a file that ends in .html")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / BLOCKS).is_dir():
        raise PageError(f"{folder} holds files other than pages: name an empty folder or a new one")
