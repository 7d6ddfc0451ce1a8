"""Where text goes is said, and `DDXGRAPH_OFFLINE` keeps it here."""

import os
import subprocess
import sys

import pytest
from journeys import CASE, STRAIGHT
from loggingproxy import NAMES, logging_proxy
from scripted_server import scripted_server

from ddxgraph import connect
from ddxgraph.common.errors import OfflineError
from ddxgraph.common.offline import OFFLINE_VARIABLE, is_offline
from ddxgraph.eval.benchmarks.registry import find
from ddxgraph.eval.benchmarks.store import fetch
from ddxgraph.serving.transport import destinations
from ddxgraph.serving.weights import SMOLLM2, pull
from ddxgraph.training.sft.finetune import _commit

ELSEWHERE = "http://model.example/v1"
TRACING = {"LANGSMITH_TRACING": "true"}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv(OFFLINE_VARIABLE, "1")


@pytest.mark.parametrize(
    ("base_url", "environment", "places"),
    [
        (None, {}, ()),
        ("http://127.0.0.1:8000/v1", {}, ()),
        ("http://localhost:8000/v1", {"LANGSMITH_TRACING": "false"}, ()),
        (ELSEWHERE, {}, ("model.example",)),
        ("https://user:secret@model.example:8443/v1", {}, ("model.example",)),
        (None, TRACING, ("LangSmith at api.smith.langchain.com (since LANGSMITH_TRACING is set)",)),
        (None, {"LANGCHAIN_TRACING_V2": "true", "LANGCHAIN_ENDPOINT": "http://localhost:1984"}, ()),
        (
            ELSEWHERE,
            {**TRACING, "LANGSMITH_ENDPOINT": "https://eu.example"},
            ("model.example", "LangSmith at eu.example (since LANGSMITH_TRACING is set)"),
        ),
    ],
)
def test_every_place_beyond_this_machine_is_named(base_url, environment, places):
    assert destinations(base_url, environment) == places


def test_the_proxy_before_it_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@gate.example:8080")
    assert destinations(ELSEWHERE, {}) == ("model.example through the proxy http://gate.example:8080",)


@pytest.mark.parametrize(
    ("value", "held"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_the_variable_is_on_or_off(value, held, monkeypatch):
    monkeypatch.setenv(OFFLINE_VARIABLE, value)
    assert is_offline() is held


def test_a_server_elsewhere_is_refused(offline):
    with pytest.raises(OfflineError, match=r"text would go to model\.example"):
        connect(ELSEWHERE, "m")


def test_so_is_a_tracing_service(offline, monkeypatch):
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    with scripted_server(STRAIGHT) as server, pytest.raises(OfflineError, match="LangSmith"):
        connect(server.base_url)


def test_nothing_is_fetched(offline, monkeypatch, tmp_path):
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path))
    for work in (
        lambda: pull(SMOLLM2),
        lambda: fetch(find("medqa"), folder=tmp_path),
        lambda: _commit("someone/model"),
    ):
        with pytest.raises(OfflineError, match="needs the network"):
            work()


@pytest.mark.parametrize("command", ["solve", "run", "doctor"])
def test_commands_say_where_text_goes_and_loopback_works_offline(command, tmp_path):
    case = tmp_path / "case.json"
    case.write_text(CASE.model_dump_json(), encoding="utf-8")
    more = {"solve": [str(case)], "run": [str(case), "--out", str(tmp_path / "run")], "doctor": []}[command]
    with scripted_server(STRAIGHT) as server, logging_proxy() as proxy:
        named = {
            **os.environ,
            **proxy.environment(),
            OFFLINE_VARIABLE: "1",
            "DDXGRAPH_BASE_URL": server.base_url,
        }
        done = subprocess.run(
            [sys.executable, "-m", "ddxgraph", command, *more], env=named, capture_output=True, text=True
        )
        assert "text stays on this machine" in done.stdout + done.stderr
        assert proxy.seen == []


def test_a_command_refuses_in_a_sentence(tmp_path):
    case = tmp_path / "case.json"
    case.write_text(CASE.model_dump_json(), encoding="utf-8")
    named = {**os.environ, OFFLINE_VARIABLE: "1", "DDXGRAPH_BASE_URL": ELSEWHERE, "DDXGRAPH_MODEL": "m"}
    done = subprocess.run(
        [sys.executable, "-m", "ddxgraph", "solve", str(case)], env=named, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "text would go to model.example" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("value", "known"), [("1", "True"), ("", "False")])
def test_the_libraries_of_the_hub_are_told(value, known):
    asks = "import sys; sys.argv[1:] = ['--version']; from ddxgraph.cli import main\n"
    asks += "try: main()\nexcept SystemExit: pass\n"
    asks += "import huggingface_hub.constants as hub; print(hub.HF_HUB_OFFLINE)"
    named = {**{k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}, OFFLINE_VARIABLE: value}
    done = subprocess.run([sys.executable, "-c", asks], env=named, capture_output=True, text=True)
    assert done.stdout.split()[-1] == known, done.stderr
