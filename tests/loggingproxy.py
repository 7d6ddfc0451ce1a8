"""A proxy on loopback that passes nothing on, and remembers what reached it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "OPENAI_PROXY")
"""Every environment variable that names a proxy to one of the libraries."""
_HERE = rb"localhost\b|127\.|\[::1\]|0\.0\.0\.0"
_ELSEWHERE = re.compile(rb"(?:CONNECT |[A-Z]+ https?://)(?!%s)[\w.-]+\.[a-z]+[:/ ]" % _HERE)
"""The request line for a host that has a name elsewhere."""


class LoggingProxy(NamedTuple):
    """Where it listens, and the first bytes of each connection."""

    port: int
    seen: list[bytes]

    @property
    def for_loopback(self) -> list[bytes]:
        """What was addressed to this machine, or to a host that the request does not name."""
        return [head for head in self.seen if not _ELSEWHERE.match(head)]

    @property
    def url(self) -> str:
        """Its address as an HTTP proxy."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, scheme: str = "http") -> dict[str, str]:
        """Variables that send everything through it."""
        return {**dict.fromkeys(NAMES, f"{scheme}://127.0.0.1:{self.port}"), "NO_PROXY": "", "no_proxy": ""}


@contextmanager
def logging_proxy() -> Iterator[LoggingProxy]:
    """Run one."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = LoggingProxy(listener.getsockname()[1], [])

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed
                return
            with connection, suppress(OSError):
                proxy.seen.append(connection.recv(200))
                connection.sendall(
                    b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
