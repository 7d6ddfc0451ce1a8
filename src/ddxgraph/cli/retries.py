"""Calls that are made again: counted in a tally, instead of a log line each."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ddxgraph.batch.tally import Tally
from ddxgraph.nodes.patience import LOG


@contextmanager
def retries_counted(tally: Tally, told: Callable[[], None] | None) -> Iterator[None]:
    """Count them while the context lasts.

    Args:
        tally: where they are counted.
        told: called after each, so that a log says why nothing ends while the engine is away.
    """

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tally.retried[getattr(record, "kind", "other")] += 1
            if told:
                told()

    handler, propagate = Counting(), LOG.propagate
    LOG.addHandler(handler)
    LOG.propagate = False
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = propagate
