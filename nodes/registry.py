"""The registry of nodes: the stops of the graph in order, an expert's edit, and a single generation.

To add a stop, write its node and its prompt, and put its record into `STOPS` at its place. The graph, traces,
views, training styles and the gate take it from there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from ddxgraph.common.errors import BadInput
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.expert_edit import EXPERT_EDIT
from ddxgraph.nodes.generate import GENERATE
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.reflect import REFLECT
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.nodes.stop import AnyNode, AnyStop, TrunkStop

END: Final = "end"
"""Destination of a move that ends the journey."""


_BESIDE: Final[dict[str, AnyNode]] = {beside.name: beside for beside in (EXPERT_EDIT, GENERATE)}
"""Nodes of traces that are no stops of the graph."""


class UnknownNode(BadInput):
    """No node has this name."""


class Stops:
    """The stops of the graph, in the order of a journey without backtracks.

    Args:
        stops: their records; the first and the last one are on the trunk.

    Raises:
        BadInput: two nodes share a name, title or letter.
    """

    def __init__(self, *stops: AnyStop) -> None:
        self._by_name = _by_name(stops)

    def __iter__(self) -> Iterator[AnyStop]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> AnyStop:
        if name not in self._by_name:
            raise UnknownNode(f"the graph has no stop {name!r}; it has {', '.join(self.names)}")
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stops, in order."""
        return tuple(self._by_name)

    @property
    def first(self) -> AnyStop:
        """The stop at which every journey begins."""
        return next(iter(self))

    @property
    def last(self) -> AnyStop:
        """The stop that answers. A spent budget leads there directly."""
        return self[self.names[-1]]

    def place(self, name: str) -> int:
        """The position of a stop, from 0.

        Raises:
            UnknownNode: the graph has no such stop.
        """
        return self.names.index(self[name].name)

    def after(self, name: str) -> str:
        """The stop after a stop; `end` after the last one.

        Raises:
            UnknownNode: the graph has no such stop.
        """
        following = self.names[self.place(name) + 1 :]
        return following[0] if following else END

    def register(self, stop: TrunkStop[Any], after: AnyStop) -> None:
        """Add a stop to graphs that are compiled from now on, and to what traces may hold.

        Args:
            stop: its record.
            after: the stop that it follows; any but the last one.

        Raises:
            BadInput: its name, title or letter is taken, or `after` is no stop or the last one.
        """
        if after is self.last:
            raise BadInput(f"nothing can follow {after.name}, the last stop: register {stop.name} earlier")
        place = self.place(after.name) + 1
        stops = tuple(self)
        self._by_name = _by_name((*stops[:place], stop, *stops[place:]))

    @contextmanager
    def extended(self, stop: TrunkStop[Any], after: AnyStop) -> Iterator[None]:
        """Register a stop for the duration of a `with` block."""
        before = self._by_name
        self.register(stop, after)
        try:
            yield
        finally:
            self._by_name = before


def _by_name(stops: tuple[AnyStop, ...]) -> dict[str, AnyStop]:
    nodes = (*stops, *_BESIDE.values())
    for key in ("name", "title", "letter"):
        values = [getattr(each, key) for each in nodes]
        taken = [value for place, value in enumerate(values) if value in values[:place]]
        if taken:
            raise BadInput(f"two nodes have the {key} {taken[0]!r}: give each its own")
    return {stop.name: stop for stop in stops}


STOPS: Final = Stops(REVIEW_HISTORY, GENERATE_DIFFERENTIAL, CHECK_EVIDENCE, REFLECT, CONCLUDE)


def node_names() -> tuple[str, ...]:
    """Names of all nodes, which the steps of a trace may have."""
    return (*STOPS.names, *_BESIDE)


def node(name: str) -> AnyNode:
    """The record of a node.

    Raises:
        UnknownNode: no node has this name.
    """
    if name in _BESIDE:
        return _BESIDE[name]
    if name not in STOPS:
        raise UnknownNode(f"there is no node {name!r}: the known ones are {', '.join(node_names())}")
    return STOPS[name]


def title(name: str) -> str:
    """The title of a node, or of the end of a journey.

    Raises:
        UnknownNode: no node has this name.
    """
    return "End" if name == END else node(name).title


class _OneOf:
    """Makes a JSON schema list the names that are registered at that time."""

    def __init__(self, names: Callable[[], tuple[str, ...]]) -> None:
        self._names = names

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": list(self._names())}


def _known_node(name: str) -> str:
    return node(name).name


def _known_destination(name: str) -> str:
    return name if name == END else STOPS[name].name


NodeName = Annotated[str, AfterValidator(_known_node), _OneOf(node_names)]
"""Name of a node; validated in steps."""
Destination = Annotated[str, AfterValidator(_known_destination), _OneOf(lambda: (*STOPS.names, END))]
"""Name of a stop, or `end`; validated in moves."""
