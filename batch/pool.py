"""Bounded concurrency for work whose results are taken as they come: judgements, rewritings."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


async def batches(
    items: Iterable[ItemT],
    work: Callable[[ItemT], Awaitable[ResultT]],
    *,
    concurrency: int,
    stop: asyncio.Event,
    grace_s: float,
) -> AsyncGenerator[list[ResultT], None]:
    """Work on items concurrently; yields the results that have come since the last time, in no fixed order.

    If you stop early, close the generator (`contextlib.aclosing`): it cancels what is in flight.

    Args:
        items: taken one by one, as places become free.
        work: makes the result of an item.
        concurrency: items at a time.
        stop: once set, no further item is begun.
        grace_s: seconds that the items in flight then have before they are cancelled.

    Raises:
        Whatever `work` raises.
    """
    waiting, running = iter(items), set[asyncio.Future[ResultT]]()
    halt = asyncio.create_task(stop.wait())
    until: float | None = None
    try:
        while True:
            while not stop.is_set() and len(running) < concurrency:
                try:
                    running.add(asyncio.ensure_future(work(next(waiting))))
                except StopIteration:
                    break
            if stop.is_set():
                until = until or time.monotonic() + grace_s
            left_s = None if until is None else max(until - time.monotonic(), 0.0)
            futures: set[asyncio.Future[Any]] = {*running} if halt.done() else {*running, halt}
            if not running:
                return
            await asyncio.wait(futures, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            done = [future for future in running if future.done()]
            running.difference_update(done)
            if done:
                yield [future.result() for future in done]
            elif left_s == 0:
                return
    finally:
        left: list[asyncio.Future[Any]] = [halt, *running]
        for future in left:
            future.cancel()
        await asyncio.gather(*left, return_exceptions=True)
