"""How long a call is borne with: which trouble is sat out, which is tried a few times, and which is not."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import httpx
import pytest
from journeys import AT_ONCE, CASE, STRAIGHT
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)
from pydantic import ValidationError
from scripted_server import HttpError, scripted_server

from ddxgraph import Trace, asolve, build_graph, connect, solve
from ddxgraph.nodes.call.patience import LOG, Patience
from ddxgraph.nodes.failure import FailureKind
from ddxgraph.testing import Request, smallest

QUICK = Patience(away_s=30, attempts=3, first_wait_s=0.001, longest_wait_s=0.002)
"""Waits are short; an engine that is away is waited for longer than any test takes."""


def server_error(status: int) -> ModelAPIError:
    error = ModelAPIError(f"status {status}")
    error.status_code = status
    return error


AWAY = [
    ModelConnectionError("refused"),
    ConnectionRefusedError(111, "refused"),
    ModelRateLimitError("429"),
    server_error(502),
    server_error(503),
    server_error(504),
]
AILING = [ModelTimeoutError("30 s"), TimeoutError(), server_error(500), server_error(501), ModelAPIError("?")]
FINAL = [
    ModelAuthenticationError("401"),
    ModelPermissionDeniedError("403"),
    ModelNotFoundError("404"),
    ModelInvalidRequestError("400"),
    ContextOverflowError("too long"),
    RuntimeError("boom"),
    KeyError("choices"),
]


def named(error: Any) -> str | None:
    return f"{type(error).__name__}-{error}" if isinstance(error, Exception) else None


class Engine:
    """Raises what it was given, one error after another and the last for ever; replies where that is no error."""

    def __init__(self, *course: Exception | str) -> None:
        self._course = list(course)
        self.asked_at: list[float] = []

    @property
    def asked(self) -> int:
        return len(self.asked_at)

    def ask(self) -> str:
        self.asked_at.append(time.monotonic())
        said = self._course[min(self.asked, len(self._course)) - 1]
        if isinstance(said, Exception):
            raise said
        return said


Through = Callable[[Patience, Engine], str]


@pytest.fixture(params=["awaited", "blocking"])
def through(request: pytest.FixtureRequest) -> Through:
    """Ask an engine with patience, in either manner."""
    if request.param == "blocking":
        return lambda patience, engine: patience.through_blocking(engine.ask)

    async def ask(engine: Engine) -> str:
        return engine.ask()

    return lambda patience, engine: asyncio.run(patience.through(lambda: ask(engine)))


@contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """What is logged meanwhile."""
    records: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    handler = Keeping()
    LOG.addHandler(handler)
    try:
        yield records
    finally:
        LOG.removeHandler(handler)


def test_a_call_that_succeeds_is_made_once_and_nothing_is_said(through):
    engine = Engine("yes")
    with logged() as records:
        assert through(QUICK, engine) == "yes"
    assert (engine.asked, records) == (1, [])


@pytest.mark.parametrize("error", AWAY, ids=named)
def test_an_engine_that_is_away_is_waited_for_beyond_all_attempts(error, through):
    engine = Engine(*[error] * 20, "back")
    assert through(QUICK, engine) == "back"
    assert engine.asked == 21


@pytest.mark.parametrize("error", AWAY, ids=named)
def test_an_engine_that_stays_away_is_given_up_with_its_own_error_once_the_time_is_over(error, through):
    engine = Engine(error)
    patience = Patience(away_s=0.06, attempts=1, first_wait_s=0.01, longest_wait_s=0.015)
    start = time.monotonic()
    with pytest.raises(type(error)) as raised:
        through(patience, engine)
    assert raised.value is error
    assert 0.06 <= time.monotonic() - start < 1
    assert engine.asked > 3


def test_no_wait_reaches_beyond_the_time_that_is_left(through):
    engine = Engine(ModelConnectionError("refused"))
    start = time.monotonic()
    with pytest.raises(ModelConnectionError):
        through(Patience(away_s=0.05, first_wait_s=1_000, longest_wait_s=1_000), engine)
    assert time.monotonic() - start < 2


def test_the_time_counts_from_the_first_refusal_and_not_from_the_call(through):
    class LongAtFirst(Engine):
        def ask(self) -> str:
            if not self.asked:
                time.sleep(0.2)
            return super().ask()

    engine = LongAtFirst(server_error(503), server_error(503), "back")
    assert through(QUICK.model_copy(update={"away_s": 0.15}), engine) == "back"


@pytest.mark.parametrize("error", AILING, ids=named)
@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_a_call_that_fails_on_an_engine_that_is_there_is_made_a_few_times(attempts, error, through):
    engine = Engine(error)
    with pytest.raises(type(error)) as raised:
        through(QUICK.model_copy(update={"attempts": attempts}), engine)
    assert raised.value is error
    assert engine.asked == attempts


@pytest.mark.parametrize("error", AILING, ids=named)
def test_a_call_that_fails_now_and_then_succeeds(error, through):
    engine = Engine(error, error, "yes")
    assert through(QUICK, engine) == "yes"


@pytest.mark.parametrize("error", FINAL, ids=named)
@pytest.mark.parametrize("before", [[], [server_error(503), server_error(500)]], ids=["at once", "later"])
def test_what_another_attempt_cannot_mend_is_not_asked_twice(before, error, through):
    engine = Engine(*before, error, "never")
    with pytest.raises(type(error)) as raised:
        through(QUICK, engine)
    assert raised.value is error
    assert engine.asked == len(before) + 1


def test_a_call_that_sat_out_a_restart_has_all_its_attempts_left(through):
    engine = Engine(*[server_error(503)] * 10, server_error(500), server_error(500), "yes")
    assert through(QUICK, engine) == "yes"


def test_an_engine_that_goes_after_slow_failures_is_still_waited_for(through):
    class Slow(Engine):
        def ask(self) -> str:
            time.sleep(0.06 if self.asked < 2 else 0)
            return super().ask()

    engine = Slow(TimeoutError(), TimeoutError(), ConnectionError("gone"), ConnectionError("gone"), "back")
    assert through(QUICK.model_copy(update={"away_s": 0.05}), engine) == "back"


def test_a_mix_of_refusals_and_failures_comes_to_an_end(through):
    engine = Engine(*[server_error(503), server_error(500)] * 50)
    with pytest.raises(ModelAPIError, match="500"):
        through(QUICK, engine)
    assert engine.asked == 2 * QUICK.attempts


def test_the_first_attempt_is_made_without_delay(through):
    engine = Engine("yes")
    start = time.monotonic()
    through(Patience(first_wait_s=60, longest_wait_s=60), engine)
    assert time.monotonic() - start < 1


def test_waits_are_drawn_at_random_below_a_bound_that_doubles_up_to_the_longest(through):
    engine = Engine(*[ModelRateLimitError("429")] * 14, "yes")
    patience = Patience(first_wait_s=0.004, longest_wait_s=0.016)
    with logged() as records:
        assert through(patience, engine) == "yes"
    waits = [record.args[3] for record in records]
    bounds = [0.004, 0.008, *[0.016] * 12]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert len(set(waits)) == len(waits)
    passed = [later - sooner for sooner, later in pairwise(engine.asked_at)]
    assert all(wait <= gap for wait, gap in zip(waits, passed, strict=True))


async def test_cancelling_during_a_wait_ends_it_at_once():
    engine = Engine(server_error(503))
    waiting = asyncio.Event()

    async def ask() -> str:
        waiting.set()
        return engine.ask()

    task = asyncio.create_task(Patience(first_wait_s=60, longest_wait_s=60).through(ask))
    await waiting.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert engine.asked == 1


async def test_cancelling_during_an_attempt_is_not_taken_for_a_failure():
    asked = []

    async def ask() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError("refused")
        await asyncio.sleep(60)
        return "never"

    task = asyncio.create_task(QUICK.through(ask))
    while len(asked) < 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert len(asked) == 2


async def test_many_calls_wait_side_by_side():
    engines = [Engine(server_error(503), "yes") for _ in range(200)]

    async def ask(engine: Engine) -> str:
        return engine.ask()

    patience = Patience(first_wait_s=0.1)
    start = time.monotonic()
    replies = await asyncio.gather(*(patience.through(lambda e=engine: ask(e)) for engine in engines))
    assert replies == ["yes"] * 200
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelRateLimitError("sk-secret"), "rate_limit"),
        (ModelConnectionError("sk-secret"), "connection"),
        (ModelTimeoutError("sk-secret"), "timeout"),
        (ModelAPIError("sk-secret"), "server"),
    ],
)
def test_each_further_attempt_is_logged_by_its_kind_and_never_in_the_errors_words(error, kind, through):
    with logged() as records:
        through(QUICK, Engine(error, error, "yes"))
    assert [record.kind for record in records] == [FailureKind(kind)] * 2
    assert [record.levelname for record in records] == ["WARNING"] * 2
    said = [logging.Formatter().format(record) for record in records]
    assert said[0].startswith(f"attempt 1 failed ({kind}, {type(error).__name__}); the next in ")
    assert said[1].startswith("attempt 2 failed")
    assert "sk-secret" not in "".join(said)


@pytest.mark.parametrize(
    "settings",
    [{"away_s": -1}, {"attempts": 0}, {"first_wait_s": 0}, {"longest_wait_s": 0}, {"retries": 3}],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Patience(**settings)


# --- over real HTTP


class Play:
    """What a server says at each node: `STRAIGHT`, but for what a test sets.

    A list is said line by line, the last one for ever.
    """

    def __init__(self) -> None:
        # A server does not see the branch of a check.
        self._usual = {node: said for node, said in STRAIGHT.items() if ":" not in node}
        self.set()

    def set(self, **lines: Any) -> None:
        self.asked = 0
        self._lines = {**self._usual, **lines}

    def script(self) -> dict[str, Callable[[Request], Any]]:
        return dict.fromkeys((*self._usual, "check_evidence"), self._say)

    def _say(self, request: Request) -> Any:
        self.asked += 1
        said = self._lines.get(request.node) or smallest(request.schema)
        if isinstance(said, list):
            said = said.pop(0) if len(said) > 1 else said[0]
        return said(request) if callable(said) else said


Served = tuple[str, Play]
Solve = Callable[..., Trace]


@pytest.fixture(scope="module")
def _server() -> Iterator[Served]:
    play = Play()
    with scripted_server(play.script()) as served:
        yield served.base_url, play


@pytest.fixture
def server(_server: Served) -> Served:
    """A server's address, and what it says."""
    _server[1].set()
    return _server


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["solve", "asolve"])
def walk(request: pytest.FixtureRequest, loop: asyncio.Runner) -> Solve:
    """Take `CASE` through the graph on a server, in either manner."""

    def take(base_url: str, patience: Patience, **settings: Any) -> Trace:
        graph = build_graph(connect(base_url, **settings), patience=patience)
        return solve(graph, CASE) if request.param == "solve" else loop.run(asolve(graph, CASE))

    return take


