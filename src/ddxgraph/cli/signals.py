"""Signals that ask long work to stop."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, Final

_Handler = Callable[[int, FrameType | None], None]

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")
"""Ctrl-C, a batch system's stop, the end of a login session; Windows lacks the last."""
FROM_OUTSIDE: Final = _SIGNALS[1:]
"""All but the user's own Ctrl-C."""


@contextmanager
def stopped_by_signals(note: Callable[[str], None] | None) -> Iterator[asyncio.Event]:
    """An event that the first Ctrl-C (or other signal to stop) sets; a second one cancels what is in flight.

    After the first, no signal interrupts the process until it ends: what has ended is saved and reported. Use it
    for a command's last work.
    """
    from ddxgraph.batch.runner import GRACE_S

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
    """A function that tells whether Ctrl-C (or another signal to stop) has come; a second one interrupts.

    For work without an event loop.
    """
    asked = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        note("stopping after this step, with a checkpoint; Ctrl-C again stops at once, without")

    with signals_handled(_SIGNALS, on_signal):
        yield asked.is_set


def stopped_as_ctrl_c() -> AbstractContextManager[None]:
    """Handle signals from outside as Ctrl-C."""
    return signals_handled(FROM_OUTSIDE, _as_ctrl_c)


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    # Through the handler of SIGINT if there is one, so that a run saves what has ended.
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)
    else:
        raise KeyboardInterrupt


@contextmanager
def signals_handled(names: Iterable[str], handler: _Handler) -> Iterator[None]:
    """Handle these signals, except those that are ignored (as under nohup) or unknown here."""
    before = _handle(names, handler)
    try:
        yield
    finally:
        _restore(before)


def _handle(names: Iterable[str], handler: _Handler) -> dict[int, Any]:
    """Install the handler and return the earlier ones by signal number."""
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handler)
    return before


def _restore(before: Mapping[int, Any]) -> None:
    for number, earlier in before.items():
        signal.signal(number, earlier)
