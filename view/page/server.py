"""Serves the page of a growing run over HTTP: read-only, on this machine only, to whoever has its token."""

import asyncio
import hashlib
import hmac
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from ddxgraph.common.errors import PortTaken, TraceFileError
from ddxgraph.common.words import count
from ddxgraph.view.data.tracebook import Entry, TraceBook, read_trace
from ddxgraph.view.page.journey import journey_fragment
from ddxgraph.view.page.run import live_page

LOOPBACK: Final = "127.0.0.1"
_NAMES: Final = [LOOPBACK, "localhost"]
"""Accepted Host headers. They keep out a foreign page whose host name resolves to this machine."""
_GUARDS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_NOTHING_RUNS: Final = "default-src 'none'; sandbox"
"""Policy of what the page fetches: opened directly, it runs nothing."""

_GRACE_S: Final = 2
_SILENCE_S = 10.0
"""A connection is dropped when no complete request arrives within this time, or at most twice this time."""
"""Seconds that pending responses have to finish."""


class _Follower:
    """A book shared by concurrent requests; remembers the order in which traces arrived."""

    def __init__(self, book: TraceBook) -> None:
        self._book, self._lock = book, threading.Lock()
        self._arrived: list[str] = [entry.id for entry in book.entries]
        self._trouble = ""

    def catch_up(self) -> int:
        """Read what was written since; returns how many traces have arrived, counting each newer line again."""
        with self._lock:
            try:
                self._arrived += [entry.id for entry in self._book.refresh()]
                self._trouble = ""
            except TraceFileError as error:
                self._trouble = str(error)
            return len(self._arrived)

    def between(self, seen: int, now: int) -> list[Entry]:
        """Traces that arrived after the first `seen`, among the first `now`."""
        with self._lock:
            known = (self._book.find(key) for key in dict.fromkeys(self._arrived[seen:now]))
            return [entry for entry in known if entry]

    def page(self, *, blind: bool) -> str:
        """The current page."""
        seen = self.catch_up()
        with self._lock:
            return live_page(self._book, seen, blind=blind)

    def markup(self, trace_id: str, *, blind: bool) -> str | None:
        """A journey by its trace id, or None."""
        with self._lock:
            entry = self._book.find(trace_id)
            trace = read_trace(entry) if entry else None
        return str(journey_fragment(trace, entry.judged, blind=blind)) if entry and trace else None

    @property
    def status(self) -> str:
        """One line for the page: the last error, or how many traces there are."""
        return self._trouble or f"following {self._book.name}: {count(len(self._book), 'trace')}"


class _Door:
    """Lets in who has the token: the machine may have other users, who may not read the run's folder.

    The address that the command prints holds the token. Opening it leaves a cookie, so that neither the page nor
    its requests nor the address bar hold it.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        # Cookies do not tell ports apart, so that each server needs a name of its own.
        self._cookie = f"ddxgraph-{hashlib.sha256(self._token).hexdigest()[:12]}"

    async def __call__(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Pass a request on, or refuse it."""
        if self._opens(request.query_params.get("token", "")):
            if request.url.path != "/":
                return await call_next(request)
            entered = RedirectResponse("/", status_code=303)
            entered.set_cookie(self._cookie, self._token.decode(), httponly=True, samesite="lax")
            return entered
        if self._opens(request.cookies.get(self._cookie, "")):
            return await call_next(request)
        return PlainTextResponse(
            "Open the whole address that `ddxgraph view --serve` printed: it holds a token.", status_code=403
        )

    def _opens(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self._token)


def view_app(book: TraceBook, *, token: str, blind: bool = False) -> Starlette:
    """The server's application. No path leads to a file: traces are looked up by id.

    Args:
        book: the traces; each request reads what was added.
        token: a secret that requests must hold, in ASCII.
        blind: whether gold answers are hidden until the reader asks for them.

    Returns:
        The application.
    """
    follower = _Follower(book)

    def page(_request: Request) -> Response:
        return HTMLResponse(follower.page(blind=blind))

    def rows(request: Request) -> Response:
        asked = request.query_params.get("after", "0")
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10):  # noqa: PLR2004
            return PlainTextResponse("after: give a whole number", status_code=400)
        seen = follower.catch_up()
        fresh = follower.between(int(asked), seen)
        new = {"ids": [entry.id for entry in fresh], "rows": [entry.row for entry in fresh], "seen": seen}
        return JSONResponse(
            {**new, "status": follower.status}, headers={"content-security-policy": _NOTHING_RUNS}
        )

    def journey(request: Request) -> Response:
        guarded = {"content-security-policy": _NOTHING_RUNS}
        try:
            markup = follower.markup(request.path_params["id"], blind=blind)
        except TraceFileError as error:
            return PlainTextResponse(str(error), status_code=500, headers=guarded)
        if markup is None:
            return PlainTextResponse("no trace with that id", status_code=404, headers=guarded)
        return HTMLResponse(markup, headers=guarded)

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/rows", rows, methods=["GET"]),
            Route("/journey/{id}", journey, methods=["GET"]),
        ],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=_guarded),
            Middleware(TrustedHostMiddleware, allowed_hosts=_NAMES, www_redirect=False),
            Middleware(BaseHTTPMiddleware, dispatch=_Door(token)),
        ],
    )


async def _guarded(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add the protective headers to a response, refusals included."""
    response = await call_next(request)
    response.headers.update(_GUARDS)
    return response


def listen(port: int) -> socket.socket:
    """Listen on the loopback interface.

    Args:
        port: the port; 0 takes a free one.

    Raises:
        PortTaken: the port is in use or not permitted.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port))
        opened.listen()
    except OSError as error:
        opened.close()
        raise PortTaken(
            error.errno, f"cannot listen on port {port} ({error.strerror}): name another, or 0 for a free one"
        ) from None
    return opened


class _Impatient(H11Protocol):
    """uvicorn's protocol, which by itself waits forever for the rest of a request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self.loop.call_later(_SILENCE_S, self._look, None)

    def _look(self, before: object) -> None:
        """Drop the connection if it waits for a request, and for the same one as at the last look."""
        if self.transport.is_closing():
            return
        waits = self.cycle is None or self.cycle.response_complete
        now = (self.cycle, waits)
        if waits and (before == now or self.cycle is None):
            self.transport.close()
        else:
            self.loop.call_later(_SILENCE_S, self._look, now)


def serve_view(
    book: TraceBook, opened: socket.socket, *, token: str, blind: bool, ready: Callable[[], None]
) -> None:
    """Serve until Ctrl-C.

    Args:
        book: the traces.
        opened: the socket, from `listen`.
        token: see `view_app`.
        blind: see `view_app`.
        ready: called when requests are accepted.
    """
    config = uvicorn.Config(
        view_app(book, token=token, blind=blind),
        log_level="error",
        access_log=False,
        lifespan="off",
        http=_Impatient,
        timeout_graceful_shutdown=_GRACE_S,
    )
    with suppress(KeyboardInterrupt):  # uvicorn shuts down, then raises it again
        ready()  # the socket already listens: requests wait there until the server has started
        asyncio.run(uvicorn.Server(config).serve(sockets=[opened]))
