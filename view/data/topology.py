"""The graph's own topology: which ways it allows. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from ddxgraph.nodes.registry import STOPS


class Lead(NamedTuple):
    """A way that the graph allows."""

    start: str
    end: str

    @property
    def back(self) -> bool:
        """Whether it is a move back."""
        return column_of(self.end) <= column_of(self.start)


def column_of(stop: str) -> int:
    """A stop's place from left to right; what is none comes last."""
    return STOPS.place(stop) if stop in STOPS else len(STOPS)


def in_lines(leads: list[Lead]) -> Iterator[str]:
    """One line a stop: where it may lead, moves back apart."""
    leads = sorted(leads, key=lambda one: (column_of(one.start), column_of(one.end)))
    for start in dict.fromkeys(lead.start for lead in leads):
        mine = [lead for lead in leads if lead.start == start]
        on = ", ".join(lead.end for lead in mine if not lead.back)
        back = ", ".join(lead.end for lead in mine if lead.back)
        yield f"{start} -> {on}" + (f"; back <- {back}" if back else "")
