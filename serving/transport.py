"""HTTP clients, and where text goes: loopback is never reached through a proxy, each event loop has its own
connections, and every place beyond this machine is named."""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import ReferenceType, WeakKeyDictionary, ref

import httpx2
import openai

from ddxgraph.common.errors import OfflineError, ServerError
from ddxgraph.common.offline import OFFLINE_VARIABLE, is_offline
from ddxgraph.nodes.call.errorkind import in_one_line
from ddxgraph.serving.address import is_loopback, without_password

OPENAI_PROXY: Final = "OPENAI_PROXY"
"""Environment variable that names a proxy for OpenAI's API alone; it wins over the others."""
_SETTINGS: Final[Mapping[str, Any]] = {
    # The OpenAI client's own, but for the last: vLLM closes a connection that idles for 5 s, and a request that
    # is sent then is lost.
    "limits": httpx2.Limits(max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=4.0),
    # A redirect would carry the case, and perhaps the key, to a place that nobody named.
    "follow_redirects": False,
    "headers": {"Accept-Encoding": "identity"},  # a few kilobytes can unpack to any size
}
MOST_ANSWER_BYTES: Final = 64 << 20
"""Of an answer; 16,000 tokens with 20 log-probabilities each take half of it."""
_TRACING: Final = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")
"""Variables by which LangChain sends every call, prompts and replies included, to LangSmith."""
_TRACED_TO: Final = ("LANGSMITH_ENDPOINT", "LANGCHAIN_ENDPOINT")
_LANGSMITH: Final = "https://api.smith.langchain.com"


class BoundedClient(openai.DefaultHttpxClient):
    """A client that bounds an answer: in time, and in size, compressed or not. See `Bounds`."""

    def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        """Send a request, and read its answer within its bounds."""
        bounds = Bounds(request)
        response = super().send(request, stream=True, **how)
        try:
            bounds.put_on(response)
            if not stream:
                response.read()
        except BaseException:
            response.close()
            raise
        return response


class Bounds:
    """Bounds of an answer: the time that its request allows, and `MOST_ANSWER_BYTES`.

    A timeout alone would be on each read: a server that sends in drips could hold up a traversal for ever. The
    clock starts with this object.
    """

    def __init__(self, request: httpx2.Request) -> None:
        self.allowed_s = _allowed_s(request)
        self._request = request
        self._end = math.inf if self.allowed_s is None else time.monotonic() + self.allowed_s
        self._bytes = 0

    def put_on(self, response: httpx2.Response) -> None:
        """Bound what is still to be read of an answer.

        Raises:
            ServerError: it is compressed, so that its size cannot be known.
        """
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise ServerError(
                f"the answer is compressed ({encoding}), which was not asked for and could unpack to any size: "
                "switch compression off at the server or at what stands before it"
            )
        response.stream = _Bounded(response.stream, self)

    def take(self, chunk: bytes) -> bytes:
        """Count a chunk of the answer.

        Raises:
            ServerError: the answer is too large.
            httpx2.ReadTimeout: its time is over.
        """
        self._bytes += len(chunk)
        if self._bytes > MOST_ANSWER_BYTES:
            raise ServerError(
                f"the answer has more than {MOST_ANSWER_BYTES >> 20} MiB, which no reply needs; see its log"
            )
        if time.monotonic() > self._end:
            raise self.late()
        return chunk

    def late(self) -> httpx2.ReadTimeout:
        """The error for an answer whose time is over."""
        return httpx2.ReadTimeout("the answer took too long", request=self._request)


