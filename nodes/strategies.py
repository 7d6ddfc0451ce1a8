"""The registry of strategies: their names, and the parameters of those with one generation.

It imports nothing heavy, so that `--help` can list the names. `graph.strategy.strategy_of` makes the strategies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ddxgraph.common.errors import BadInput

GRAPH: Final = "graph"
"""The strategy whose traces are journeys."""


class UnknownStrategy(BadInput):
    """No strategy has this name."""


@dataclass(frozen=True, kw_only=True)
class Generating:
    """Parameters of a strategy that answers a case in one generation."""

    reply_tokens: int
    """Token limit of the reply."""
    brief_reply_tokens: int
    """The same for very small models."""
    form: bool = False
    """Whether the reply is a bare answer as JSON, which the engine enforces and which is repaired once; otherwise
    it is a free text that ends in the line which states the answer."""

    def most_tokens(self, *, brief: bool = False) -> int:
        """Token limit of the reply; `brief` for very small models."""
        return self.brief_reply_tokens if brief else self.reply_tokens


_STRATEGIES: Final[Mapping[str, Generating | None]] = {
    GRAPH: None,
    "vanilla": Generating(reply_tokens=160, brief_reply_tokens=160, form=True),
    "cot": Generating(reply_tokens=1_024, brief_reply_tokens=256),
    "longstep": Generating(reply_tokens=2_048, brief_reply_tokens=512),
    "straight": Generating(reply_tokens=2_048, brief_reply_tokens=512),
    "shortcut": Generating(reply_tokens=2_048, brief_reply_tokens=512),
    "longmonolog": Generating(reply_tokens=4_096, brief_reply_tokens=768),
}
"""Name to parameters; None: the graph, which makes many calls. The prompt of any other strategy has its name."""


def strategy_names() -> tuple[str, ...]:
    """Names of all strategies, the graph first."""
    return tuple(_STRATEGIES)


def generation_names() -> tuple[str, ...]:
    """Names of the strategies with one generation."""
    return tuple(name for name, generating in _STRATEGIES.items() if generating)


def known_strategy(name: str) -> str:
    """Check the name of a strategy, and return it.

    Raises:
        UnknownStrategy: there is no such strategy; the message lists the known ones.
    """
    if name not in _STRATEGIES:
        raise UnknownStrategy(f"there is no strategy {name!r}: use one of {', '.join(_STRATEGIES)}")
    return name


def generating(name: str) -> Generating:
    """The parameters of a strategy with one generation.

    Raises:
        UnknownStrategy: there is no such strategy; the message lists the known ones.
    """
    asked = _STRATEGIES.get(name)
    if asked is None:
        raise UnknownStrategy(
            f"there is no strategy of one generation {name!r}: use one of {', '.join(generation_names())}"
        )
    return asked
