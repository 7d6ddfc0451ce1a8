"""A trace as a Mermaid flowchart."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from ddxgraph.common.words import cut
from ddxgraph.graph.trace import Trace
from ddxgraph.view.charts.path import Box, back_in_words, path_chart
from ddxgraph.view.data.evidence import evidence_of
from ddxgraph.view.data.path import numbered, path_of

_ARROWS: Final = {"on": "-->", "budget": "==>"}
_LABEL_CHARS, _WHY_CHARS = 60, 80
_PLAIN: Final = frozenset(" .,+-()−…↩")
"""Characters without a special meaning to Mermaid, Markdown or HTML within quotes. A colon is not among them:
after `style` or `classDef`, Mermaid truncates a number that follows it."""
_ICON: Final = re.compile(r"(?<=:)fa-")
_BREAK: Final = "\u200b"
"""Zero-width space, put between characters that have a special meaning together."""


def journey_mermaid(trace: Trace) -> str:
    """The flowchart: stops from left to right, backtracks dotted, checks of refuted hypotheses muted."""
    return "\n".join(_lines(numbered(trace))) + "\n"


def _lines(trace: Trace) -> Iterator[str]:
    path = path_of(trace)
    chart = path_chart(trace, path, evidence_of(trace))
    yield "flowchart LR"
    for box in chart.boxes:
        title, detail = _text(box.title, _LABEL_CHARS), _detail(box)
        yield f'  s{box.step}["{box.step + 1} {title}<br/>{detail}"]'
    for way in path.ways:
        if way.kind == "back":
            why = _text(back_in_words(trace.steps[way.start]), _WHY_CHARS)
            yield f'  s{way.start} -. "{why}" .-> s{way.end}'
        else:
            yield f"  s{way.start} {_ARROWS[way.kind]} s{way.end}"
    muted = ",".join(f"s{place.step.index}" for place in path.places if place.abandoned)
    if muted:
        yield "  classDef abandoned stroke-dasharray:4 3,opacity:0.6"
        yield f"  class {muted} abandoned"


def _detail(box: Box) -> str:
    return _text(box.detail + ", refuted" * box.abandoned, _LABEL_CHARS)


def _text(text: str, most: int) -> str:
    """A text for use in quotes. Special characters become Mermaid's `#` and a number.

    Invisible characters (control characters, changes of direction, lone surrogates) become U+FFFD. Formulas
    (`$$`) and icons (`fa:fa-`), which Mermaid recognizes even in numeric form, are broken up.
    """
    plain = "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in cut(text, most))
    plain = _ICON.sub(f"{_BREAK}fa-", plain.replace("$$", f"${_BREAK}$"))
    return "".join(map(_written, plain))


def _written(char: str) -> str:
    return char if char in _PLAIN or unicodedata.category(char)[0] in "LMN" else f"#{ord(char)};"