class _Bounded(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The chunks of an answer, within bounds."""

    def __init__(self, stream: Any, bounds: Bounds) -> None:
        self._stream, self._bounds = stream, bounds

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            yield self._bounds.take(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield self._bounds.take(chunk)

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()


def _allowed_s(request: httpx2.Request) -> float | None:
    """Seconds that an answer may take; None for no limit."""
    allowed = (request.extensions.get("timeout") or {}).get("read")
    return float(allowed) if allowed is not None else None


class LoopClient(openai.DefaultAsyncHttpxClient):
    """An asynchronous client that may be used on one event loop after another.

    A connection belongs to the loop that opened it. An ordinary client keeps its connections, and fails with
    `Event loop is closed` once a second `asyncio.run` meets one of the first. Here the first loop has this
    client's own connections, and each later loop a client of its own.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._settings = settings
        self._first: ReferenceType[asyncio.AbstractEventLoop] | None = None
        self._others: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.DefaultAsyncHttpxClient]
        self._others = WeakKeyDictionary()

    async def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:
        """Send a request over a connection of the running loop, and read its answer within its bounds."""
        bounds = Bounds(request)
        try:
            async with asyncio.timeout(bounds.allowed_s):
                response = await self._sent(request, stream=True, **how)
                try:
                    bounds.put_on(response)
                    if not stream:
                        await response.aread()
                except BaseException:
                    await response.aclose()
                    raise
        except TimeoutError as error:
            raise bounds.late() from error
        return response

    async def _sent(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        loop = asyncio.get_running_loop()
        self._first = self._first or ref(loop)
        if self._first() is loop:
            return await super().send(request, **how)
        if loop not in self._others:
            self._others[loop] = openai.DefaultAsyncHttpxClient(**self._settings)
        return await self._others[loop].send(request, **how)


def client(base_url: str) -> BoundedClient:
    """A client for a server.

    Args:
        base_url: the server's address.

    Returns:
        The client. It goes through the proxy that the environment names, but never to loopback.

    Raises:
        ServerError: the environment's proxy cannot be used.
    """
    with _usable_proxy(base_url):
        return BoundedClient(**reach(base_url, os.environ), **_SETTINGS)


def chat_clients(base_url: str) -> dict[str, Any]:
    """The clients of a chat model, as its settings: `http_client`, `http_async_client` and `openai_proxy`.

    Raises:
        ServerError: see `client`.
    """
    with _usable_proxy(base_url):
        asynchronous = LoopClient(**reach(base_url, os.environ), **_SETTINGS)
    # These know the proxy: the chat model must not bring its own, nor a transport that knows none.
    return {
        "http_client": client(base_url),
        "http_async_client": asynchronous,
        "openai_proxy": "",
        "http_socket_options": (),
    }


@contextmanager
def _usable_proxy(base_url: str) -> Iterator[None]:
    try:
        yield
    except (ImportError, ValueError) as error:
        raise ServerError(
            f"cannot use the proxy {proxy_for(base_url)} that the environment names ({in_one_line(str(error))}); "
            f"correct it, or add {urlsplit(base_url).hostname} to NO_PROXY"
        ) from error


def reach(base_url: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """How a client reaches a server. Pure.

    Args:
        base_url: the server's address.
        environment: the environment variables.

    Returns:
        Settings of an HTTP client; none where it finds the environment's proxy itself.
    """
    if is_here(base_url):
        return {"trust_env": False}
    proxy = environment.get(OPENAI_PROXY)
    return {"proxy": proxy} if proxy else {}


def proxy_for(base_url: str) -> str:
    """The proxy through which a server is reached, without its password; empty if there is none."""
    parts = urlsplit(base_url)
    if is_here(base_url):
        return ""
    named = os.environ.get(OPENAI_PROXY)
    if not named and not proxy_bypass(parts.hostname or ""):
        proxies = getproxies()
        named = proxies.get(parts.scheme) or proxies.get("all")
    return without_password(named or "")


def is_here(url: str) -> bool:
    """Whether an address is on this machine. `0.0.0.0` is none to connect to, but systems take it for one."""
    host = urlsplit(url).hostname or ""
    return host in {"0.0.0.0", "::"} or is_loopback(host)  # noqa: S104 - compared, not bound


def destinations(base_url: str | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Where text goes beyond this machine.

    Args:
        base_url: the server's address; None for the embedded engine.
        environment: the environment variables.

    Returns:
        Each place in words; empty if all of it stays here.
    """
    places = []
    if base_url and not is_here(base_url):
        proxy = proxy_for(base_url)
        places.append(f"{urlsplit(base_url).hostname}{f' through the proxy {proxy}' if proxy else ''}")
    tracing = next((name for name in _TRACING if environment.get(name, "").lower() == "true"), None)
    traced_to = next((environment[name] for name in _TRACED_TO if environment.get(name)), _LANGSMITH)
    if tracing and not is_here(traced_to):
        places.append(f"LangSmith at {urlsplit(traced_to).hostname} (since {tracing} is set)")
    return tuple(places)


def told(base_url: str | None) -> str:
    """Where text goes, as a remark."""
    places = destinations(base_url, os.environ)
    return f"text goes to {' and to '.join(places)}" if places else "text stays on this machine"


def check_offline(base_url: str | None) -> None:
    """Refuse a server or a tracing service elsewhere, where the environment allows this machine alone.

    Raises:
        OfflineError: text would leave the machine.
    """
    places = destinations(base_url, os.environ) if is_offline() else ()
    if places:
        raise OfflineError(
            f"text would go to {' and to '.join(places)}, and {OFFLINE_VARIABLE} allows this machine alone: "
            "unset what leads there, or unset it"
        )
