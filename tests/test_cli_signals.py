"""Signals that ask long work to stop, in a process of its own."""

import subprocess
import sys

import pytest

WORK = """
import asyncio, signal
from ddxgraph.cli.signals import stopped_by_signals

async def work(asked):
    with stopped_by_signals(None) as stop:
        for _ in range(asked):
            signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(stop.wait() if asked == 1 else asyncio.Event().wait(), 30 if asked else 0.01)
        except (asyncio.CancelledError, TimeoutError) as ended:
            return type(ended).__name__
        return "stopped"

signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup or a shell's & it is ignored
ended = asyncio.run(work({asked}))
try:
    signal.raise_signal(signal.SIGINT)  # a late one, while it is told how the work ended
    print(ended)
except KeyboardInterrupt:
    print(ended, "broken off")
"""


@pytest.mark.parametrize(
    ("asked", "told"),
    [(0, "TimeoutError broken off"), (1, "stopped"), (2, "CancelledError"), (3, "CancelledError")],
)
def test_once_asked_to_stop_a_late_signal_does_not_break_off_what_is_left(asked, told):
    done = subprocess.run(
        [sys.executable, "-c", WORK.replace("{asked}", str(asked))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == (told, "", 0)
