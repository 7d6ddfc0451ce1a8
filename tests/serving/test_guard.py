"""The gate before vLLM, driven as an ASGI server drives it."""

import ast
import json
import os
import string
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from adapterfolder import write_adapter
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from ddxgraph.serving import guard
from ddxgraph.serving.guard import FOLDERS_VARIABLE, KEY_VARIABLE, Guard, refusal

KEY = "sk-very-secret-0123456789"
LOAD = "/v1/load_lora_adapter"
LOOPBACK = (b"host", b"127.0.0.1:8000")


class Answer(NamedTuple):
    """What came of one request."""

    status: int | None
    """None where nothing was answered over HTTP."""
    said: Any
    reached: bytes | None
    """The body that the application behind the gate read; None where it was not reached."""
    sent: list[dict[str, Any]]


async def ask(
    path: str,
    *chunks: bytes,
    method: str = "GET",
    headers: tuple[tuple[bytes, bytes], ...] = (LOOPBACK,),
    kind: str = "http",
    root_path: str = "",
    last: dict[str, Any] | None = None,
) -> Answer:
    """One request through the gate to an application that reads the body and answers 200."""
    reached: list[bytes] = []
    sent: list[dict[str, Any]] = []
    parts = chunks or (b"",)
    waiting = [
        {"type": "http.request", "body": part, "more_body": place < len(parts)}
        for place, part in enumerate(parts, 1)
    ]
    if last:
        waiting[-1:] = [last]

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async def application(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        reached.append(body)
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    scope = {"type": kind, "path": path, "method": method, "headers": headers, "root_path": root_path}
    await Guard(application)(scope, receive, send)
    status = next((m["status"] for m in sent if "status" in m), None)
    text = b"".join(m.get("body", b"") for m in sent)
    return Answer(status, json.loads(text) if text else None, reached[0] if reached else None, sent)


def bearer(key: str, scheme: str = "Bearer") -> tuple[bytes, bytes]:
    return (b"authorization", f"{scheme} {key}".encode())


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """An allowed folder with an adapter in it, and no key."""
    write_adapter(tmp_path / "store" / "adapter")
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "store"))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return tmp_path / "store"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return KEY


def load(path: object) -> bytes:
    return json.dumps({"lora_name": "journey", "lora_path": str(path)}).encode()


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/completions", "/health", "/version", "/metrics", "/tokenize"]
)
async def test_what_the_graph_needs_goes_through(path):
    assert (await ask(path)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/openapi.json",
        "/invocations",
        "/adapters",
        "/v2/embed",
        "/ping",
        "/server_info",
        "/collective_rpc",
        "/pause",
        "/v1",
        "//v1/models",
        "/V1/models",
        "/x/v1/models",
        "/inference/v1/generate",
    ],
)
async def test_other_paths_do_not_exist(path, key):
    answer = await ask(path, headers=(LOOPBACK, bearer(key)))
    assert (answer.status, answer.reached) == (404, None)
    assert answer.said["error"]["message"] == "Not Found"


async def test_the_path_is_looked_at_below_the_servers_root(key):
    assert (await ask("/proxy/v1/models", root_path="/proxy", headers=(bearer(key),))).status == 200
    assert (await ask("/proxy/v1/models", root_path="/proxy", headers=())).status == 401


@pytest.mark.parametrize(
    "path", ["/v1/models", "/version", "/metrics", "/tokenize", "/detokenize", "/healthy", "/health/", LOAD]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
async def test_every_path_but_health_wants_the_key(path, method, key):
    answer = await ask(path, method=method)
    assert (answer.status, answer.reached) == (401, None)
    assert (await ask("/health", method=method)).status == 200


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (bearer(KEY), 200),
        (bearer(KEY, "bearer"), 200),
        (bearer(KEY, "Basic"), 401),
        (bearer(KEY[:-1]), 401),
        (bearer(KEY + "0"), 401),
        (bearer(KEY.upper()), 401),
        (bearer(""), 401),
        ((b"authorization", KEY.encode()), 401),
        ((b"authorization", b"Bearer \xff"), 401),
        ((b"x-api-key", KEY.encode()), 401),
    ],
)
async def test_only_the_key_opens(given, status, key):
    assert (await ask("/v1/models", headers=(LOOPBACK, given))).status == status


