"""Runs an engine's module so that it ends with its starter, in the engine's environment: standard library only.

    python launch.py MODULE [ARGUMENT ...]

The starter holds the other end of standard input. When that end closes, however the starter ended, the engine
gets SIGTERM, and some seconds later its whole process group is killed.
"""

import contextlib
import os
import runpy
import signal
import sys
import threading
from typing import Final

GRACE_S: Final = 20.0


def _end_with_the_starter() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    os.kill(os.getpid(), signal.SIGTERM)
    # A timer's thread, not a signal handler: the engine may be stuck in one of its own.
    last = threading.Timer(GRACE_S, os.killpg, (0, signal.SIGKILL))
    last.daemon = True
    last.start()


def main() -> None:
    """Run the module as `python -m` would."""
    module, arguments = sys.argv[1], sys.argv[2:]
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
