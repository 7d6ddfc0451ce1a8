"""`ddxgraph adapters` as a user meets it: streams, exit codes, sentences."""

import json
import os
import subprocess
import sys

import pytest
from adapter_server import adapter_server
from adapterfolder import write_adapter
from canaries import ADAPTED, BASE, canaries_of, written
from commandline import ddxgraph
from loggingproxy import logging_proxy

from ddxgraph.serving.adapters.canary import write_canaries
from ddxgraph.serving.adapters.files import read_adapter

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server():
    """A server on which the adapter `journey`, once it is loaded, is live."""
    with adapter_server() as running:
        running.writes = lambda model, prompt: written(ADAPTED if model == "journey" else BASE)
        yield running


@pytest.fixture
def folder(tmp_path):
    """An adapter with its canaries."""
    adapter = read_adapter(write_adapter(tmp_path / "adapter"))
    write_canaries(canaries_of(adapter), adapter.folder)
    return adapter.folder


@pytest.fixture
def adapters(tmp_path, server, monkeypatch):
    """The command, beside a proxy that the environment names and nothing reaches, since all is on loopback."""
    monkeypatch.chdir(tmp_path)
    with logging_proxy() as proxy:

        def run(*args, **more):
            own = {"DDXGRAPH_BASE_URL": server.base_url, "DDXGRAPH_CACHE": str(tmp_path / "cache")}
            return ddxgraph("adapters", *args, env={**proxy.environment(), **own, **more})

        yield run
        assert proxy.seen == []


def test_an_adapter_is_loaded_listed_verified_and_unloaded(adapters, folder):
    sha256 = read_adapter(folder).sha256
    done = adapters("load", f"journey={folder}")
    assert (done.returncode, done.stdout) == (0, f"journey on smol: sha256 {sha256}\n")
    assert f"ddxgraph adapters verify journey {folder}" in done.stderr
    done = adapters("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["name", "base", "sha256"],
        ["journey", "smol", sha256],
    ]
    done = adapters("verify", "journey", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "adapter against its canaries       24 of 24 tokens, 0.000 nats apart" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("'journey' is live")
    done = adapters("unload", "journey")
    assert (done.returncode, done.stdout) == (0, "journey is unloaded\n")
    done = adapters("list")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no adapters\n")


def test_the_list_as_json_is_json(adapters, server):
    server.adapters["[bold]journey"] = "/adapters/journey"
    assert json.loads(adapters("list", "--json").stdout) == [
        {"name": "[bold]journey", "base": "smol", "path": "/adapters/journey", "sha256": None}
    ]
    assert "[bold]journey  smol  unknown (/adapters/journey)" in adapters("list").stdout


@pytest.mark.parametrize(
    ("loaded", "said", "verdict", "code"),
    [
        (True, ADAPTED, "live", 0),
        (True, BASE, "ignored", 1),
        (False, ADAPTED, "not loaded", 1),
    ],
)
def test_the_verdict_as_json_is_json_with_its_exit_code(
    adapters, server, folder, loaded, said, verdict, code
):
    if loaded:
        server.adapters["journey"] = str(folder)
    server.writes = lambda model, prompt: written(said if model == "journey" else BASE)
    done = adapters("verify", "journey", folder, "--json")
    assert done.returncode == code, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["name"], figures["verdict"], figures["tolerance"]) == ("journey", verdict, 0.1)
    assert figures["signal"] == pytest.approx(2.8)
    assert (figures["base"] is None) == (not loaded)
    if loaded:
        assert figures["base"] == {"asked": 24, "compared": 24, "difference": 0.0}
    assert (done.stderr == "") == (code == 0)


def test_a_script_learns_from_exit_code_and_json_alone(server, folder):
    server.adapters["journey"] = str(folder)
    server.writes = lambda model, prompt: written(BASE)
    command = [sys.executable, "-m", "ddxgraph", "adapters", "verify", "journey", str(folder), "--json"]
    named = {"DDXGRAPH_BASE_URL": server.base_url, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, capture_output=True, env={**os.environ, **named}, timeout=120)
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "ignored"