async def test_the_key_is_said_in_no_answer(key):
    answer = await ask("/v1/models", headers=(bearer("another"),))
    assert KEY not in repr(answer)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "127.8.8.8:1", "localhost", "localhost:8000", "[::1]", "[::1]:8000"],
)
async def test_without_a_key_loopback_names_are_answered(host):
    assert (await ask("/v1/models", headers=((b"host", host.encode()),))).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1:8000",
        "",
        "127.0.0.1@evil.example",
        "127.evil",
        "[::1].evil.example",
        "[fe80::1]:8000",
        "evil:127.0.0.1",
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/health", LOAD])
async def test_without_a_key_a_page_that_renamed_its_host_is_refused(host, path, store):
    answer = await ask(path, load(store / "adapter"), method="POST", headers=((b"host", host.encode()),))
    assert (answer.status, answer.reached) == (421, None)


async def test_without_a_host_and_a_key_nothing_is_answered():
    assert (await ask("/v1/models", headers=())).status == 421


async def test_with_the_key_any_host_is_answered(key):
    assert (await ask("/v1/models", headers=((b"host", b"gpu.example"), bearer(key)))).status == 200


async def test_a_websocket_is_closed():
    answer = await ask("/v1/realtime", kind="websocket")
    assert [message["type"] for message in answer.sent] == ["websocket.close"]
    assert answer.reached is None


async def test_starting_and_stopping_is_the_applications_own(key):
    reached = []

    async def application(scope, receive, send):
        reached.append(scope["type"])

    await Guard(application)({"type": "lifespan"}, None, None)
    assert reached == ["lifespan"]


@pytest.mark.parametrize("size", [1, 7, 1_000])
async def test_a_request_to_load_arrives_as_it_was_sent(store, size):
    body = load(store / "adapter")
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    answer = await ask(LOAD, *chunks, method="POST")
    assert (answer.status, answer.reached) == (200, body)


@pytest.mark.parametrize("path", [LOAD + "/", LOAD + "//"])
async def test_a_stroke_at_the_end_opens_nothing(path):
    assert (await ask(path, load("/etc"), method="POST")).status == 403


async def test_what_is_refused_says_why(store):
    answer = await ask(LOAD, load("/etc"), method="POST")
    assert (answer.status, answer.reached) == (403, None)
    assert answer.said["error"]["message"] == "'/etc' is outside the folders that adapters may be loaded from"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b"null",
        b'"/store"',
        b"{}",
        b'{"lora_path": 1}',
        b'{"lora_path": null}',
        b'{"lora_path": ["/store"]}',
        b"\xff\xfe",
        b"[" * 60_000,
    ],
)
async def test_a_body_that_is_no_request_is_refused(body):
    answer = await ask(LOAD, body, method="POST")
    assert (answer.status, answer.reached) == (403, None)
    assert answer.said["error"]["message"] == "not a request to load an adapter"


async def test_a_body_without_end_is_given_up(store):
    blank = b" " * 10_000
    answer = await ask(LOAD, *[blank] * 100, load(store / "adapter"), method="POST")
    assert (answer.status, answer.reached) == (403, None)


async def test_whoever_hangs_up_half_way_loads_nothing(store):
    body = load(store / "adapter")
    answer = await ask(LOAD, body[:20], body[20:], method="POST", last={"type": "http.disconnect"})
    assert (answer.status, answer.reached) == (403, None)


async def test_the_last_of_two_paths_counts_as_it_does_in_vllm(store):
    body = f'{{"lora_path": "{store}/adapter", "lora_path": "/etc"}}'.encode()
    assert (await ask(LOAD, body, method="POST")).status == 403


async def test_unloading_is_let_through():
    answer = await ask("/v1/unload_lora_adapter", b'{"lora_name": "journey"}', method="POST")
    assert (answer.status, answer.reached) == (200, b'{"lora_name": "journey"}')


def test_an_adapter_below_an_allowed_folder_may_be_loaded(store, tmp_path):
    assert refusal(load(store / "adapter"), [str(store)]) == ""
    assert refusal(load(store / "adapter"), [str(tmp_path / "other"), str(store)]) == ""
    write_adapter(store / "deep" / "er")
    assert refusal(load(store / "deep" / "er"), [str(store)]) == ""


def test_an_allowed_folder_may_be_a_link(store, tmp_path):
    (tmp_path / "link").symlink_to(store)
    assert refusal(load(store / "adapter"), [str(tmp_path / "link")]) == ""
    assert refusal(load(tmp_path / "link" / "adapter"), [str(store)]) == ""


def outside(path: object, folders: list[str]) -> bool:
    return refusal(load(path), folders).endswith("is outside the folders that adapters may be loaded from")


