"""Pages of journeys, many to a block: compressed, inert, and unpacked by the browser when one is opened.

So a run's page shows its table at once, however long the journeys are: a block is a text that the browser has
neither parsed nor laid out.
"""

import base64
import json
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

BLOCK_CHARS: Final = 1_500_000
"""Characters of markup after which a block is closed: some 20 journeys."""
_LEVEL: Final = 6


class Spot(NamedTuple):
    """Where a journey lies."""

    block: int
    place: int


class Blocks:
    """Takes journeys one after another and hands on each block as it fills.

    Args:
        write: is given the number and the text of each block: base64 over zlib over a JSON list of markup.
    """

    def __init__(self, write: Callable[[int, str], None]) -> None:
        self._write = write
        self._number = 0
        self._chars = 0
        self._held: list[str] = []

    def add(self, markup: str) -> Spot:
        """Take a journey's markup; where it will lie."""
        spot = Spot(self._number, len(self._held))
        self._held.append(markup)
        self._chars += len(markup)
        if self._chars >= BLOCK_CHARS:
            self.close()
        return spot

    def close(self) -> None:
        """Hand on what is held."""
        if not self._held:
            return
        packed = zlib.compress(json.dumps(self._held).encode(), _LEVEL)
        self._write(self._number, base64.b64encode(packed).decode())
        self._number, self._chars, self._held = self._number + 1, 0, []
