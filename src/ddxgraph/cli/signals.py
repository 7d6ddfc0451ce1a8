"""Signals that ask long work to stop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from ddxgraph.batch.runner import GRACE_S

_Handler = Callable[[int, FrameType | None], None]

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, the stop of a batch system, the end of a login session; Windows lacks the last."""
FROM_OUTSIDE: Final = _SIGNALS[1:]
"""Those that are not the user's own Ctrl-C."""


@contextmanager
def stopped_by_signals(note: Callable[[str], None] | None) -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, or what else asks to stop; a second one drops what is in flight.

    Once asked, nothing more is broken off until the process ends: neither the saving of what has ended, nor the
    telling of it. For a command's last work.
    """
    stop, dropped = asyncio.Event(), asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def heed() -> None:
        if stop.is_set():
            if main and not dropped.is_set():
                dropped.set()
                main.cancel()
            return
        stop.set()
        if note:
            note(f"stopping: what is in flight has {GRACE_S:.0f} s to end; Ctrl-C again drops it")

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(heed)

    # Not the loop's own handlers: after them SIGINT is Python's again, and a late one would break off the rest.
    before = _handle(_SIGNALS, on_signal)
    try:
        yield stop
    finally:
        if not stop.is_set():
            _restore(before)


@contextmanager
def asked_to_stop(note: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C, or what else asks to stop, has come; a second breaks off. For work without a loop."""
    asked = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        note("stopping after this step, with a checkpoint; Ctrl-C again stops at once, without")

    with signals_handled(_SIGNALS, on_signal):
        yield asked.is_set


@contextmanager
def signals_handled(names: Iterable[str], handler: _Handler) -> Iterator[None]:
    """Have a handler called on these signals; what is ignored, as under nohup, or unknown stays so."""
    before = _handle(names, handler)
    try:
        yield
    finally:
        _restore(before)


def _handle(names: Iterable[str], handler: _Handler) -> dict[int, Any]:
    """What handled the signals before."""
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    return before


def _restore(before: Mapping[int, Any]) -> None:
    for number, earlier in before.items():
        signal.signal(number, earlier)
