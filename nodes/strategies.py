"""The registry of strategies: their names, and what a strategy of one generation asks for.

It is light, so that `--help` can list the names. `graph.strategy.strategy_of` makes a strategy by its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ddxgraph.common.errors import BadInput

GRAPH: Final = "graph"
"""The reasoning graph, whose traces are journeys."""


class UnknownStrategy(BadInput):
    """No strategy has this name."""


@dataclass(frozen=True, kw_only=True)
class Generating:
    """What a strategy asks for that answers a case in one generation."""

    reply_tokens: int
    """Most tokens of the reply."""
    brief_reply_tokens: int
    """The same for models that are best kept brief."""
    form: bool = False
    """A bare answer as JSON, which the engine enforces and which is repaired once; else a free text that ends in
    the line which states the answer."""

    def most_tokens(self, *, brief: bool = False) -> int:
        """Most tokens of the reply."""
        return self.brief_reply_tokens if brief else self.reply_tokens


_STRATEGIES: Final[Mapping[str, Generating | None]] = {
    GRAPH: None,
    "vanilla": Generating(reply_tokens=160, brief_reply_tokens=160, form=True),
    "cot": Generating(reply_tokens=1_024, brief_reply_tokens=256),
    "longstep": Generating(reply_tokens=2_048, brief_reply_tokens=512),
    "longmonolog": Generating(reply_tokens=4_096, brief_reply_tokens=768),
}
"""Name to what it asks for; None: the graph, which makes many calls. A strategy of one generation puts the prompt
of its own name."""


def strategy_names() -> tuple[str, ...]:
    """All strategies, the graph first."""
    return tuple(_STRATEGIES)


def generation_names() -> tuple[str, ...]:
    """The strategies of one generation."""
    return tuple(name for name, generating in _STRATEGIES.items() if generating)


def known_strategy(name: str) -> str:
    """The name itself.

    Raises:
        UnknownStrategy: no strategy has it; the message lists those that there are.
    """
    if name not in _STRATEGIES:
        raise UnknownStrategy(f"there is no strategy {name!r}: use one of {', '.join(_STRATEGIES)}")
    return name


def generating(name: str) -> Generating:
    """What a strategy of one generation asks for.

    Raises:
        UnknownStrategy: there is no such strategy of one generation.
    """
    asked = _STRATEGIES.get(name)
    if asked is None:
        raise UnknownStrategy(
            f"there is no strategy of one generation {name!r}: use one of {', '.join(generation_names())}"
        )
    return asked
