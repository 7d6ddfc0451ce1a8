"""A journey as a Mermaid flowchart."""

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
"""Signs that mean nothing to Mermaid, to Markdown or to HTML within quotes. A colon does to Mermaid: after
`style` or `classDef` it takes the end off a number that follows."""
_ICON: Final = re.compile(r"(?<=:)fa-")
_BREAK: Final = "\u200b"
"""Of no width; between two signs that would mean something together."""


def journey_mermaid(trace: Trace) -> str:
    """The flowchart: stops from left to right, moves back dotted, checks of refuted hypotheses muted."""
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
    return _text(box.detail + ", given up" * box.abandoned, _LABEL_CHARS)


def _text(text: str, most: int) -> str:
    """A text as it may stand in quotes; `#` and a number stand for a character, as Mermaid has it.

    What is no character to be seen (control characters, turns of the writing direction, halves of characters)
    becomes U+FFFD. Formulas (`$$`) and icons (`fa:fa-`), which Mermaid makes of numbers too, are broken up.
    """
    plain = "".join("\ufffd" if unicodedata.category(sign)[0] == "C" else sign for sign in cut(text, most))
    plain = _ICON.sub(f"{_BREAK}fa-", plain.replace("$$", f"${_BREAK}$"))
    return "".join(map(_written, plain))


def _written(sign: str) -> str:
    return sign if sign in _PLAIN or unicodedata.category(sign)[0] in "LMN" else f"#{ord(sign)};"