def test_what_is_not_proven_is_said_with_its_mend_and_exit_code_1(adapters, server, folder):
    server.adapters["journey"] = str(folder)
    server.writes = lambda model, prompt: written(BASE)
    done = adapters("verify", "journey", folder)
    assert done.returncode == 1
    assert "is live" not in done.stdout
    assert "ddxgraph: 'journey' answers as its base model 'smol' does" in done.stderr
    assert f"ddxgraph adapters load journey={folder}" in done.stderr


def test_the_tolerance_is_an_option(adapters, server, folder):
    server.adapters["journey"] = str(folder)
    assert adapters("verify", "journey", folder, "--tolerance", "2").returncode == 1
    assert adapters("verify", "journey", folder, "--tolerance", "-1").returncode == 2


def test_canaries_of_other_weights_are_not_used(adapters, server, folder):
    write_adapter(folder, seed=1)
    server.adapters["journey"] = str(folder)
    done = adapters("verify", "journey", folder)
    assert done.returncode == 1
    assert f"make it anew: ddxgraph adapters canaries {folder}" in done.stderr


@pytest.mark.parametrize("pair", ["journey", "=adapter", "journey=", " =adapter", ""])
def test_a_pair_that_is_none_is_bad_input(adapters, server, pair):
    done = adapters("load", pair)
    assert done.returncode == 2
    assert f"load {pair!r}: write it as NAME=PATH" in done.stderr
    assert server.seen == []


def test_a_folder_that_is_no_adapter_is_a_sentence(adapters, server, folder):
    done = adapters("load", "journey=nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "ddxgraph: no folder 'nowhere'; an adapter is the folder that PEFT's" in done.stderr
    (folder / "adapter_model.safetensors").write_bytes(b"half of it")
    assert "damaged" in adapters("verify", "journey", folder).stderr
    assert server.adapters == {}


def test_without_a_server_the_variable_is_named(adapters, folder):
    done = adapters("list", DDXGRAPH_BASE_URL="")
    assert done.returncode == 1
    assert "no server is named: set DDXGRAPH_BASE_URL, or give --base-url" in done.stderr


def test_the_server_may_be_named_by_an_option(adapters, server, folder):
    def elsewhere(*args):
        done = adapters(*args, "--base-url", server.base_url, DDXGRAPH_BASE_URL="http://127.0.0.1:9/v1")
        assert done.returncode == 0, done.stderr

    elsewhere("load", f"journey={folder}")
    elsewhere("list")
    elsewhere("verify", "journey", folder)
    elsewhere("unload", "journey")


def test_the_key_is_sent_and_stands_in_no_output(adapters, server, folder):
    server.api_key = KEY
    said = ""
    for args in (["load", f"journey={folder}"], ["list", "--json"], ["verify", "journey", folder]):
        done = adapters(*args, DDXGRAPH_API_KEY=KEY)
        assert done.returncode == 0, done.stderr
        said += done.stdout + done.stderr
    assert KEY not in said
    done = adapters("list", DDXGRAPH_API_KEY="another")
    assert done.returncode == 1
    assert "refuses the API key; set DDXGRAPH_API_KEY" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no prompts"),
        (b" \n\n", "holds no prompts"),
        (b"\xff", "as UTF-8 text"),
        (None, "No such file"),
    ],
)
def test_prompts_that_are_none_are_bad_input(adapters, folder, tmp_path, content, said):
    if content is not None:
        (tmp_path / "prompts.txt").write_bytes(content)
    done = adapters("canaries", folder, "--prompts", "prompts.txt")
    assert done.returncode == 2
    assert said in done.stderr


def test_an_adapter_that_names_no_base_model_asks_for_one(adapters, tmp_path):
    write_adapter(tmp_path / "adapter", base_model_name_or_path=None)
    done = adapters("canaries", "adapter")
    assert done.returncode == 1
    assert "does not say what it was trained on; name it with --base" in done.stderr


@pytest.mark.parametrize("command", [["canaries"], ["merge"]])
def test_a_base_model_of_the_hub_that_an_adapter_names_is_asked_about(adapters, tmp_path, command):
    write_adapter(tmp_path / "adapter", base_model_name_or_path="someone/evil-7b")
    if command == ["merge"]:
        done = ddxgraph("train", "merge", "adapter", "--out", "merged")
    else:
        done = adapters("canaries", "adapter")
    assert done.returncode == 2
    assert "if that is right, say so with --base someone/evil-7b" in done.stderr
