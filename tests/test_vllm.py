"""The graph on a real vLLM, with adapters that are trained here."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import medqa
import pytest
from loggingproxy import logging_proxy

from ddxgraph import Budget, Case, GraphStrategy, Trace, connect, read_cases, read_traces, serve
from ddxgraph.cli.schema import trace_schema
from ddxgraph.common.errors import AdapterError, ServerError
from ddxgraph.serving.adapters.canary import CANARY_FILE, PROMPTS, CanarySet, read_canaries, write_canaries
from ddxgraph.serving.adapters.files import WEIGHTS_FILE, Adapter, read_adapter
from ddxgraph.serving.adapters.liveness import Verdict, verify
from ddxgraph.serving.adapters.loaded import load_adapter, loaded_adapters, unload_adapter
from ddxgraph.serving.adapters.reference import make_canaries
from ddxgraph.serving.address import free_port
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE
from ddxgraph.serving.server import ServedEndpoint
from ddxgraph.serving.weights import dequantized
from ddxgraph.testing import ScriptedChatModel

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("DDXGRAPH_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
MEDQA_DEV = ROOT.parent / "shared" / "data" / "medqa" / "dev.jsonl"
EXAMPLE = ROOT / "examples" / "pneumonia.json"
KEY = "sk-0123456789-in-no-log"
ON_A_CPU = ["--enforce-eager", "--block-size", "32", "--max-model-len", "8192"]

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not PYTHON.exists(), reason="no environment with vLLM; `make vllm` makes one"),
]

STEPS = [
    ("Fever and cough.", "First I review the history. The fever points to an infection, so pneumonia leads.")
]
DOUBTS = [
    (
        "Fever and cough.",
        "Let me think aloud. Hmm, is it influenza instead? The evidence refutes it, so back.",
    )
]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    """Two adapters on the served model, and one on another of the same shape; with canaries."""
    from trained import disturbed, train

    folder, base = tmp_path_factory.mktemp("adapters"), dequantized()
    other = disturbed(base, folder / "other-base")
    made = {
        "steps": train(base, folder / "steps", STEPS, rank=8),
        "doubts": train(base, folder / "doubts", DOUBTS, rank=16),
        "elsewhere": train(other, folder / "elsewhere", STEPS, rank=8),
    }
    for adapter in made.values():
        write_canaries(make_canaries(adapter, prompts=PROMPTS[:4], tokens=16), adapter.folder)
    return made


@pytest.fixture(scope="module")
def port() -> int:
    return free_port("127.0.0.1")


class Engine:
    """A vLLM on one port that a test may kill and start again."""

    def __init__(self, port: int, log: Path) -> None:
        self._port, self._log, self._held = port, log, ExitStack()
        self.endpoint: ServedEndpoint

    def start(self, adapters: Mapping[str, Path] | None = None) -> None:
        self.endpoint = self._held.enter_context(
            serve(
                "smollm2",
                adapters=adapters,
                port=self._port,
                lora_rank=16,
                api_key=KEY,
                python=PYTHON,
                extra=ON_A_CPU,
                log=self._log,
            )
        )

    def kill(self) -> None:
        """As a crash would: engine and workers at once."""
        os.killpg(self.endpoint.process.pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        self._held.close()

    def api(self) -> ServerApi:
        return ServerApi(self.endpoint.base_url, KEY, KEY_VARIABLE, timeout_s=600)


@pytest.fixture(scope="module")
def engine(adapters, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Beside a proxy that the environment names and nothing reaches, since all is on loopback."""
    settings = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0-1"}
    running = Engine(port, tmp_path_factory.mktemp("log") / "engine.log")
    with pytest.MonkeyPatch.context() as patch, logging_proxy() as proxy:
        for name, value in {**settings, **proxy.environment()}.items():
            patch.setenv(name, value)
        try:
            running.start()
            for name in ("steps", "doubts"):
                load_adapter(running.api(), name, adapters[name])
            yield running
        finally:
            running.close()
        assert proxy.for_loopback == []


def environment(engine: Engine, model: str | None = None) -> dict[str, str]:
    told = {**os.environ, URL_VARIABLE: engine.endpoint.base_url, KEY_VARIABLE: KEY}
    return {**told, MODEL_VARIABLE: model or engine.endpoint.model}


