"""Training and serving for real, on one vLLM: journeys learnt by heart, and a loop killed in every stage."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from loggingproxy import logging_proxy
from loops import Told

from ddxgraph import read_traces, serve
from ddxgraph.common.errors import ServerError
from ddxgraph.serving.adapters.canary import read_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.adapters.liveness import Verdict, verify
from ddxgraph.serving.adapters.loaded import load_adapter
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, URL_VARIABLE
from ddxgraph.serving.server import ServedEndpoint
from ddxgraph.training.loop.config import EngineSettings
from ddxgraph.training.loop.engines import Company, OwnServer, ServedWorkshop
from ddxgraph.training.sets.samples import read_samples
from ddxgraph.training.sft.config import Lora, TrainConfig, read_train_config

ROOT = Path(__file__).parents[1]
PYTHON = Path(os.environ.get("DDXGRAPH_VLLM_PYTHON", ROOT / ".venv-vllm" / "bin" / "python"))
KEY = "sk-9876543210-in-no-file"
# In float32, as it is trained: between tokens that are nearly alike to a random model, bfloat16 chooses others.
ON_A_CPU = ["--enforce-eager", "--block-size", "32", "--max-model-len", "8192", "--dtype", "float32"]
BRIEF = "SmolLM2-135M-tiny-test"
"""The served name: of a model of the shipped one's family brief replies are asked for."""

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(not PYTHON.exists(), reason="no environment with vLLM; `make vllm` makes one"),
]

# A random model quotes nothing, is right by chance and weighs at random: what its traversals are worth is not at
# stake here, so every rule that asks for it is off.
LOOP = """
rounds = 2
base_model = "base"
[generate]
cases = "train.jsonl"
samples = 1
temperature = 1.0
concurrency = 4
max_backtracks = 0
[journeys]
style = "graph"
[evaluate]
cases = "validation.jsonl"
strategy = "vanilla"
concurrency = 4
[gate]
correct.enabled = false
ended.enabled = false
length.enabled = false
evidence.enabled = false
findings.enabled = false
repetition.enabled = false
decontamination.enabled = false
near_duplicates.enabled = false
balance.enabled = false
split.enabled = false
[train]
preset = "tiny-test"
[train.data]
max_tokens = 700
too_long = "truncate"
unreadable = "drop"
[train.optimization]
max_steps = 4
epochs = 4.0
batch_size = 2
micro_batch_size = 1
[train.watch]
save_steps = 2
"""

KILLED_AT = [
    "base: evaluate",
    "round 1: generate",
    "round 1: journeys",
    "step 0 of",
    "round 1: serve",
    "round 1: verify",
    "round 1: evaluate",
    "round 1: compare",
    "round 2: generate",
    "round 2: train",
    "round 2: evaluate",
]
"""Lines of the command's progress, each in another stage."""


