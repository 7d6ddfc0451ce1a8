"""How an engine is started."""

from collections.abc import Sequence
from typing import NamedTuple


class EngineCommand(NamedTuple):
    """The module that is run as an engine, what it is told, and what it finds in its environment."""

    module: str
    arguments: Sequence[str]
    environment: dict[str, str]
    """Added to the environment; holds the API key, which the list of processes would show among the arguments."""
