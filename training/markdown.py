"""Templates of Markdown in which every value is made harmless as it is written out."""

import re
from html import escape
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

_SPECIAL: Final = re.compile(r"([\\`*|\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""What would be markup; an underscore within a word is none."""


def markdown_environment(folder: Path) -> Environment:
    """An environment for the templates of a folder; names and ids are anybody's text, and stand on one line."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown is escaped by `finalize`
        finalize=in_markdown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def in_markdown(value: Any) -> Any:
    """A value as it may stand in a line or a cell of a table."""
    if isinstance(value, Undefined):
        return value
    return _SPECIAL.sub(r"\\\1", escape(" ".join(str(value).split()), quote=False))
