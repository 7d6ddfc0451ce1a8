"""Jinja environments: an undefined variable is an error, and every value is escaped as it is written out."""

import re
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

_SPECIAL: Final = re.compile(r"([\\`*|\[\]~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""Markdown's markup; an underscore within a word is none."""


def text_environment(
    folder: Path, finalize: Callable[[Any], Any], *, keep_trailing_newline: bool = False
) -> Environment:
    """An environment for templates of plain text.

    Args:
        folder: the templates'.
        finalize: makes each value harmless as it is written out.
        keep_trailing_newline: whether a template's last line keeps its end.

    Returns:
        The environment, to which filters can be added.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - `finalize` escapes
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=keep_trailing_newline,
    )


def markdown_environment(folder: Path) -> Environment:
    """An environment for templates of Markdown: a value is plain text, on one line."""
    return text_environment(folder, in_markdown, keep_trailing_newline=True)


def html_environment(folder: Path) -> Environment:
    """An environment for templates of HTML."""
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def in_markdown(value: Any) -> Any:
    """A value as plain text in a line, or in a cell of a table."""
    if isinstance(value, Undefined):
        return value
    return _SPECIAL.sub(r"\\\1", escape(" ".join(str(value).split()), quote=False))
