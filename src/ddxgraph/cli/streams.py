"""The standard streams: no character, no closed stream and no full log breaks what a command does."""

import codecs
import io
import json
import os
import sys
from contextlib import suppress
from typing import Any


class Remarks(io.TextIOBase):
    """stderr for as long as it can be written: work goes on when the terminal or the log behind it is gone."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The characters that it can show."""
        return getattr(_stderr(), "encoding", None) or "utf-8"

    def write(self, text: str, /) -> int:
        """Write, or else nothing."""
        stream = _stderr()
        try:
            if stream is not None:  # None where the process was started without one
                stream.write(text)
        except (OSError, ValueError):
            discard(stream)
        return len(text)

    def flush(self) -> None:
        """Flush, or else nothing."""
        stream = _stderr()
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            discard(stream)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        stream = _stderr()
        return stream is not None and bool(stream.isatty())

    def fileno(self) -> int:
        """Its number."""
        stream = _stderr()
        if stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(stream.fileno())


def _stderr() -> Any:
    return getattr(sys.stderr, "rich_proxied_file", sys.stderr)  # rich puts a proxy there while it draws


def discard(stream: Any) -> None:
    """Send what is written to a stream from now on nowhere, and what it still holds with it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def steady_streams() -> None:
    """See to it that no character and no closed stream breaks what a command prints, or what it writes.

    What the terminal cannot show is written as JSON would (`\\u00e9`), so that JSON stays JSON. A standard stream
    that is closed would give its number to the next file that is opened, and a library's warnings would go there.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stdin, stdout, stderr
        pass
    os.close(number)
    codecs.register_error("json", _as_json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
