"""Signals that ask a run to stop."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ddxgraph.graph.runner import GRACE_S

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, the stop of a batch system, the end of a login session; Windows lacks the last."""


@contextmanager
def stopped_by_signals(note: Callable[[str], None] | None) -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, or what else asks to stop; a second one drops what is in flight."""
    stop, dropped = asyncio.Event(), asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def on_signal() -> None:
        if stop.is_set():
            if main and not dropped.is_set():  # a third must not break off the saving of what has ended
                dropped.set()
                main.cancel()
            return
        stop.set()
        if note:
            note(f"stopping: what is in flight has {GRACE_S:.0f} s to end; Ctrl-C again drops it")

    heeded = []
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is None or signal.getsignal(number) == signal.SIG_IGN:  # as under nohup
            continue
        try:
            loop.add_signal_handler(number, on_signal)
        except NotImplementedError:  # Windows: Ctrl-C cancels the run at once
            break
        heeded.append(number)
    try:
        yield stop
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
