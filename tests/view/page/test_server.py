"""The server of a growing run: what it gives, to whom, and that each new trace is given once."""

import asyncio
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from viewed import add, as_another, back_and_forth, book, many, once_back, write_cases, write_run

from ddxgraph.batch.folder import ERRORS, MANIFEST, TRACES
from ddxgraph.common.errors import PortTaken, TraceFileError
from ddxgraph.common.jsonl import line_of
from ddxgraph.view.data.row import COLUMNS
from ddxgraph.view.data.tracebook import TraceBook
from ddxgraph.view.page.server import listen, view_app

HOME = "http://127.0.0.1"
TOKEN = "Zm9yIG5vYm9keSBlbHNl"
SECRET = "is nobody's to read"
GUARDS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "secret.txt").write_text(SECRET)
    return write_run(tmp_path / "pilot", many(5))


def client_of(folder: Path, cases: Path | None = None, **given) -> TestClient:
    return entered(view_app(book(folder, cases), token=TOKEN, **given))


def entered(app) -> TestClient:
    """A client that has opened the address that the command prints."""
    client = TestClient(app, base_url=HOME)
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client


@pytest.fixture
def client(folder) -> TestClient:
    return client_of(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.parent.rglob("*")) if path.is_file()}


def guarded(answer) -> bool:
    return {key: answer.headers.get(key) for key in GUARDS} == GUARDS


def new_rows(client: TestClient, seen: int) -> tuple[list[str], int]:
    """Ids of what came after so many, and how many have come by now."""
    found = client.get(f"/rows?after={seen}").json()
    assert len(found["ids"]) == len(found["rows"])
    assert all(len(row) == len(COLUMNS) for row in found["rows"])
    return found["ids"], found["seen"]


# What it gives


def test_the_page_the_rows_and_each_journey_are_there(folder, client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '"live":true' in page.text
    assert "connect-src &#39;self&#39;" in page.text
    ids, seen = new_rows(client, 0)
    assert seen == 5
    assert ids == [entry.id for entry in book(folder).entries]
    for trace in many(5):
        journey = client.get(f"/journey/{trace.id}")
        assert journey.status_code == 200
        assert f"<h1>{trace.case.id}</h1>" in journey.text
        assert journey.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert "<script" not in journey.text
    assert client.get("/rows").headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert client.get("/rows").json()["status"] == "following pilot: 5 traces"


def test_gold_answers_are_given_where_they_are_known_and_hidden_for_blind_reading(folder, tmp_path):
    traces = many(5)
    cases = write_cases(tmp_path / "cases.jsonl", traces)
    client = client_of(folder, cases, blind=True)
    row = dict(zip([column.title for column in COLUMNS], client.get("/rows").json()["rows"][0], strict=True))
    assert (row["Verdict"], row["Gold"]) == ("correct", "C")
    assert 'class="list blind"' in client.get("/").text
    assert 'class="journey blind"' in client.get(f"/journey/{traces[0].id}").text
    assert 'class="journey"' in client_of(folder, cases).get(f"/journey/{traces[0].id}").text


# To whom


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost", "localhost:1"])
def test_this_machine_is_answered(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "evil.com:8765",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil.com#127.0.0.1",
        "evil-127.0.0.1",
        "",
        ":8765",
        "0.0.0.0",
        "[::1]",
        "127.0.0.1@evil.com",
        "*",
    ],
)
@pytest.mark.parametrize("path", ["/", "/rows?after=0", f"/journey/{0:032x}", "/none"])
def test_a_name_of_elsewhere_gets_nothing(client, host, path):
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 400
    assert "case-" not in answer.text
    assert guarded(answer)


