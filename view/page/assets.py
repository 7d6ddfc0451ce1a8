"""Templates of pages, in which every value is escaped as it is written out: a trace is anybody's text."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ddxgraph.view import words
from ddxgraph.view.charts.credence import Point

FOLDER = Path(__file__).parent


@cache
def environment() -> Environment:
    """The templates of this folder."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for name in ("count", "cut", "percent", "signed"):
        made.filters[name] = getattr(words, name)
    made.filters["number"] = "{:,}".format
    made.filters["dots"] = _dots
    return made


def _dots(points: Iterable[Point]) -> Markup:
    """The points of a curve, each with its words. A page has hundreds, and a template takes thrice as long."""
    return Markup("").join(  # numbers, and words that are escaped
        Markup(f'<circle cx="{one.x}" cy="{one.y}" r="3"><title>{escape(one.words)}</title></circle>')  # noqa: S704
        for one in points
    )


def rendered(template: str, **given: object) -> Markup:
    """A template of this folder filled in; what it gives is markup, all values in it escaped."""
    return Markup(environment().get_template(template).render(given))  # noqa: S704 - autoescaped


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
