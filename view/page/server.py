"""A run's page over HTTP while the run grows: on this machine alone, for reading alone."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ddxgraph.common.errors import PortTaken, TraceFileError
from ddxgraph.common.words import count
from ddxgraph.view.data.tracebook import Entry, TraceBook
from ddxgraph.view.page.journey import journey_fragment
from ddxgraph.view.page.run import live_page

LOOPBACK: Final = "127.0.0.1"
_NAMES: Final = [LOOPBACK, "localhost"]
"""What the Host header may say: a page of elsewhere whose name was made to lead here gets nothing."""
_GUARDS: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_NOTHING_RUNS: Final = "default-src 'none'; sandbox"
"""Policy of what is fetched by the page: opened by itself, it runs nothing."""

_GRACE_S: Final = 2
"""Seconds that answers under way have to end."""


class _Follower:
    """A book that several requests look into; keeps the order in which its traces came."""

    def __init__(self, book: TraceBook) -> None:
        self._book, self._lock = book, threading.Lock()
        self._came: list[str] = [entry.id for entry in book.entries]
        self._trouble = ""

    def catch_up(self) -> int:
        """Read what was written since; how many traces have come, one again counted twice."""
        with self._lock:
            try:
                self._came += [entry.id for entry in self._book.refresh()]
                self._trouble = ""
            except TraceFileError as error:
                self._trouble = str(error)
            return len(self._came)

    def between(self, seen: int, now: int) -> list[Entry]:
        """What came after the first `seen` and among the first `now`."""
        with self._lock:
            known = (self._book.find(key) for key in dict.fromkeys(self._came[seen:now]))
            return [entry for entry in known if entry]

    def page(self, *, blind: bool) -> str:
        """The page as of now."""
        seen = self.catch_up()
        with self._lock:
            return live_page(self._book, seen, blind=blind)

    def markup(self, trace_id: str, *, blind: bool) -> str | None:
        """A journey; None where there is none of that id."""
        with self._lock:
            entry = self._book.find(trace_id)
            trace = self._book.trace(entry) if entry else None
        return str(journey_fragment(trace, entry.judged, blind=blind)) if entry and trace else None

    @property
    def said(self) -> str:
        """How it stands, in words."""
        return self._trouble or f"following {self._book.name}: {count(len(self._book), 'trace')}"


def view_app(book: TraceBook, *, blind: bool = False) -> Starlette:
    """The server's application. No path of it leads to a file: a trace is found by its id.

    Args:
        book: the traces; read on while requests come.
        blind: gold answers are hidden until they are asked for.
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
        found = {"ids": [one.id for one in fresh], "rows": [one.row for one in fresh], "seen": seen}
        return JSONResponse(
            {**found, "said": follower.said}, headers={"content-security-policy": _NOTHING_RUNS}
        )

    def journey(request: Request) -> Response:
        guarded = {"content-security-policy": _NOTHING_RUNS}
        try:
            markup = follower.markup(request.path_params["id"], blind=blind)
        except TraceFileError as error:
            return PlainTextResponse(str(error), status_code=500, headers=guarded)
        if markup is None:
            return PlainTextResponse("no trace of that id", status_code=404, headers=guarded)
        return HTMLResponse(markup, headers=guarded)

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/rows", rows, methods=["GET"]),
            Route("/journey/{id}", journey, methods=["GET"]),
        ],
        middleware=[
            Middleware(_Guarded),
            Middleware(TrustedHostMiddleware, allowed_hosts=_NAMES, www_redirect=False),
        ],
    )


class _Guarded:
    """Puts the guarding headers on every answer, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(key.encode(), value.encode()) for key, value in _GUARDS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self._app(scope, receive, guarded)


def listen(port: int) -> socket.socket:
    """A socket on loopback.

    Args:
        port: 0 takes a free one.

    Raises:
        PortTaken: somebody else listens there, or it may not be listened on.
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


def serve_view(book: TraceBook, opened: socket.socket, *, blind: bool, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        book: the traces.
        opened: from `listen`.
        blind: see `view_app`.
        ready: called when requests may be made.
    """
    config = uvicorn.Config(
        view_app(book, blind=blind),
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_S,
    )
    ready()  # the socket listens already: what is asked before the server has started waits there
    with suppress(KeyboardInterrupt):  # uvicorn ends its work, then raises it again
        asyncio.run(uvicorn.Server(config).serve(sockets=[opened]))
