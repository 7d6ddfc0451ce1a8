"""Which of a llama.cpp server's slots a conversation lives in."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager


class Slots:
    """A conversation's slot is its own, until it has fallen silent and a new one needs the place.

    A llama.cpp slot keeps one conversation. Requests of one conversation that went to several slots would
    share no prefix, so each conversation is pinned, and its calls run in turn. Between two calls a conversation
    is silent for some milliseconds only: of the slots without a call in flight, the one silent for longest
    belongs to a conversation that has ended.

    Args:
        count: slots that the server has.
        first: the one to begin with.
    """

    def __init__(self, count: int, first: int = 0) -> None:
        self._free = [(first + number) % count for number in range(count)]
        self._held: OrderedDict[str, int] = OrderedDict()  # by the end of the last call
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, conversation: str) -> Iterator[int]:
        """The slot of a conversation for the time of a call."""
        with self._lock:
            slot = self._held.get(conversation)
            if slot is None:
                slot = self._free.pop(0) if self._free else self._held.pop(self._silent())
                self._held[conversation] = slot
            self._calls[conversation] += 1
        try:
            yield slot
        finally:
            with self._lock:
                self._calls[conversation] -= 1
                if conversation in self._held:
                    self._held.move_to_end(conversation)
                self._calls += Counter()  # drops those at zero

    def _silent(self) -> str:
        """The conversation to give way; where all are in the middle of a call, two must share a slot."""
        return next((key for key in self._held if not self._calls[key]), next(iter(self._held)))
