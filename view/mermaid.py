"""A journey as a Mermaid flowchart."""

from collections.abc import Iterator
from typing import Final

from ddxgraph.graph.trace import Trace
from ddxgraph.view.evidence import evidence_of
from ddxgraph.view.path import numbered, path_of
from ddxgraph.view.pathchart import back_in_words, path_chart
from ddxgraph.view.words import cut

_ARROWS: Final = {"on": "-->", "budget": "==>"}
_LABEL_CHARS, _WHY_CHARS = 60, 80
_PLAIN: Final = frozenset(" .,:+-()−…↩")
"""Signs that mean nothing to Mermaid, to Markdown or to HTML within quotes."""


def journey_mermaid(trace: Trace) -> str:
    """The flowchart: stops from left to right, moves back dotted, checks of refuted hypotheses muted."""
    return "\n".join(_lines(numbered(trace))) + "\n"


def _lines(trace: Trace) -> Iterator[str]:
    path = path_of(trace)
    chart = path_chart(trace, path, evidence_of(trace))
    yield "flowchart LR"
    for box in chart.boxes:
        title, detail = _text(box.title, _LABEL_CHARS), _text(box.detail, _LABEL_CHARS)
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


def _text(text: str, most: int) -> str:
    """A text as it may stand in quotes; `#` and a number stand for a character, as Mermaid has it."""
    return "".join(sign if sign.isalnum() or sign in _PLAIN else f"#{ord(sign)};" for sign in cut(text, most))
