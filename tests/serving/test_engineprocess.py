"""The embedded engine as a process of its own, with its real model."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from ddxgraph import Budget, Case, asolve, build_graph, connect, read_cases
from ddxgraph.common.errors import EndpointError
from ddxgraph.serving.engine import ENGINE_KEY_VARIABLE, PROCESS_MODULE, Listening
from ddxgraph.serving.engineprocess import EngineError, main, start
from ddxgraph.serving.llamacpp import LlamaCppChatModel
from ddxgraph.serving.weights import SMOLLM2, pull

ENGINE = [sys.executable, "-m", PROCESS_MODULE]
KEY = "sk-very-secret-0123456789"
CONTEXT = 8_192
EXAMPLE = next(read_cases(Path(__file__).parents[2] / "examples" / "pneumonia.json")).case
OTHER = Case(
    vignette="A 45-year-old woman has had colicky pain in the right upper abdomen after meals for a month.",
    question="What is the most likely diagnosis?",
    options={"A": "Gallstones", "B": "Peptic ulcer", "C": "Pancreatitis", "D": "Hepatitis"},
)


class Running(NamedTuple):
    process: subprocess.Popen[str]
    base_url: str
    said: str
    """On stderr, until it serves."""


def started(*arguments: str, key: str | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != ENGINE_KEY_VARIABLE}
    return subprocess.Popen(
        [*ENGINE, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, **({ENGINE_KEY_VARIABLE: key} if key else {})},
    )


@contextmanager
def running(*arguments: str, key: str | None = None) -> Iterator[Running]:
    with started("--model", str(pull(SMOLLM2)), *arguments, key=key) as process:
        try:
            yield served(process)
        finally:
            process.kill()


def served(process: subprocess.Popen[str]) -> Running:
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        address = re.search(r" is served at (\S+)$", line)
        if address:
            return Running(process, address[1], said)
    raise AssertionError(said)


def failed(*arguments: str, key: str | None = None) -> tuple[int, str]:
    """Exit code and stderr of an engine that cannot serve."""
    process = started(*arguments, key=key)
    _, said = process.communicate(timeout=120)
    assert "Traceback" not in said
    assert "Warning" not in said
    return process.returncode, said


@pytest.fixture(scope="module")
def engine() -> Iterator[Running]:
    arguments = ["--name", SMOLLM2.name, "--slots", "2", "--context", str(CONTEXT)]
    with running(*arguments, key=KEY) as up:
        yield up


def header(key: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.alone
class TestServing:
    def test_it_serves_the_model_by_its_name_with_its_window_behind_its_key(self, engine):
        url = f"{engine.base_url}/models"
        assert httpx.get(url).status_code == httpx.get(url, headers=header("sk-other")).status_code == 401
        answer = httpx.get(url, headers={**header(KEY), "Origin": "https://page.example"})
        (model,) = answer.json()["data"]
        assert (model["id"], model["owned_by"]) == (SMOLLM2.name, "llamacpp")
        assert model["meta"]["n_ctx"] == CONTEXT
        assert "access-control-allow-origin" not in answer.headers

    def test_a_wrong_key_is_refused_with_the_variable_to_set(self, engine):
        with pytest.raises(EndpointError, match="DDXGRAPH_API_KEY"):
            connect(engine.base_url, api_key="sk-other")

    def test_a_slot_that_it_lacks_is_no_error(self, engine):
        body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1, "id_slot": 99}
        url = f"{engine.base_url}/chat/completions"
        assert httpx.post(url, json=body, headers=header(KEY), timeout=120).status_code == 200

    async def test_conversations_at_once_keep_their_cache_as_on_an_engine_of_their_own(self, engine):
        model = connect(engine.base_url, api_key=KEY)
        assert isinstance(model, LlamaCppChatModel)
        graph = build_graph(model, budget=Budget(max_backtracks=0))
        traces = await asyncio.gather(asolve(graph, EXAMPLE), asolve(graph, OTHER))
        for trace in traces:
            assert trace.outcome == "answered"
            assert trace.distribution_from == "logprobs"
            assert trace.usage.calls <= 9
            assert trace.usage.completion_tokens <= 900
            assert trace.usage.cache_share is not None
            assert trace.usage.cache_share >= 0.80
            assert not any("\n" in step.text for step in trace.steps)
            assert trace.provenance.model == SMOLLM2.name
            assert trace.provenance.engine.startswith("llama.cpp (xllamacpp ")
            assert trace.strategy.context_window == CONTEXT

    def test_a_busy_port_is_named(self, engine):
        port = engine.base_url.rpartition(":")[2].removesuffix("/v1")
        code, said = failed("--model", str(pull(SMOLLM2)), "--name", "second", "--port", port)
        assert code == 1
        assert f"\ncannot listen on port {port} of 127.0.0.1" in said

    def test_asked_to_stop_in_the_middle_of_a_reply_it_ends_at_once_and_has_logged_no_secrets(self):
        with running("--name", "tiny", "--context", "2048", key=KEY) as up:
            body = {
                "messages": [{"role": "user", "content": "Tell a story of Xanthippe."}],
                "stream": True,
                "ignore_eos": True,
            }
            url = f"{up.base_url}/chat/completions"
            with httpx.stream("POST", url, json=body, headers=header(KEY), timeout=120) as reply:
                next(reply.iter_bytes())
                up.process.send_signal(signal.SIGTERM)
                assert up.process.wait(10) == 0
            assert up.process.stderr is not None
            assert up.process.stdout is not None
            log = up.said + up.process.stderr.read()
            assert up.process.stdout.read() == ""
        assert "model loaded" in log
        assert "Xanthippe" not in log
        assert KEY not in log

    def test_it_ends_with_its_standard_input_and_serves_without_a_key_on_loopback(self):
        with running("--name", "tiny", "--context", "2048") as up:
            assert httpx.get(f"{up.base_url}/models").json()["data"][0]["id"] == "tiny"
            assert up.process.stdin is not None
            up.process.stdin.close()
            assert up.process.wait(10) == 0


@pytest.mark.alone
def test_it_does_not_outlive_a_starter_that_was_killed():
    script = (
        "import subprocess, sys\n"
        "engine = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)\n"
        "for line in engine.stderr:\n"
        "    print(line, end='', flush=True)\n"
    )
    command = [*ENGINE, "--name", "tiny", "--context", "2048", "--model", str(pull(SMOLLM2))]
    with subprocess.Popen(
        [sys.executable, "-c", script, *command], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert any(" is served at " in line for line in starter.stdout)
        starter.kill()
        starter.communicate(
            timeout=20
        )  # the engine has this pipe as well: it closes with the last of the two


def test_what_it_cannot_do_it_says_and_exits_1(tmp_path):
    assert failed("--model", str(tmp_path / "tiny.gguf"), "--name", "tiny") == (
        1,
        f"\nno file '{tmp_path}/tiny.gguf'\n",
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_without_a_key_it_is_not_opened_to_other_machines(host, monkeypatch, capsys):
    monkeypatch.delenv(ENGINE_KEY_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["--model", "tiny.gguf", "--name", "tiny", "--host", host])
    assert ended.value.code == 2
    assert ENGINE_KEY_VARIABLE in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["--slots=0", "--slots=many", "--context=-1", "--port=65536", "--port=-1"])
def test_a_number_out_of_range_is_named(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--model", "tiny.gguf", "--name", "tiny", wrong])
    assert ended.value.code == 2
    assert f"argument {wrong.partition('=')[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"not a model", b"", b"GGU"])
def test_a_file_that_is_no_gguf_is_named(tmp_path, content):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(EngineError, match=r"model\.gguf' is no GGUF file"):
        start(file, "tiny", 1, 2_048, Listening("127.0.0.1", 0, None))


@pytest.mark.alone
def test_a_gguf_that_llama_cpp_cannot_read_is_named_and_its_log_says_why(tmp_path):
    file = tmp_path / "model.gguf"
    with pull(SMOLLM2).open("rb") as whole:
        file.write_bytes(whole.read(1 << 20))
    code, said = failed("--model", str(file), "--name", "tiny")
    assert code == 1
    assert f"\nllama.cpp cannot load {str(file)!r}" in said
    assert "failed to load model" in said