@pytest.mark.parametrize(
    "path", ["/", "/rows?after=0", f"/journey/{0:032x}", "/none", "/?token=", "/?token=x"]
)
@pytest.mark.parametrize("cookie", ["", f"ddxgraph={TOKEN}", f"token={TOKEN}", "\xe9"])
def test_another_user_of_the_machine_gets_nothing(folder, path, cookie):
    stranger = TestClient(view_app(book(folder), token=TOKEN), base_url=HOME)
    answer = stranger.get(path, headers={"cookie": cookie.encode("latin-1")})
    assert answer.status_code == 403
    assert "case-" not in answer.text
    assert guarded(answer)


def test_the_address_that_is_printed_leaves_a_cookie_and_no_token_in_the_address_bar(folder):
    client = TestClient(view_app(book(folder), token=TOKEN), base_url=HOME, follow_redirects=False)
    answer = client.get(f"/?token={TOKEN}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "httponly" in answer.headers["set-cookie"].lower()
    assert client.get("/").status_code == 200
    assert client.get("/rows").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "MOVE"])
@pytest.mark.parametrize("path", ["/", "/rows", f"/journey/{0:032x}"])
def test_nothing_can_be_done_but_read(client, folder, method, path):
    before = files(folder)
    answer = client.request(method, path, content=b"{}")
    assert answer.status_code == 405
    assert guarded(answer)
    assert "access-control-allow-origin" not in answer.headers
    assert files(folder) == before


@pytest.mark.parametrize("path", ["/", "/rows?after=0", f"/journey/{0:032x}"])
def test_head_is_answered_as_get_is_without_a_body(client, path):
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert guarded(answer)


def test_every_answer_is_guarded_refusals_included(client):
    for path, status in {
        "/": 200,
        "/rows": 200,
        f"/journey/{0:032x}": 200,
        "/journey/none": 404,
        "/rows?after=x": 400,
        "/nowhere": 404,
    }.items():
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code == status, path
        assert guarded(answer), path
        assert "set-cookie" not in answer.headers


TRAVERSALS = (
    "/journey/..%2f..%2fetc%2fpasswd",
    "/journey/..%2fsecret.txt",
    "/journey/..%2F..%2Fsecret.txt",
    "/journey/%2e%2e/x",
    "/journey/%2e%2e%2fsecret.txt",
    "/journey/%252e%252e%252fsecret.txt",
    "/journey/..%5csecret.txt",
    "/journey/..%c0%afsecret.txt",
    "/journey/%00",
    "/journey/traces.jsonl",
    "/journey/",
    "/..%2frun.json",
    "/%2e%2e/run.json",
    "/%2e%2e%2fsecret.txt",
    "/run.json",
    "/pilot/run.json",
    "/traces.jsonl",
    "/errors.jsonl",
    "/rows/..%2f..%2fsecret.txt",
    "//etc/passwd",
    "/static/page.css",
    "/docs",
    "/openapi.json",
)


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_to_a_file(client, path):
    answer = client.get(path, follow_redirects=True)
    assert answer.status_code == 404
    for text in (SECRET, '"version":1', "root:", '"provenance"'):
        assert text not in answer.text
    assert guarded(answer)


@pytest.mark.parametrize(
    "path",
    ["/../run.json", "/journey/../../secret.txt", "/journey/..", "/./traces.jsonl", "../secret.txt", "*"],
)
def test_no_path_leads_to_a_file_even_as_no_browser_would_send_it(folder, path):
    """A client mends such paths before it sends them; others need not."""
    status, text = asyncio.run(raw(view_app(book(folder), token=TOKEN), path))
    assert status == 404
    assert SECRET not in text
    assert '"version":1' not in text