def cases(first: int, count: int) -> str:
    ages = range(first, first + count)
    rows = [
        {
            "id": f"cough-{age}",
            "vignette": f"A {age}-year-old man has had a cough and 39.{age % 10} degrees for {age % 7 + 1} days.",
            "question": "Which diagnosis is most likely?",
            "options": {"A": "Pneumonia", "B": "Asthma"},
            "answer": "AB"[age % 2],
        }
        for age in ages
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tinyllama import tiny_llama

    folder = tmp_path_factory.mktemp("improve")
    tiny_llama(folder / "base")
    (folder / "train.jsonl").write_text(cases(30, 4))
    (folder / "validation.jsonl").write_text(cases(60, 4))
    (folder / "loop.toml").write_text(LOOP)
    return folder


@pytest.fixture(scope="module")
def engine(place: Path) -> Iterator[ServedEndpoint]:
    """Beside a proxy that the environment names and nothing reaches, since all is on loopback."""
    settings = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": "0-1"}
    with pytest.MonkeyPatch.context() as patch, logging_proxy() as proxy:
        for name, value in {**settings, **proxy.environment()}.items():
            patch.setenv(name, value)
        with serve(
            place / "base",
            name=BRIEF,
            lora_rank=32,
            api_key=KEY,
            python=PYTHON,
            extra=ON_A_CPU,
            log=place / "engine.log",
        ) as endpoint:
            yield endpoint
        assert proxy.for_loopback == []


def command(place: Path, engine: ServedEndpoint, *more: str) -> tuple[list[str], dict[str, str]]:
    env = {**os.environ, URL_VARIABLE: engine.base_url, KEY_VARIABLE: KEY}
    return [sys.executable, "-m", "ddxgraph", "improve", str(place / "loop.toml"), *more], env


def killed_at(line: str, place: Path, engine: ServedEndpoint) -> list[str]:
    """Run the command until it says a line, and kill it then; what it has said."""
    arguments, env = command(place, engine)
    said = []
    with subprocess.Popen(
        arguments, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as done:
        assert done.stderr
        for each in done.stderr:
            said.append(each.strip())
            if said[-1].startswith(line) and "done already" not in said[-1]:
                done.kill()
                break
        done.stderr.read()
    assert done.returncode == -signal.SIGKILL, "\n".join(said)
    return said


@pytest.fixture(scope="module")
def finished(place: Path, engine: ServedEndpoint) -> tuple[Path, list[list[str]]]:
    """The loop, killed in each stage and started again, to its end."""
    said = [killed_at(line, place, engine) for line in KILLED_AT]
    arguments, env = command(place, engine)
    done = subprocess.run(arguments, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place / "loop", [*said, done.stderr.splitlines()]


def test_the_summary_is_whole(finished):
    folder, _ = finished
    told = json.loads((folder / "summary.json").read_text())
    assert (told["state"], len(told["rounds"])) == ("done", 2)
    for one in told["rounds"]:
        assert one["gathered"]["traversals"] == 4
        assert one["gathered"]["train"] >= 1
        assert one["trained"]["supervised_tokens"] > 0
        assert (one["proof"]["live"], one["proof"]["verdict"]) == (True, "live")
        assert one["proof"]["figures"]["signal"] > 0.2
        assert one["evaluated"]["traversals"] == 4
        assert one["evaluated"]["unscored"] == 0
        assert one["decision"]["kept"]
        assert one["decision"]["comparison"]["n"] == 4
    assert told["rounds"][1]["decision"]["comparison"]["a"] == "round-01"
    for name in ("summary.md", "summary.html"):
        assert "not a medical device" in (folder / name).read_text()


def test_each_traversal_is_there_once_and_names_what_made_it(finished):
    folder, _ = finished
    adapters = [read_adapter(folder / f"round-0{number}" / "adapter").sha256 for number in (1, 2)]
    assert adapters[0] != adapters[1]
    made = {
        "base": None,
        "round-01/run": None,
        "round-01/evaluation": adapters[0],
        "round-02/run": adapters[0],
        "round-02/evaluation": adapters[1],
    }
    ids = []
    for name, sha256 in made.items():
        traces = list(read_traces(folder / name / "traces.jsonl"))
        assert len(traces) == 4, name
        assert {trace.provenance.adapter_sha256 for trace in traces} == {sha256}
        assert {trace.provenance.model for trace in traces} == {BRIEF}
        ids += [trace.id for trace in traces]
    assert len(set(ids)) == len(ids)


def test_the_second_adapter_was_trained_from_the_first(finished):
    folder, _ = finished
    cards = [json.loads((folder / f"round-0{n}" / "adapter" / "training.json").read_text()) for n in (1, 2)]
    first = read_adapter(folder / "round-01" / "adapter").sha256
    assert [card["job"]["start_sha256"] for card in cards] == [None, first]


def test_what_was_done_before_a_kill_is_not_done_again(finished):
    _, said = finished
    for number, later in enumerate(said[1:]):
        assert "base: evaluate" not in later or number == 0
    assert "round 1: train is done already" in said[KILLED_AT.index("round 1: verify")]
    assert "round 1: compare is done already" in said[-1]


def test_nothing_half_made_is_left(finished):
    folder, _ = finished
    left = [path.name for path in folder.rglob("*") if path.name.endswith((".new", ".training"))]
    # A killed process leaves the folder in which it was writing a set.
    assert [name for name in left if not name.startswith(".journeys.")] == []


def test_the_key_is_in_no_file(finished):
    folder, _ = finished
    assert not [path for path in folder.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_again_there_is_nothing_to_do(finished, place, engine):
    arguments, env = command(place, engine, "--json")
    done = subprocess.run(
        arguments, env={**env, URL_VARIABLE: "http://127.0.0.1:9/v1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "done"


def test_an_engine_of_the_loops_own_serves_the_same_and_makes_room_for_a_training(finished, place, engine):
    folder, _ = finished
    settings = EngineSettings(engine="vllm", python=str(PYTHON), extra=tuple(ON_A_CPU))
    train = TrainConfig(base_model=str(place / "base"), lora=Lora(rank=32))
    own = OwnServer(settings, train, str(PYTHON), place / "own.log", nullcontext)
    workshop = ServedWorkshop(own, train, Company(Told()))
    adapter = folder / "round-02" / "adapter"
    try:
        with workshop.served(adapter) as model:
            assert model.metadata["adapter_sha256"] == read_adapter(adapter).sha256
            assert workshop.verify(adapter).live
        url = own.url()
        own.rest()
        with pytest.raises(ServerError):
            ServerApi(url, None, KEY_VARIABLE).get("/models")
    finally:
        own.close()


BY_HEART = """
preset = "tiny-test"
[lora]
rank = 32
alpha = 64
[optimization]
epochs = 30.0
batch_size = 2
micro_batch_size = 2
learning_rate = 3e-3
schedule = "linear"
[watch]
samples = 0
canaries = 1
save_steps = 1000
"""


def test_eight_journeys_are_learnt_by_heart_and_one_is_written_again_by_the_server(place, engine):
    from trainset import train_set

    from ddxgraph.training.sft.finetune import finetune

    manifest = train_set(place / "eight", 8, "cot")
    assert manifest.train.samples == 8
    (place / "by-heart.toml").write_text(f'base_model = "{place / "base"}"\n{BY_HEART}')
    card = finetune(place / "eight", read_train_config(place / "by-heart.toml"), place / "by-heart")
    losses = [entry["loss"] for entry in card.losses.log if "loss" in entry]
    assert sum(losses[-4:]) / 4 < 0.1, losses

    api = ServerApi(engine.base_url, KEY, KEY_VARIABLE, timeout_s=600)
    adapter = read_adapter(place / "by-heart")
    load_adapter(api, "by-heart", adapter)
    assert verify(api, "by-heart", adapter, read_canaries(adapter)).verdict is Verdict.LIVE
    told = {}
    for record in read_samples(place / "eight" / "train.jsonl", "messages"):
        asked = {"model": "by-heart", "temperature": 0, "max_tokens": 400}
        messages = [message.model_dump() for message in record.messages[:-1]]
        answer = api.post("/chat/completions", {**asked, "messages": messages})
        told[record.messages[-1].content] = answer["choices"][0]["message"]["content"]
    again = [journey for journey, said in told.items() if said == journey]
    assert again, told
