"""A file server on loopback that can also go wrong, as servers do."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Files(NamedTuple):
    """A running server; its special places are `/404`, `/cut/NAME`, `/held/NAME` and `/moved/NAME`."""

    url: str
    asked: list[str]
    """Paths, in their order."""
    held: threading.Event
    """Set once half of a held file is sent."""
    released: threading.Event
    """Set it to let a held file's connection end."""


@contextmanager
def file_server(files: Mapping[str, bytes]) -> Iterator[Files]:
    """Serve these files by name: whole, cut off in the middle, held up in the middle, or from another place."""
    asked, held, released = list[str](), threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            how, _, name = self.path.strip("/").rpartition("/")
            if how == "moved":
                self.send_response(302)
                self.send_header("Location", f"/{name}")
                self.end_headers()
            elif name in files:
                self._send(files[name], how)
            else:
                self.send_error(404)

        def _send(self, content: bytes, how: str) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if not how else content[: len(content) // 2])
            if how == "held":
                self.wfile.flush()
                held.set()
                released.wait(60)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Files(f"http://127.0.0.1:{server.server_port}", asked, held, released)
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()
