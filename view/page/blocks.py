"""Compressed blocks of many journeys' markup, which the browser unpacks when a journey is opened.

Thus the page of a run shows its table at once, however long the journeys are: the browser neither parses nor lays
out the text of a block.
"""

import base64
import json
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

BLOCK_CHARS: Final = 1_500_000
"""Characters of markup at which a block is full: some 20 journeys."""
_LEVEL: Final = 4
"""Of zlib: half the time of level 6, for a tenth more bytes."""


class Spot(NamedTuple):
    """Position of a journey."""

    block: int
    place: int


class Blocks:
    """Collects journeys and writes each block when it is full.

    A thread packs and writes a block while the next one is filled: packing releases the interpreter lock.

    Args:
        write: receives number and text of each block: base64 of zlib of a JSON list of markup.
    """

    def __init__(self, write: Callable[[int, str], None]) -> None:
        self._write = write
        self._packer = ThreadPoolExecutor(1, "pages")
        self._under_way: Future[None] | None = None
        self._number = 0
        self._chars = 0
        self._held: list[str] = []

    def add(self, markup: str) -> Spot:
        """Add the markup of a journey; returns its position."""
        spot = Spot(self._number, len(self._held))
        self._held.append(markup)
        self._chars += len(markup)
        if self._chars >= BLOCK_CHARS:
            self._hand_on()
        return spot

    def close(self) -> None:
        """Write the last block and wait until all are written."""
        if self._held:
            self._hand_on()
        self._settle()

    def _hand_on(self) -> None:
        self._settle()  # one block at a time, so that memory does not grow
        self._under_way = self._packer.submit(self._pack, self._number, self._held)
        self._number, self._chars, self._held = self._number + 1, 0, []

    def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way:
            under_way.result()

    def _pack(self, number: int, held: list[str]) -> None:
        packed = zlib.compress(json.dumps(held).encode(), _LEVEL)
        self._write(number, base64.b64encode(packed).decode())
