"""Many journeys drawn, on several processor cores where that is worth it."""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Final, TypeVar

T = TypeVar("T")
DrawingT = TypeVar("DrawingT")

WORTH_IT: Final = 500
"""Journeys from which further processes save more than they cost to start: a second each."""
_CHUNK: Final = 16
_AHEAD: Final = 3
"""Chunks for each process that are drawn or waiting; more would only take memory."""


def drawn(draw: Callable[[T], DrawingT], given: Sequence[T], processes: int = 1) -> Iterator[DrawingT]:
    """Draw journeys, in their order.

    Args:
        draw: draws one; a function that can be pickled.
        given: what it is called with.
        processes: how many work side by side. Python's rule for `spawn` holds for more than one: a script
            starts them under `if __name__ == "__main__":`.

    Yields:
        What it returns for each. What `draw` raises is raised here.
    """
    if processes < 2 or len(given) < WORTH_IT:  # noqa: PLR2004
        yield from map(draw, given)
        return
    chunks = iter(given[start : start + _CHUNK] for start in range(0, len(given), _CHUNK))
    with ProcessPoolExecutor(processes, get_context("spawn"), _leave_interrupts_to_the_parent) as pool:
        try:
            waiting: deque[Future[list[DrawingT]]] = deque()
            waiting.extend(pool.submit(_chunk, draw, chunk) for chunk in islice(chunks, _AHEAD * processes))
            while waiting:
                yield from waiting.popleft().result()
                waiting.extend(pool.submit(_chunk, draw, chunk) for chunk in islice(chunks, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _chunk(draw: Callable[[T], DrawingT], given: Sequence[T]) -> list[DrawingT]:
    return [draw(each) for each in given]


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
