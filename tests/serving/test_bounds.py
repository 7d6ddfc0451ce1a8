"""A hostile server: whatever it sends, a call ends, within its time and with little memory."""

import asyncio
import gzip
import json
import socketserver
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import pytest
import trustme
from faultserver import Odd, fault_server, said
from journeys import AT_ONCE, CASE

from ddxgraph import build_graph, connect, solve
from ddxgraph.batch.tracefile import line_of
from ddxgraph.common.errors import ServerError
from ddxgraph.nodes.call.errorkind import engine_failure
from ddxgraph.serving import transport
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.served import ServedChatModel

SHORT_S = 0.3
"""The timeout of a call."""
SMALL = 256 << 10
"""The most bytes of an answer, for these tests."""
MOST_MEMORY = 16 << 20
"""For a call that is refused; an answer that is sent on and on has no end."""
ENDLESS = 1 << 30

Send = Callable[[bytes], None]


class Attack(NamedTuple):
    name: str
    send: Callable[[Send, threading.Event], None]


def head(*lines: str, kind: str = "application/json") -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {kind}", *lines, "", ""]).encode()


def chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def endless(framing: str, size: int, kind: str, filler: bytes) -> Attack:
    """An answer without an end, as fast as it is taken."""

    def send(out: Send, over: threading.Event) -> None:
        length = {"chunked": "Transfer-Encoding: chunked", "declared": f"Content-Length: {ENDLESS}"}
        out(head(*filter(None, [length.get(framing)]), kind=kind))
        piece = (filler * size)[:size]
        while not over.is_set():
            out(chunk(piece) if framing == "chunked" else piece)

    return Attack(f"endless {framing} {size} {kind} {filler[:6]!r}", send)


@cache
def bomb(packer: Callable[[bytes], bytes]) -> bytes:
    return packer(b" " * (32 << 20))


def packed(encoding: str, packer: Callable[[bytes], bytes], kind: str) -> Attack:
    """Some kilobytes that unpack to many megabytes, or that name a packing that is none."""
    body = bomb(packer)

    def send(out: Send, over: threading.Event) -> None:
        out(head(f"Content-Encoding: {encoding}", f"Content-Length: {len(body)}", kind=kind) + body)

    return Attack(f"packed {encoding} {kind}", send)


def dripping(start: bytes, drip: bytes, name: str) -> Attack:
    """An answer in which something comes now and then, so that no single read is late."""

    def send(out: Send, over: threading.Event) -> None:
        out(start)
        while not over.wait(SHORT_S / 10):
            out(drip)

    return Attack(f"dripping {name}", send)


def whole(name: str, body: str | bytes, *lines: str, kind: str = "application/json") -> Attack:
    data = body.encode() if isinstance(body, str) else body

    def send(out: Send, over: threading.Event) -> None:
        out(head(f"Content-Length: {len(data)}", *lines, kind=kind) + data)

    return Attack(f"whole {name}", send)


def bare(name: str, data: bytes) -> Attack:
    return Attack(f"bare {name}", lambda out, over: out(data))