def ddxgraph(*args: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ddxgraph", *map(str, args)]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def questions(count: int) -> list[Case]:
    """MedQA's first; where it is not beside the checkout, the example under so many ids."""
    if MEDQA_DEV.is_file():
        return list(islice(medqa.cases(MEDQA_DEV), count))
    case = next(iter(read_cases(EXAMPLE))).case
    return [case.model_copy(update={"id": f"{case.id}-{number}"}) for number in range(count)]


@pytest.fixture
def loaded_as(engine) -> Iterator[Callable[[str, Adapter], None]]:
    """Load adapters for the time of a test."""
    names = []

    def load(name: str, adapter: Adapter) -> None:
        load_adapter(engine.api(), name, adapter)
        names.append(name)

    yield load
    for name in names:
        unload_adapter(engine.api(), name)


@pytest.mark.parametrize("name", ["steps", "doubts"])
def test_an_adapter_that_was_loaded_while_the_engine_ran_is_live(engine, adapters, name):
    found = verify(engine.api(), name, adapters[name], canaries(adapters[name]))
    assert found.verdict is Verdict.LIVE, found
    assert {a.name: a.sha256 for a in loaded_adapters(engine.api())}[name] == adapters[name].sha256


def test_an_adapter_that_was_never_loaded_is_found_out(engine, adapters):
    found = verify(engine.api(), "elsewhere", adapters["elsewhere"], canaries(adapters["elsewhere"]))
    assert found.verdict is Verdict.NOT_LOADED


def test_an_adapter_under_the_name_of_another_is_found_out(engine, adapters, loaded_as):
    loaded_as("swapped", adapters["doubts"])
    found = verify(engine.api(), "swapped", adapters["steps"], canaries(adapters["steps"]))
    assert found.verdict is Verdict.OTHER_WEIGHTS


def test_an_adapter_of_another_base_model_is_found_out(engine, adapters, loaded_as):
    """It loads without a word: its shapes fit."""
    loaded_as("elsewhere", adapters["elsewhere"])
    found = verify(engine.api(), "elsewhere", adapters["elsewhere"], canaries(adapters["elsewhere"]))
    assert found.verdict is Verdict.OTHER_BASE


def test_an_adapter_that_is_listed_and_ignored_is_found_out(engine, adapters, loaded_as, tmp_path):
    """None of its layers is in the model, and vLLM takes it without a word."""
    from safetensors.torch import load_file, save_file

    lost = tmp_path / "lost"
    shutil.copytree(adapters["steps"].folder, lost)
    weights = load_file(lost / WEIGHTS_FILE)
    save_file(
        {key.replace(".layers.", ".strata."): value for key, value in weights.items()}, lost / WEIGHTS_FILE
    )
    adapter = read_adapter(lost)
    loaded_as("lost", adapter)
    found = verify(engine.api(), "lost", adapter, canaries(adapters["steps"]))
    assert found.verdict is Verdict.IGNORED


def test_without_canaries_the_command_computes_them_on_the_spot(engine, adapters, tmp_path):
    bare = tmp_path / "steps"
    shutil.copytree(adapters["steps"].folder, bare, ignore=shutil.ignore_patterns(CANARY_FILE))
    done = ddxgraph("adapters", "verify", "steps", bare, "--base", "smollm2", env=environment(engine))
    assert done.returncode == 0, done.stderr
    assert "'steps' is live" in done.stdout


def test_a_rank_beyond_the_engines_is_refused_with_the_mend(engine, adapters, tmp_path):
    from trained import train

    wide = train(dequantized(), tmp_path / "wide", STEPS, rank=32, steps=1)
    with pytest.raises(AdapterError, match="--lora-rank 32"):
        load_adapter(engine.api(), "wide", wide)
    assert "wide" not in {adapter.name for adapter in loaded_adapters(engine.api())}


def test_adapters_from_outside_the_store_are_refused(engine, adapters):
    with pytest.raises(ServerError, match="outside the folders"):
        engine.api().post(
            "/load_lora_adapter", {"lora_name": "raw", "lora_path": str(adapters["steps"].folder)}
        )


def test_the_graph_solves_cases_on_an_adapter_and_each_trace_names_it(engine, adapters, tmp_path):
    cases, out = case_file(tmp_path, 2), tmp_path / "run"
    done = ddxgraph("run", cases, "--out", out, "--max-backtracks", 0, "-q", env=environment(engine, "steps"))
    assert done.returncode == 0, done.stderr
    traces = list(read_traces(out / "traces.jsonl"))
    assert len(traces) == 2
    for trace in traces:
        check_whole(trace)
        assert trace.provenance.model == engine.endpoint.model
        assert trace.provenance.adapter == "steps"
        assert trace.provenance.adapter_sha256 == adapters["steps"].sha256
        assert trace.provenance.engine.startswith("vllm ")
    assert KEY not in (out / "traces.jsonl").read_text() + (out / "run.json").read_text()


@pytest.mark.parametrize("where", ["vllm", "embedded", "scripted"])
def test_the_same_graph_gives_whole_traces_on(where, engine, monkeypatch):
    for variable in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    at = engine.endpoint
    models = {
        "vllm": lambda: connect(at.base_url, at.model, at.api_key),
        "embedded": lambda: connect(concurrency=1),
        "scripted": ScriptedChatModel,
    }
    strategy = GraphStrategy(budget=Budget(max_backtracks=0))
    trace = asyncio.run(strategy(questions(1)[0], models[where]()))
    check_whole(trace)
    assert [step.node for step in trace.steps[:2]] == ["review_history", "generate_differential"]
    assert trace.steps[-1].node == "conclude"


def test_the_doctor_finds_nothing_missing(engine):
    done = ddxgraph("doctor", "--json", env=environment(engine))
    assert done.returncode == 0, done.stdout


def test_the_key_is_in_no_log_and_in_no_list_of_processes(engine):
    assert KEY not in engine.endpoint.log.read_text()
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "vllm" in listed
    assert KEY not in listed


@pytest.fixture(scope="module")
def measured(engine) -> Mapping[str, Any]:
    if not MEDQA_DEV.is_file():
        pytest.skip("MedQA's dev file is not beside the checkout")
    return measure(engine, rounds=1)


def measure(engine: Engine, rounds: int) -> Mapping[str, Any]:
    """Batches of eight cases, each run and then sent again bare."""
    settings = ["--first", str(8 * rounds), "--rounds", str(rounds), "--concurrency", "8", "--brief"]
    served = ["--base-url", engine.endpoint.base_url, "--model", engine.endpoint.model]
    script = ROOT / "benchmarks" / "saturation.py"
    done = subprocess.run(
        [sys.executable, str(script), str(MEDQA_DEV), *settings, *served],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment(engine),
    )
    return json.loads(done.stdout)


def test_most_of_the_prompts_come_from_the_prefix_cache(measured):
    assert measured["cases"] == 8
    assert measured["cached_share"] >= 0.80


def test_a_batch_has_the_throughput_of_its_bare_requests(engine, measured):
    """A run and its replay are minutes apart on a machine that is not alone: where the first look finds too
    little, the median of three more says whether it was the machine."""
    found = measured["throughput_ratio"]
    if found < 0.95:
        found = median(measure(engine, rounds=3)["throughput_ratio_by_round"])
    assert found >= 0.95


def test_a_batch_outlives_its_engine(engine, adapters, tmp_path):
    """Last: it kills the engine, and the one that takes its place has one adapter."""
    cases, out = case_file(tmp_path, 3), tmp_path / "run"
    command = [sys.executable, "-m", "ddxgraph", "run", str(cases), "--out", str(out), "--concurrency", "2"]
    env = environment(engine, "steps")
    with subprocess.Popen(
        [*command, "--max-backtracks", "0", "--json"], env=env, stdout=subprocess.PIPE
    ) as batch:
        while not lines(out / "traces.jsonl"):
            with suppress(subprocess.TimeoutExpired):
                batch.wait(0.2)
                pytest.fail("the batch ended before the engine was killed")
        engine.kill()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", urlsplit(engine.endpoint.base_url).port))
        engine.start({"steps": adapters["steps"].folder})
        summary = json.loads(batch.communicate()[0])
    assert batch.returncode == 0
    assert summary["outcomes"] == {"answered": 3}
    assert summary["calls_made_again"]
    assert len({trace.id for trace in read_traces(out / "traces.jsonl")}) == 3


def test_nothing_of_the_engine_is_left_when_it_is_stopped(engine):
    group = engine.endpoint.process.pid
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def canaries(adapter: Adapter) -> CanarySet:
    found = read_canaries(adapter)
    assert found
    return found


def case_file(folder: Path, count: int) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("".join(case.model_dump_json() + "\n" for case in questions(count)))
    return path


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def check_whole(trace: Trace) -> None:
    jsonschema.validate(json.loads(trace.to_json()), trace_schema())
    assert trace.outcome == "answered"
    assert trace.answer in trace.case.options
    assert not any(step.failure for step in trace.steps)
    assert sum(trace.distribution.values()) == pytest.approx(1)