@pytest.mark.parametrize(
    ("status", "times", "kind"),
    [(429, 5, "rate_limit"), (503, 5, "server"), (500, 2, "server")],
)
def test_a_server_that_recovers_costs_no_traversal(status, times, kind, walk, server):
    url, play = server
    play.set(reflect=[*[HttpError(status)] * times, STRAIGHT["reflect"]])
    with logged() as records:
        trace = walk(url, QUICK)
    assert (trace.outcome, trace.answer, trace.failure) == ("answered", "B", None)
    assert trace.usage.calls == 8
    assert [record.kind for record in records] == [kind] * times
    assert play.asked == 8 + times


@pytest.mark.parametrize(("status", "asked"), [(500, 3), (401, 1), (404, 1)])
def test_a_server_that_does_not_recover_ends_the_traversal_after_so_many_attempts(
    status, asked, walk, server
):
    url, play = server
    play.set(review_history=HttpError(status))
    trace = walk(url, QUICK)
    assert (trace.outcome, trace.ended, trace.failure.boundary) == ("error", "failure", "engine")
    assert play.asked == asked


@pytest.mark.parametrize(("status", "kind"), [(429, "rate_limit"), (503, "server")])
def test_a_server_that_stays_away_ends_the_traversal_when_the_time_is_over(status, kind, walk, server):
    url, play = server
    play.set(review_history=HttpError(status))
    trace = walk(url, QUICK.model_copy(update={"away_s": 0.1}))
    assert trace.failure.kind == kind
    assert play.asked > QUICK.attempts


