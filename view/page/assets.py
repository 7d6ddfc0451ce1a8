"""Templates of pages, in which every value is escaped as it is written out: a trace is anybody's text."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from ddxgraph.common import words
from ddxgraph.common.templates import html_environment
from ddxgraph.view.charts.credence import Point

FOLDER = Path(__file__).parent


@cache
def environment() -> Environment:
    """The templates of this folder."""
    templates = html_environment(FOLDER)
    templates.filters |= {
        "count": words.count,
        "cut": words.cut,
        "dots": _dots,
        "number": "{:,}".format,
        "signed": words.signed,
        "whole_percent": words.whole_percent,
    }
    return templates


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
