"""Pages of journeys, many to a block: compressed, inert, and unpacked by the browser when one is opened.

So a run's page shows its table at once, however long the journeys are: a block is a text that the browser has
neither parsed nor laid out.
"""

import base64
import json
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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

    A block is packed and written in a thread, while the next one is made: packing lets go of the interpreter.

    Args:
        write: is given the number and the text of each block: base64 over zlib over a JSON list of markup.
    """

    def __init__(self, write: Callable[[int, str], None]) -> None:
        self._write = write
        self._packer = ThreadPoolExecutor(1, "pages")
        self._under_way: Future[None] | None = None
        self._number = 0
        self._chars = 0
        self._held: list[str] = []

    def add(self, markup: str) -> Spot:
        """Take a journey's markup; where it will lie."""
        spot = Spot(self._number, len(self._held))
        self._held.append(markup)
        self._chars += len(markup)
        if self._chars >= BLOCK_CHARS:
            self._hand_on()
        return spot

    def close(self) -> None:
        """Hand on what is held, and wait until it is written."""
        if self._held:
            self._hand_on()
        self._settle()

    def _hand_on(self) -> None:
        self._settle()  # one block at a time is under way, so that memory does not grow
        self._under_way = self._packer.submit(self._pack, self._number, self._held)
        self._number, self._chars, self._held = self._number + 1, 0, []

    def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way:
            under_way.result()

    def _pack(self, number: int, held: list[str]) -> None:
        packed = zlib.compress(json.dumps(held).encode(), _LEVEL)
        self._write(number, base64.b64encode(packed).decode())