class Restarting:
    """A proxy on one port before a server, which can be stopped and started again.

    Args:
        target: address of the server.
        breaks_at: request at which the proxy is stopped, before it has answered; from 1.
        away_s: seconds until it is started again; None: never.
    """

    def __init__(self, target: str, breaks_at: int, away_s: float | None) -> None:
        self._target, self._breaks_at, self._away_s = target, breaks_at, away_s
        self.requests = 0
        self.restarts = 0
        self._lock = threading.Lock()
        self._client = httpx.Client()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def _pass_on(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if method == "POST" and outer.breaks():
                    self.close_connection = True
                    return
                reply = outer._client.request(
                    method,
                    outer._target.removesuffix("/v1") + self.path,
                    content=body,
                    headers={"Content-Type": "application/json"},
                )
                self.send_response(reply.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            def do_GET(self) -> None:
                self._pass_on("GET")

            def do_POST(self) -> None:
                self._pass_on("POST")

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def breaks(self) -> bool:
        """Count a request; at the fatal one, stop listening and hang up."""
        with self._lock:
            self.requests += 1
            if self.requests != self._breaks_at:
                return False
        self.stop()
        if self._away_s is not None:
            threading.Timer(self._away_s, self._restart).start()
        return True

    def _restart(self) -> None:
        self.restarts += 1
        self._start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def restarting(server: Served) -> Iterator[Callable[..., Restarting]]:
    made: list[Restarting] = []

    def make(**settings: Any) -> Restarting:
        made.append(Restarting(server[0], **settings))
        return made[-1]

    yield make
    for proxy in made:
        proxy.stop()


@pytest.mark.parametrize("breaks_at", [1, 8], ids=["first call", "last call"])
def test_a_traversal_survives_that_its_server_is_stopped_and_started_again(breaks_at, walk, restarting):
    proxy = restarting(breaks_at=breaks_at, away_s=0.3)
    with logged() as records:
        trace = walk(proxy.base_url, QUICK.model_copy(update={"longest_wait_s": 0.02}))
    assert (trace.outcome, trace.answer, trace.failure) == ("answered", "B", None)
    assert trace.usage.calls == 8
    assert proxy.restarts == 1
    assert {record.kind for record in records} == {FailureKind.CONNECTION}


def test_a_server_that_is_gone_for_good_is_a_typed_failure(walk, restarting):
    proxy = restarting(breaks_at=3, away_s=None)
    trace = walk(proxy.base_url, QUICK.model_copy(update={"away_s": 0.1}))
    assert (trace.outcome, trace.failure.kind) == ("error", FailureKind.CONNECTION)
    assert len(trace.steps) >= 2


def test_a_slow_server_is_asked_as_often_as_there_are_attempts(walk, server):
    url, play = server
    enough = threading.Event()

    def late(request: Request) -> Any:
        enough.wait(10)
        return STRAIGHT["review_history"]

    play.set(review_history=late)
    with logged() as records:
        trace = walk(url, QUICK, timeout_s=0.1)
    enough.set()
    assert (trace.outcome, trace.failure.kind) == ("error", FailureKind.TIMEOUT)
    assert [record.kind for record in records] == [FailureKind.TIMEOUT] * 2
    assert play.asked == QUICK.attempts


def test_a_key_that_a_server_repeats_reaches_neither_log_nor_trace(walk):
    class Telling(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def _say(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self._say(200, '{"object": "list", "data": [{"id": "m", "object": "model"}]}')

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(503, f'{{"error": {{"message": "{self.headers["Authorization"]}"}}}}')

    server = ThreadingHTTPServer(("127.0.0.1", 0), Telling)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with logged() as records:
            trace = walk(
                f"http://127.0.0.1:{server.server_port}/v1",
                QUICK.model_copy(update={"away_s": 0.05}),
                api_key="sk-secret",
            )
    finally:
        server.shutdown()
        server.server_close()
    assert trace.failure.kind == FailureKind.SERVER
    assert records
    assert "sk-secret" not in "".join(map(logging.Formatter().format, records))
    assert "sk-secret" not in trace.to_json()


def test_no_patience_is_one_attempt_at_everything(through):
    for error in (*AWAY, *AILING):
        engine = Engine(error)
        with pytest.raises(type(error)):
            through(AT_ONCE, engine)
        assert engine.asked == 1
