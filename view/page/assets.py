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
from ddxgraph.view.charts.path import Box, Line, back_in_words
from ddxgraph.view.data.transitions import START

FOLDER = Path(__file__).parent


@cache
def environment() -> Environment:
    """The Jinja environment of this folder's templates."""
    templates = html_environment(FOLDER)
    templates.filters |= {
        "backtrack": back_in_words,
        "boxes": _boxes,
        "count": words.count,
        "cut": words.cut,
        "dots": _dots,
        "number": "{:,}".format,
        "signed": words.signed,
        "stop_title": _stop_title,
        "ways": _ways,
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


# A page has hundreds of points, arrows and boxes, and a template is 3 times slower at them.


def _dots(points: Iterable[Point]) -> Markup:
    """The points of a curve with their tooltips."""
    return _joined(
        f'<circle cx="{dot.x}" cy="{dot.y}" r="3"><title>{escape(dot.words)}</title></circle>'
        for dot in points
    )


def _ways(lines: Iterable[Line], prefix: str) -> Markup:
    """The arrows of a path."""
    return _joined(
        f'<path class="way {line.kind}{" muted" * line.muted}" d="{line.d}" '
        f'marker-end="url(#{escape(prefix)}-tip-{"back" if line.kind == "back" else "on"})"/>\n'
        for line in lines
    )


def _boxes(boxes: Iterable[Box], prefix: str) -> Markup:
    """The boxes of a path, each a link to its step."""
    return _joined(
        f'<a class="stop {escape(box.node)}{" abandoned" * box.abandoned}{" failed" * box.failed}" '
        f'href="#{escape(prefix)}-{box.step}" transform="translate({box.x:g} {box.y:g})" '
        f'aria-label="{escape(words.cut(box.words, 200))}"><rect width="168" height="38" rx="7"/>'
        f'<svg x="10" width="150" height="38"><text class="t" y="16">{escape(box.title)}</text>'
        f'<text class="d" y="31">{escape(box.detail)}</text></svg>'
        f'<text class="num" x="160" y="31" text-anchor="end">{box.step + 1}</text></a>\n'
        for box in boxes
    )


def _joined(parts: Iterable[str]) -> Markup:
    return Markup("".join(parts))  # noqa: S704 - numbers and escaped text


def rendered(template: str, **values: object) -> Markup:
    """Render a template of this folder, with every value escaped."""
    return Markup(environment().get_template(template).render(values))  # noqa: S704 - autoescaped


@cache
def asset(name: str) -> str:
    """A style sheet or script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")