async def raw(app, path: str) -> tuple[int, str]:
    """An answer to a request whose path is left as it is."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": f"token={TOKEN}".encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent).decode()


@pytest.mark.parametrize(
    "after", ["", "x", "-1", "1.5", "1e3", "%201", "1_0", "٣", "²", "9999999999", "0x1", "1;2", "%00"]
)
def test_a_place_that_is_no_number_is_refused(client, after):
    answer = client.get(f"/rows?after={after}")
    assert (answer.status_code, answer.text) == (400, "after: give a whole number")
    assert guarded(answer)


def test_a_place_that_is_not_reached_yet_gives_nothing(client):
    assert new_rows(client, 999_999_999) == ([], 5)
    assert new_rows(client, 5) == ([], 5)


# A run that grows


def test_each_trace_that_is_written_is_given_once_and_half_a_line_only_when_it_is_whole(folder, client):
    _, seen = new_rows(client, 0)
    six, seven, eight = (as_another(once_back(), number) for number in (6, 7, 8))
    add(folder, [six])
    ids, seen = new_rows(client, seen)
    assert (ids, seen) == ([six.id], 6)
    line = line_of(seven)
    with (folder / TRACES).open("a", encoding="utf-8") as file:
        for part in (line[:10], line[10:1000], line[1000:-1]):
            file.write(part)
            file.flush()
            assert new_rows(client, seen) == ([], 6)
        file.write(line[-1])  # whole, its newline still to come
        file.flush()
        ids, seen = new_rows(client, seen)
        assert (ids, seen) == ([seven.id], 7)
        file.write("\n")
        file.flush()
        assert new_rows(client, seen) == ([], 7)
        file.write(line_of(eight) + "\n")
    assert new_rows(client, seen) == ([eight.id], 8)
    assert new_rows(client, seen) == ([eight.id], 8)  # to whoever asks from there
    assert new_rows(client, 0)[0][-3:] == [six.id, seven.id, eight.id]
    assert client.get(f"/journey/{eight.id}").status_code == 200
    assert '"seen":8' in client.get("/").text


def test_a_letter_of_several_bytes_may_be_cut_in_two(folder, client):
    trace = as_another(once_back(), 9)
    trace = trace.model_copy(update={"case": trace.case.model_copy(update={"vignette": "Fièvre 病 🫀"})})
    line = line_of(trace).encode() + b"\n"
    cut = line.index("病".encode()) + 1
    with (folder / TRACES).open("ab", buffering=0) as file:
        file.write(line[:cut])
        assert new_rows(client, 5) == ([], 5)
        file.write(line[cut:])
    assert new_rows(client, 5) == ([trace.id], 6)


def test_a_failed_attempt_gives_way_to_its_success_and_never_comes_back(folder, client):
    ids, seen = new_rows(client, 0)
    failed = many(5)[4]
    assert failed.outcome == "error"
    assert failed.id in ids
    again = failed.model_copy(update={"outcome": "answered", "answer": "B", "failure": None})
    add(folder, [again])
    fresh = client.get(f"/rows?after={seen}").json()
    assert fresh["ids"] == [failed.id]
    titles = [column.title for column in COLUMNS]
    assert dict(zip(titles, fresh["rows"][0], strict=True))["Answer"] == "B"
    assert "B. Community-acquired pneumonia" in client.get(f"/journey/{failed.id}").text
    add(folder, [failed], ERRORS)  # another process wrote its failure later
    assert new_rows(client, fresh["seen"]) == ([], fresh["seen"])
    assert len(book(folder)) == 5


def test_a_run_that_has_no_trace_yet_is_followed_from_its_first(tmp_path):
    folder = write_run(tmp_path / "young", [])
    (folder / TRACES).unlink()
    (folder / ERRORS).unlink()
    client = client_of(folder)
    assert new_rows(client, 0) == ([], 0)
    assert client.get("/").status_code == 200
    first, second = many(2)
    add(folder, [first])
    assert new_rows(client, 0) == ([first.id], 1)
    add(folder, [second])
    assert new_rows(client, 1) == ([second.id], 2)


def test_a_line_that_is_no_trace_is_said_and_costs_none_of_the_others(folder, client):
    _, seen = new_rows(client, 0)
    before, after = as_another(once_back(), 10), as_another(once_back(), 11)
    add(folder, [before])
    with (folder / TRACES).open("a", encoding="utf-8") as file:
        file.write('{"version":1,"id":"torn\n')
    add(folder, [after])
    found = client.get(f"/rows?after={seen}").json()
    assert f"{TRACES}, line 6: not a trace of version 1" in found["status"]
    ids = found["ids"] + client.get(f"/rows?after={found['seen']}").json()["ids"]
    assert ids == [before.id, after.id]


@pytest.mark.parametrize(
    "changes",
    [
        {"elapsed_s": float("nan")},
        {"elapsed_s": float("-inf")},
        {"elapsed_s": "long"},
        {"usage": {"completion_tokens": float("inf")}},
        {"usage": {"completion_tokens": 10**400}},
        {"usage": [1]},
        {"steps": "abc"},
        {"sample": None},
    ],
    ids=str,
)
def test_a_trace_whose_figures_are_none_is_passed_over(folder, client, changes):
    broken = json.loads(line_of(as_another(once_back(), 10))) | changes
    after = as_another(once_back(), 11)
    with (folder / TRACES).open("a", encoding="utf-8") as file:
        file.write(json.dumps(broken) + "\n")
    add(folder, [after])
    found = client.get("/rows?after=5").json()
    assert f"{TRACES}, line 5 is malformed" in found["status"]
    assert new_rows(client, found["seen"]) == ([after.id], 6)
    assert client.get("/").status_code == 200


def test_a_trace_that_cannot_be_read_any_more_is_an_error_in_words(folder, client):
    (folder / TRACES).unlink()
    answer = client.get(f"/journey/{0:032x}")
    assert answer.status_code == 500
    assert "cannot read" in answer.text
    assert guarded(answer)
    assert client.get("/").status_code == 200


def test_many_at_once_get_the_same(folder):
    app = view_app(book(folder), token=TOKEN)
    later = [as_another(back_and_forth(), number) for number in range(100, 140)]

    def follow(_: int) -> list[str]:
        """A page that follows the run until it has all."""
        with entered(app) as client:
            had, seen = new_rows(client, 0)
            while later[-1].id not in had:
                fresh, seen = new_rows(client, seen)
                had += fresh
                assert client.get(f"/journey/{had[-1]}").status_code == 200
            return had

    with ThreadPoolExecutor(8) as pool:
        pages = [pool.submit(follow, number) for number in range(7)]
        for trace in later:
            add(folder, [trace])
        told = [page.result(timeout=60) for page in pages]
    everything = [entry.id for entry in book(folder).entries]
    assert sorted(told[0]) == sorted(everything)
    assert len(everything) == 45
    for one in told:
        assert len(one) == len(set(one)), "told twice"
        assert one == told[0]


# Where it listens


def test_a_port_that_is_taken_is_said():
    with listen(0) as opened:
        address, port = opened.getsockname()
        assert address == "127.0.0.1"
        with pytest.raises(PortTaken) as caught:
            listen(port)
        assert f"cannot listen on port {port}" in str(caught.value.strerror)
        assert "name another, or 0" in str(caught.value.strerror)


SERVING = """
import sys
from pathlib import Path
from ddxgraph.view.data.tracebook import TraceBook
from ddxgraph.view.page import server
server._SILENCE_S = 0.2
with server.listen(0) as opened:
    print(opened.getsockname()[1], flush=True)
    server.serve_view(TraceBook(Path(sys.argv[1])), opened, token="t", blind=False, ready=lambda: None)
"""


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ",
        b"GET /?token=t HTTP/1.1\r\n\r\nGET /",
    ],
)
def test_a_connection_whose_request_never_ends_is_dropped_and_others_are_served(folder, begun):
    serving = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(serving.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), timeout=20) as half:
            half.sendall(begun)
            while half.recv(65_536):  # until the server closes it; a timeout would be an error
                pass
        with socket.create_connection(("127.0.0.1", port), timeout=20) as whole:
            whole.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert whole.recv(65_536).startswith(b"HTTP/1.1 403")
    finally:
        serving.kill()
        serving.wait()


def test_what_is_no_run_is_said(tmp_path):
    with pytest.raises(TraceFileError, match=f"it has no {MANIFEST}"):
        TraceBook(tmp_path)
