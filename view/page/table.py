"""A table of journeys as a page: one file; or a folder whose index loads each journey as it is opened."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from markupsafe import Markup

from ddxgraph.common.errors import PageError
from ddxgraph.common.files import write_whole
from ddxgraph.view.data.tracerow import Column
from ddxgraph.view.page.assets import rendered
from ddxgraph.view.page.blocks import Blocks, Spot
from ddxgraph.view.page.document import Inert, as_json, document

SCRIPTS: Final = ("journey.js", "table.js")
INDEX: Final = "index.html"
BLOCKS: Final = "blocks"
_FROM_FILES: Final = "'self' file:"
"""Where a folder's index may load scripts from: its own server, or the disk that it lies on."""


class Fact(NamedTuple):
    """A figure over the whole table."""

    value: str
    name: str
    gold: bool = False


class Heading(NamedTuple):
    """What stands above a table."""

    title: str
    where: str
    """What the journeys have in common."""
    facts: Sequence[Fact]
    more: Markup = Markup("")
    """Further markup between the facts and the table."""
    gold: bool = False
    """Something in the table tells of gold answers."""
    noun: str = "trace"
    """What a row is, in the singular."""


class TablePage:
    """Writes a table's page, a journey at a time; memory grows by a row a journey, and by what one file holds.

    Args:
        out: an `.html` file; or a folder, made where it is missing, for an index and the journeys beside it.

    Raises:
        PageError: a folder with other files is there, or a file is in the folder's place.
    """

    def __init__(self, out: Path) -> None:
        self._single = is_single(out)
        self._out = out
        self._texts: list[Inert] = []
        if not self._single:
            _check_folder(out)
            (out / BLOCKS).mkdir(parents=True, exist_ok=True)
            for old in (out / BLOCKS).glob("*.js"):
                if old.stem.isdecimal():  # a block; other scripts are not ours to take away
                    old.unlink()
        self._blocks = Blocks(self._keep if self._single else self._save)
        self._ids: list[str] = []
        self._rows: list[Sequence[Any]] = []
        self._at: list[Spot] = []

    def add(self, key: str, row: Sequence[Any], markup: str) -> None:
        """Take a row and its journey's markup."""
        self._ids.append(key)
        self._rows.append(row)
        self._at.append(self._blocks.add(markup))

    def write(self, heading: Heading, columns: Iterable[Column], *, blind: bool) -> Path:
        """Write the page; its path."""
        self._blocks.close()
        table = {
            "columns": [column._asdict() for column in columns],
            "ids": self._ids,
            "rows": self._rows,
            "at": self._at,
            "noun": heading.noun,
            "live": False,
        }
        # The table stands before the journeys, so that the browser has it before it has read those.
        data = [Inert("table", as_json(table)), *self._texts]
        page = table_page(heading, data, blind=blind, sources="" if self._single else _FROM_FILES)
        place = self._out if self._single else self._out / INDEX
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, page)
        return place

    def _keep(self, number: int, text: str) -> None:
        self._texts.append(Inert(f"block-{number}", text))

    def _save(self, number: int, text: str) -> None:
        (self._out / BLOCKS / f"{number}.js").write_text(f'ddxBlock({number},"{text}")\n', encoding="ascii")


def table_page(
    heading: Heading,
    data: Iterable[Inert],
    *,
    blind: bool,
    sources: str = "",
    connects: bool = False,
) -> str:
    """The page of a table from its data."""
    body = rendered("table.html.jinja", heading=heading, blind=blind)
    return document(heading.title, body, scripts=SCRIPTS, data=data, sources=sources, connects=connects)


def is_single(out: Path) -> bool:
    """Whether a path names one file rather than a folder."""
    return out.suffix.lower() in {".html", ".htm"}


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise PageError(f"{folder} is a file: name a folder for the pages, or a file that ends in .html")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / BLOCKS).is_dir():
        raise PageError(f"{folder} holds other files than pages: name an empty folder or a new one")
