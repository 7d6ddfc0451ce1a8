"""Templates and assets of pages. Templates escape every value, since a trace may hold any text."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from ddxgraph.common import words
from ddxgraph.common.templates import html_environment
from ddxgraph.nodes.registry import title
from ddxgraph.view.charts.credence import Point
from ddxgraph.view.charts.path import back_in_words
from ddxgraph.view.data.transitions import START

FOLDER = Path(__file__).parent


@cache
def environment() -> Environment:
    """The Jinja environment of this folder's templates."""
    templates = html_environment(FOLDER)
    templates.filters |= {
        "backtrack": back_in_words,
        "count": words.count,
        "cut": words.cut,
        "dots": _dots,
        "number": "{:,}".format,
        "signed": words.signed,
        "stop_title": _stop_title,
        "weight": _weight,
        "whole_percent": words.whole_percent,
    }
    return templates


def _stop_title(stop: str) -> str:
    return "Start" if stop == START else title(stop)


@cache
def _weight(strength: int) -> Markup:
    """The strength of a weight, in its colour. A page has dozens, and a macro is many times slower."""
    return Markup('<span class="w w{}">{}</span>').format(strength, words.signed(strength))


def _dots(points: Iterable[Point]) -> Markup:
    """The points of a curve with their tooltips. A page has hundreds, and a template is 3 times slower."""
    return Markup("").join(  # numbers and escaped text
        Markup(f'<circle cx="{dot.x}" cy="{dot.y}" r="3"><title>{escape(dot.words)}</title></circle>')  # noqa: S704
        for dot in points
    )


def rendered(template: str, **values: object) -> Markup:
    """Render a template of this folder, with every value escaped."""
    return Markup(environment().get_template(template).render(values))  # noqa: S704 - autoescaped


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
