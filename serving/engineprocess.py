"""The embedded engine as a process of its own.

    python -m ddxgraph.serving.engineprocess --model FILE.gguf --name NAME --port 8080 --slots 8 --context 8192

It serves until SIGTERM, SIGINT or the end of its standard input. The process that starts it holds the other
end of the input, so the engine never outlives a starter that was killed. The API key comes from
DDXGRAPH_ENGINE_KEY alone, since arguments can be read in the list of processes. llama.cpp's log goes to
standard error.

Exit code: 0 stopped; 1 it cannot serve; 2 the arguments do not go together. A signal during the loading of
the model ends the process at once.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from ddxgraph.common.errors import NotDone
from ddxgraph.common.extras import install
from ddxgraph.serving.address import is_free, is_loopback
from ddxgraph.serving.engine import (
    ENGINE_KEY_VARIABLE,
    LOOPBACK,
    NEWS,
    PROCESS_MODULE,
    EmbeddedEngine,
    Listening,
)
from ddxgraph.serving.weights import SMOLLM2

_MAGIC: Final = b"GGUF"
_LARGEST_PORT: Final = 65_535


class EngineError(NotDone):
    """The engine cannot serve."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the end; never returns.

    Args:
        arguments: replace the process's own.
    """
    parser = _parser()
    args = parser.parse_args(arguments)
    key = os.environ.get(ENGINE_KEY_VARIABLE) or None
    if not is_loopback(args.host) and not key:
        parser.error(
            f"{args.host} can be reached from other machines, and without a key anyone there could use the "
            f"model: set {ENGINE_KEY_VARIABLE}, or stay on {LOOPBACK}"
        )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)  # Python's own would wait until the model is loaded
    try:
        engine = start(args.model, args.name, args.slots, args.context, Listening(args.host, args.port, key))
    except EngineError as error:
        sys.exit(f"\n{error}")  # llama.cpp may be in the middle of a line of its log
    _await_end(f"{args.name} is served at {engine.base_url}")
    # The interpreter's own end would wait for the requests in flight.
    os._exit(0)


def start(weights: Path, name: str, slots: int, context_tokens: int, listening: Listening) -> EmbeddedEngine:
    """Start the engine.

    Args:
        weights: a GGUF file.
        name: the model's name.
        slots: conversations kept at a time.
        context_tokens: context window of each slot.
        listening: where it listens.

    Returns:
        The engine, serving.

    Raises:
        EngineError: it cannot serve.
    """
    if not weights.is_file():
        raise EngineError(f"no file {str(weights)!r}")
    if not _is_gguf(weights):
        raise EngineError(
            f"{str(weights)!r} is no GGUF file: name a whole model in one file, as llama.cpp reads it"
        )
    try:
        return EmbeddedEngine(weights, slots, context_tokens, name=name, listening=listening, verbosity=NEWS)
    except ImportError as error:
        raise EngineError(
            f"the embedded engine is not installed ({error}); run `{install('embedded')}`"
        ) from error
    except RuntimeError as error:
        raise EngineError(_why(weights, listening)) from error


def _why(weights: Path, listening: Listening) -> str:
    """Why the engine did not start; llama.cpp itself tells in its log alone."""
    host, port = listening.host, listening.port
    if not is_free(host, port):
        return f"cannot listen on port {port} of {host}: it is in use, or this machine has no such address"
    return f"llama.cpp cannot load {str(weights)!r}; its log says why"


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def _await_end(message: str) -> None:
    """Report that the engine serves, and wait for a signal or the end of standard input."""
    ended: SimpleQueue[None] = SimpleQueue()  # a signal's handler may fill it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.put(None))
    threading.Thread(target=_read_to_the_end, args=(ended,), daemon=True).start()
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    ended.get()


def _read_to_the_end(ended: "SimpleQueue[None]") -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4_096):
            pass
    ended.put(None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PROCESS_MODULE}",
        description="Serve a GGUF file by llama.cpp until SIGTERM, SIGINT or the end of standard input.",
    )
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="a GGUF file")
    parser.add_argument("--name", required=True, help="what requests call the model")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on")
    parser.add_argument("--port", type=_port, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--slots", type=_positive, default=1, help="conversations kept at a time")
    parser.add_argument(
        "--context",
        type=_positive,
        default=SMOLLM2.context_tokens,
        help="context window of each slot, in tokens",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return number


if __name__ == "__main__":
    main()
