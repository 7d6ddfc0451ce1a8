"""`ddxgraph view --serve` as a process of its own, with a browser that follows the run."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from browser import faults, launched, opened
from viewed import add, as_another, back_and_forth, many, once_back, write_cases, write_run

from ddxgraph.batch.folder import TRACES
from ddxgraph.common.jsonl import line_of

pytestmark = pytest.mark.slow

SECONDS = 20
PROC = Path("/proc/net/tcp")
LISTENS = "0A"


@pytest.fixture(scope="module")
def browser():
    with launched() as started:
        yield started


class Served(NamedTuple):
    process: subprocess.Popen
    address: str

    @property
    def place(self) -> str:
        """Without its token."""
        return self.address.partition("?")[0]

    @property
    def port(self) -> int:
        return urlsplit(self.address).port

    def interrupted(self) -> tuple[int, str]:
        """Ctrl-C: the exit code, and what was said."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, said


@contextmanager
def serving(*args: object) -> Iterator[Served]:
    """The server, ended at last whatever happens."""
    command = [sys.executable, "-m", "ddxgraph", "view", *map(str, args), "--serve", "--port", "0", "--quiet"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        address = process.stdout.readline().strip()  # waits until it says where it listens, or has ended
        assert address.startswith("http://127.0.0.1:"), process.communicate(timeout=SECONDS)
        yield Served(process, address)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_run(tmp_path / "pilot", many(5))


def listeners(port: int) -> set[str]:
    """Addresses of this machine on which somebody listens at a port, as the kernel has them."""
    found = set()
    for table in (PROC, PROC.with_name("tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            local, state = line.split()[1], line.split()[3]
            address, _, number = local.partition(":")
            if state == LISTENS and int(number, 16) == port:
                found.add(address)
    return found


def other_addresses() -> list[str]:
    """Addresses by which others might reach this machine."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # nothing is sent
        try:
            probe.connect(("192.0.2.1", 9))
            found.add(probe.getsockname()[0])
        except OSError:
            pass
    return sorted({*found, "127.0.0.2"} - {"127.0.0.1"})


def test_a_page_follows_the_run_while_it_grows_and_opens_what_came(browser, folder, tmp_path):
    later = [as_another(once_back(), number) for number in (20, 21, 22)]
    cases = write_cases(tmp_path / "cases.jsonl", [*many(5), *later])
    with serving(folder, "--cases", cases) as served:
        with opened(
            browser, served.address, offline=False, own=("data:", "blob:", "about:", served.place)
        ) as page:
            count = page.locator("#count")
            assert count.inner_text() == "5 of 5 traces"
            page.get_by_label("Search").fill("case-02")
            page.get_by_text("0 of 5 traces").wait_for()
            add(folder, later[:1])
            page.get_by_text("1 of 6 traces").wait_for()
            page.get_by_text("following pilot: 6 traces").wait_for()
            line = line_of(later[1])
            with (folder / TRACES).open("a", encoding="utf-8") as file:
                file.write(line[:500])
                file.flush()
                with page.expect_response(lambda answer: "/rows?" in answer.url) as answer:
                    pass
                assert answer.value.json()["rows"] == []
                assert count.inner_text() == "1 of 6 traces"
                file.write(line[500:] + "\n")
            page.get_by_role("link", name="case-020").focus()
            page.get_by_text("2 of 7 traces").wait_for()
            assert page.evaluate("document.activeElement.textContent") == "case-020"
            assert page.locator("header .facts").count() == 0  # nothing that would stand still
            assert page.get_by_label("Search").input_value() == "case-02"
            assert page.locator("#rows tbody th").all_inner_texts() == ["case-020", "case-021"]
            assert faults(page) == []

            page.get_by_role("link", name="case-021").press("Enter")
            page.get_by_role("heading", name="case-021", exact=True).wait_for()
            assert page.locator("#steps section.step").count() == len(later[1].steps)
            assert page.locator("header .verdict").inner_text() == "✕ incorrect"
            add(folder, later[2:])
            page.go_back()
            page.get_by_text("3 of 8 traces").wait_for()
            page.reload()
            page.get_by_text("8 of 8 traces").wait_for()
            page.goto(f"{served.place}#trace={later[2].id}")
            page.get_by_role("heading", name="case-022", exact=True).wait_for()
        code, said = served.interrupted()
        assert code == 0
        assert "Traceback" not in said


def test_a_page_whose_server_has_gone_says_so_and_keeps_what_it_shows(browser, folder):
    with serving(folder) as served:
        context = browser.new_context()
        try:
            page = context.new_page()
            page.goto(served.address)
            page.get_by_text("following pilot").wait_for()
            assert served.interrupted()[0] == 0  # with a browser that holds its connection
            page.get_by_text("The server does not answer").wait_for()
            assert page.locator("#rows tbody tr").count() == 5
            page.get_by_role("link", name="case-001").click()
            page.get_by_text("This trace cannot be shown").wait_for()
        finally:
            context.close()


@pytest.mark.skipif(not PROC.exists(), reason="only Linux tells who listens where in a file")
def test_it_listens_on_loopback_and_nowhere_else(folder):
    with serving(folder) as served:
        assert listeners(served.port) == {"0100007F"}
        for address in other_addresses():
            with pytest.raises(OSError):  # noqa: PT011 - refused, or unreachable
                socket.create_connection((address, served.port), timeout=5)
        assert served.interrupted()[0] == 0


def test_no_request_reaches_a_file_however_its_path_is_written(folder, tmp_path):
    (tmp_path / "secret.txt").write_text("is nobody's to read")
    with serving(folder) as served:
        paths = (
            "/../secret.txt",
            "/journey/../../secret.txt",
            "/journey/..%2f..%2fsecret.txt",
            "/pilot/run.json",
        )
        for path in paths:
            line = HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
            line.request("GET", f"{path}?{urlsplit(served.address).query}")  # sends the path as it stands
            answer = line.getresponse()
            assert answer.status == 404, path
            assert b"nobody" not in answer.read()
            line.close()
        line = HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
        line.request("GET", "/", headers={"Host": f"evil.example:{served.port}"})
        answer = line.getresponse()
        assert answer.status == 400
        assert b"case-" not in answer.read()
        line.close()
        line = HTTPConnection("127.0.0.1", served.port, timeout=SECONDS)
        line.request("GET", "/")
        answer = line.getresponse()
        assert answer.status == 403, "without the token"
        assert b"case-" not in answer.read()
        line.close()
        assert served.interrupted() == (0, "following the run; Ctrl-C ends it\n")


def test_a_port_that_is_taken_is_said_in_a_sentence(folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "ddxgraph",
                "view",
                str(folder),
                "--serve",
                "--port",
                str(port),
                "--quiet",
            ],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"cannot listen on port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_long_journey_does_not_hold_the_others_up(browser, folder):
    """Many journeys are asked for at once while the run grows; each answer is whole."""
    traces = [as_another(back_and_forth(), number) for number in range(50, 60)]
    add(folder, traces)
    with serving(folder) as served:
        with opened(
            browser, served.address, offline=False, own=("data:", "blob:", "about:", served.place)
        ) as page:
            lengths = page.evaluate(
                "ids => Promise.all(ids.map(async id => {"
                " const answer = await fetch(`journey/${id}`); const text = await answer.text();"
                " return [answer.status, text.trimEnd().endsWith('</article>')] }))",
                [trace.id for trace in traces] * 3,
            )
            assert lengths == [[200, True]] * 30
        assert served.interrupted()[0] == 0
