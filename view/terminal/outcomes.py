"""How the traversals of a run came out, as a bar of segments. Each outcome has a sign besides its colour."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from rich.text import Text

_MOST_CELLS: Final = 30


class _Kind(NamedTuple):
    """How a segment looks."""

    sign: str
    style: str


_KINDS: Final[Mapping[str, _Kind]] = {
    "answered": _Kind("#", "cyan"),
    "abstained": _Kind("o", "blue"),
    "unparsed": _Kind("?", "yellow"),
    "interrupted": _Kind("~", "magenta"),
    "error": _Kind("!", "red"),
}


def outcome_bar(outcomes: Mapping[str, int], width: int) -> list[Text]:
    """The bar and its legend, on one line or two; nothing until a traversal has ended."""
    counts = {kind: count for kind in _KINDS if (count := outcomes.get(kind, 0)) > 0}
    if not counts:
        return []
    bar, legend = Text("["), Text()
    for kind, cells in segments(counts, min(_MOST_CELLS, max(width - 2, len(counts)))).items():
        bar.append(_KINDS[kind].sign * cells, style=_KINDS[kind].style)
        legend.append("  " if legend else "").append(_KINDS[kind].sign, style=_KINDS[kind].style)
        legend.append(f" {counts[kind]:,} {kind}")
    bar.append("]")
    if bar.cell_len + 2 + legend.cell_len <= width:
        return [Text.assemble(bar, "  ", legend, no_wrap=True)]
    return [bar, legend]


def segments(counts: Mapping[str, int], cells: int) -> dict[str, int]:
    """Split `cells` among the counts in proportion, with at least one cell each.

    Args:
        counts: all above 0.
        cells: at least as many as there are counts.
    """
    total = sum(counts.values())
    exact = {kind: count * cells / total for kind, count in counts.items()}
    given = {kind: max(1, int(share)) for kind, share in exact.items()}
    while (short := cells - sum(given.values())) != 0:
        step = 1 if short > 0 else -1
        candidates = given if step > 0 else {kind for kind, size in given.items() if size > 1}
        given[max(candidates, key=lambda kind: step * (exact[kind] - given[kind]))] += step
    return given