def reply(content: str) -> str:
    body = json.dumps({**said("@"), "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    return body.replace('"@"', content)


def squeezed(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=1)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


JSON, SSE = "application/json", "text/event-stream"
ATTACKS = [
    *(
        endless(framing, size, kind, filler)
        for framing, size, kind, filler in product(
            ("chunked", "declared", "to the close"),
            (1_000, 65_536),
            (JSON, SSE),
            (b" ", b'{"a":', b": ping\n\n"),
        )
    ),
    *(
        packed(encoding, packer, kind)
        for (encoding, packer), kind in product(
            (
                ("gzip", squeezed),
                ("x-gzip", squeezed),
                ("GZIP", squeezed),
                ("deflate", zlib.compress),
                ("deflate", raw_deflate),
                ("br", lambda _: b"\xcf\xff\xff\xff\x81\x00" * 100),
                ("zstd", lambda _: b"\x28\xb5\x2f\xfd" * 100),
                ("gzip, gzip", lambda _: gzip.compress(bomb(squeezed))),
                ("identity, gzip", squeezed),
                ("nonsense", lambda _: b"{}"),
            ),
            (JSON, SSE),
        )
    ),
    dripping(head("Transfer-Encoding: chunked"), chunk(b" "), "blanks"),
    dripping(head("Content-Length: 999999"), b"\n", "a declared length"),
    dripping(head(), b"{", "to the close"),
    dripping(head("Transfer-Encoding: chunked", kind=SSE), chunk(b": ping\n\n"), "comments of a stream"),
    dripping(
        head("Transfer-Encoding: chunked", kind=SSE),
        chunk(b'data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'),
        "empty pieces of a stream",
    ),
    whole("a reply longer than its tokens", reply(json.dumps("a" * (SMALL // 2)))),
    whole("deep lists", reply("[" * 20_000 + "]" * 20_000)),
    whole("deep objects", '{"a":' * 20_000 + "1" + "}" * 20_000),
    whole("a number of many digits", reply("9" * 5_000)),
    whole("a number with a large exponent", reply("1e999999")),
    whole("no number", reply("NaN")),
    whole("half a character", reply('"\\ud83d"')),
    whole("many choices", json.dumps({**said("x"), "choices": said("x")["choices"] * 1_000})),
    whole("a list", "[]"),
    whole("bytes", bytes(range(256)) * 100),
    whole("nothing", ""),
    whole("a long finish reason", json.dumps({**said("x", finish="f" * 100_000), "usage": None})),
    whole("many headers", reply('"x"'), *(f"X-{number}: {number}" for number in range(2_000))),
    whole("a long header", reply('"x"'), "X-Long: " + "x" * 200_000),
    bare("no HTTP", b"SSH-2.0-OpenSSH_9.6\r\n"),
    bare("an endless status line", b"HTTP/1.1 200 " + b"O" * 2_000_000),
    bare("a negative length", head("Content-Length: -5") + b"{}"),
    bare("two lengths", head("Content-Length: 5", "Content-Length: 50") + b"{}"),
    bare("a chunk of no number", head("Transfer-Encoding: chunked") + b"zz\r\n{}\r\n"),
    bare("a huge chunk", head("Transfer-Encoding: chunked") + b"ffffffffffffffff\r\n{}"),
]
HANDSHAKE = b"\x16"
"""How a client begins that speaks TLS."""
WAYS = ("invoke", "ainvoke", "stream", "astream")


@contextmanager
def hostile(attack: Attack, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server on loopback that answers every request so."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                asked = b""
                while b"\r\n\r\n" not in asked and not asked.startswith(HANDSHAKE):
                    asked += self.request.recv(65_536) or b"\r\n\r\n"
                attack.send(self.request.sendall, over)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True
        block_on_close = False

        def get_request(self) -> Any:
            connection, address = super().get_request()
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            return connection, address

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            over.set()
            server.shutdown()


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(transport, "MOST_ANSWER_BYTES", SMALL)


def chat(base_url: str, timeout_s: float) -> ServedChatModel:
    """A chat model as `connect` makes it, without its question for the model list."""
    clients = transport.chat_clients(base_url)
    return ServedChatModel(
        model="fake", base_url=base_url, api_key="x", timeout=timeout_s, max_retries=0, **clients
    )


def take(model: Any, way: str) -> str:
    """The text of a reply, or the failure that the graph makes of the error."""

    async def taken() -> list[Any]:
        return (
            [await model.ainvoke("Hi")] if way == "ainvoke" else [part async for part in model.astream("Hi")]
        )

    try:
        if way in {"ainvoke", "astream"}:
            parts = asyncio.run(taken())
        else:
            parts = [model.invoke("Hi")] if way == "invoke" else list(model.stream("Hi"))
    except Exception as error:
        return engine_failure(error, "reflect").message
    return "".join(str(part.text) for part in parts)


def test_the_family_is_large():
    assert len(ATTACKS) * len(WAYS) >= 200
    assert len({attack.name for attack in ATTACKS}) >= len(ATTACKS) - 2  # two of "deflate"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_call_ends_in_time_and_takes_little_memory(attack):
    with hostile(attack) as base_url:
        model = chat(base_url, SHORT_S)
        for way in WAYS:
            tracemalloc.start()
            start = time.monotonic()
            told = take(model, way)
            took, peak = time.monotonic() - start, tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert took < 10 * SHORT_S, way
            assert peak < MOST_MEMORY, way
            assert len(told) <= SMALL, way


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (ATTACKS[0], "has more than 0 MiB, which no reply needs"),
        (packed("gzip", squeezed, JSON), "is compressed (gzip), which was not asked for"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_refused_answer_says_why(attack, why, way):
    with hostile(attack) as base_url:
        assert why in take(chat(base_url, 30), way)
        with pytest.raises(ServerError) as refused:
            ServerApi(base_url, None, "").get("/models")
        assert why in str(refused.value)


def test_a_reply_longer_than_its_tokens_is_cut_with_a_mark_and_the_trace_stays_small():
    with fault_server() as server:
        server.odd = Odd(said('{"a": "' + "b" * 150_000))
        trace = solve(build_graph(connect(server.base_url, "fake"), patience=AT_ONCE), CASE)
    first = trace.steps[0]
    assert first.attempts[0].text.endswith("tokens can hold]")
    assert "[cut here: " in first.text
    assert len(line_of(trace)) < len(trace.steps) * 4 * 100_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> ssl.SSLContext:
    """A server's, which nobody has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_that_is_not_trusted_is_said_to_be_none(certificate):
    with hostile(whole("a reply", reply('"x"')), certificate) as base_url:
        for way in WAYS:
            told = take(chat(base_url, 30), way)
            assert "its certificate cannot be trusted (" in told
            assert "SSL_CERT_FILE" in told
        with pytest.raises(ServerError, match="its certificate cannot be trusted"):
            ServerApi(base_url, None, "").get("/models")


def test_a_server_that_speaks_no_tls_is_said_to_speak_none():
    with hostile(bare("no TLS", b"HTTP/1.1 400 Bad Request\r\n\r\n")) as base_url:
        told = take(chat(base_url.replace("http:", "https:"), 30), "invoke")
    assert "does not speak TLS as this machine does" in told