def test_no_other_folder_may_be_loaded_from(store, tmp_path, monkeypatch):
    sibling = write_adapter(tmp_path / "store-of-another")
    (store / "link").symlink_to(sibling)
    (store / "broken").symlink_to(tmp_path / "nowhere")
    monkeypatch.chdir(store)
    monkeypatch.setenv("HOME", str(store))
    for path in (
        sibling,
        tmp_path,
        store,
        f"{store}/",
        f"{store}/.",
        f"{store}/adapter/..",
        f"{store}/../store-of-another",
        f"{store}/adapter/../../store-of-another",
        store / "link",
        store / "broken",
        "adapter",
        "./adapter",
        "~/adapter",
        "org/model",
        "",
        "/",
        f"file://{store}/adapter",
    ):
        assert outside(path, [str(store)]), path
        assert outside(path, []), path


@pytest.mark.parametrize("path", ["{}/a\0b", "{}/a\ud800", "{}/" + "a" * 5_000, "{}/circle"])
def test_a_path_that_is_none_is_refused(store, path):
    (store / "circle").symlink_to(store / "circle")
    assert refusal(load(path.format(store)), [str(store)])


def test_pickles_are_not_loaded(store):
    (store / "adapter" / "adapter_model.safetensors").rename(store / "adapter" / "adapter_model.bin")
    assert "nothing else is loaded" in refusal(load(store / "adapter"), [str(store)])


def test_a_link_to_weights_elsewhere_is_no_way_to_a_pickle(store):
    (store / "adapter" / "adapter_model.safetensors").unlink()
    (store / "adapter" / "adapter_model.safetensors").symlink_to(store / "nowhere")
    assert refusal(load(store / "adapter"), [str(store)])


PIECES = st.sampled_from(["..", ".", "", "adapter", "link", "outside", "x", "~", "\0", " "])


@given(pieces=st.lists(PIECES | st.text(string.printable, max_size=5), max_size=8), absolute=st.booleans())
def test_whatever_is_let_through_lies_below_the_folder(tmp_path_factory, pieces, absolute):
    top = tmp_path_factory.getbasetemp() / "paths"
    if not top.exists():
        for name in ("store/adapter", "outside/adapter"):
            write_adapter(top / name)
        (top / "store" / "link").symlink_to(top / "outside")
    store = str((top / "store").resolve())
    path = "/".join([store, *pieces] if absolute else pieces)
    if not refusal(load(path), [store]):
        assert Path(path).is_absolute()
        assert os.path.realpath(path).startswith(store + os.sep)


def test_the_gate_needs_nothing_but_the_standard_library():
    tree = ast.parse(Path(guard.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in imports}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def mutated() -> list[str]:
    """Paths like that of loading an adapter: a sign put in at each place, a piece doubled, encoded or changed."""
    signs = [chr(code) for code in (*range(0x21), 0x7F, 0x85, 0xA0, 0x2028, 0x2029, 0x200B, 0xFEFF, 0xFF0F)]
    signs += ["/", "//", "/.", "/..", "\\", ";", "?", "#", "%", "%0A", "%2F", "%25"]
    places = [0, 1, 3, 4, 8, len(LOAD) - 1, len(LOAD)]
    put_in = [LOAD[:place] + sign + LOAD[place:] for sign in signs for place in places]
    doubled = [LOAD + sign + other for sign in signs[:14] for other in signs[:14]]
    return [*put_in, *doubled, LOAD.upper(), LOAD.title(), f"/v1/../v1{LOAD[3:]}", f"{LOAD}/x", f"/x{LOAD}"]


def routed(path: str) -> bool:
    """Whether Starlette's own router takes a path for that of loading an adapter."""
    route = Route(LOAD, lambda _: None, methods=["POST"])
    match, _ = route.matches({"type": "http", "path": path, "method": "POST", "root_path": ""})
    return match is Match.FULL


async def test_no_path_that_the_router_takes_for_loading_passes_unread(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    monkeypatch.setenv(FOLDERS_VARIABLE, "/srv/adapters")
    foreign = json.dumps({"lora_name": "x", "lora_path": "/tmp/theirs"}).encode()
    paths = mutated()
    assert len(set(paths)) >= 500
    assert [path for path in paths if routed(path)] == [f"{LOAD}\n"]
    for path in paths:
        answer = await ask(path, foreign, method="POST", headers=(LOOPBACK, bearer(KEY)))
        if routed(path) or path.rstrip("/") == LOAD:
            assert (answer.reached, answer.status in {403, 404}) == (None, True), path
        if not path.isascii() or not path.isprintable():
            assert (answer.reached, answer.status) == (None, 404), path
