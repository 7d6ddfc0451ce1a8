"""Topology of the graph: the moves that it allows. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from ddxgraph.nodes.registry import STOPS


class Lead(NamedTuple):
    """A move that the graph allows."""

    start: str
    end: str

    @property
    def back(self) -> bool:
        """Whether it is a backtrack."""
        return column_of(self.end) <= column_of(self.start)


def column_of(stop: str) -> int:
    """Place of a stop in the order of the graph; `end` comes last."""
    return STOPS.place(stop) if stop in STOPS else len(STOPS)


def in_lines(leads: list[Lead]) -> Iterator[str]:
    """One line per stop: where it may lead, with backtracks apart."""
    leads = sorted(leads, key=lambda lead: (column_of(lead.start), column_of(lead.end)))
    for start in dict.fromkeys(lead.start for lead in leads):
        mine = [lead for lead in leads if lead.start == start]
        on = ", ".join(lead.end for lead in mine if not lead.back)
        back = ", ".join(lead.end for lead in mine if lead.back)
        yield f"{start} -> {on}" + (f"; back <- {back}" if back else "")
