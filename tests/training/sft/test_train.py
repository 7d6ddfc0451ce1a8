"""Fine-tuning for real, on a Llama of a few thousand parameters: what comes of it, and what a break costs."""

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from bytellama import byte_llama, byte_tokenizer
from safetensors.torch import load_file
from trainset import train_set
from transformers import AutoModelForCausalLM

from ddxgraph.common.errors import Stopped, TrainConfigError, TrainingError
from ddxgraph.serving.adapters.canary import read_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.training.sft.callbacks import Watch
from ddxgraph.training.sft.card import read_training_card
from ddxgraph.training.sft.config import TrainConfig, train_config
from ddxgraph.training.sft.finetune import base_of, finetune, merge_adapter
from ddxgraph.training.sft.job import TrainingJob, work_folder
from ddxgraph.training.sft.supervision import IGNORED, Supervised
from ddxgraph.training.sft.tokens import SideCounts, TokenSide
from ddxgraph.training.sft.train import Hooks, trainer_for

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {
    "data": {"max_tokens": 8192},
    "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
    "optimization": {"epochs": 3.0, "batch_size": 2, "learning_rate": 1e-2, "warmup": 0.0},
    "machine": {"gradient_checkpointing": False},
    "watch": {"save_steps": 2, "samples": 1, "sample_tokens": 4, "canaries": 1},
}


def quick(base: Path | str, **changes: Any) -> TrainConfig:
    table = {key: {**value, **changes.get(key, {})} for key, value in QUICK.items()}
    return train_config({"base_model": str(base), **table}, "test")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return byte_llama(tmp_path_factory.mktemp("base") / "bytes")


@pytest.fixture(scope="module")
def journeys(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "journeys"
    train_set(folder, 6, "cot", validation=0.3)
    return folder


@pytest.fixture(scope="module")
def whole(base, journeys, tmp_path_factory) -> Path:
    """An adapter that was trained without a break."""
    out = tmp_path_factory.mktemp("whole") / "adapter"
    finetune(journeys, quick(base), out)
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def assert_same(ours: Path, theirs: Path, tolerance: float = 0.0) -> None:
    mine, other = weights(ours), weights(theirs)
    assert mine.keys() == other.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, other[name], rtol=0, atol=tolerance, msg=name)


def test_the_folder_holds_adapter_card_canaries_and_samples(whole, base, journeys):
    assert {path.name for path in whole.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "canaries.json",
        "training.json",
        "samples.jsonl",
        "README.md",
    }
    assert not work_folder(whole).exists()
    adapter = read_adapter(whole)
    assert (adapter.rank, adapter.base_model) == (4, str(base))
    card = read_training_card(whole)
    assert card.job.base_sha256 == base_of(str(base)).sha256
    assert set(card.job.data) == {"train.jsonl", "validation.jsonl"}
    assert card.samples + card.validation.used == 6
    # Three passes, in batches of two of which the last is smaller.
    assert card.steps == 3 * -(-card.samples // 2)
    logged = [entry["loss"] for entry in card.losses.log if "loss" in entry]
    assert len(logged) == card.steps
    assert card.train_loss == logged[-1] < logged[0]
    evaluations = [entry for entry in card.losses.log if "eval_loss" in entry]
    assert len(evaluations) == 3
    assert card.validation_loss == evaluations[-1]["eval_loss"]
    known = read_canaries(adapter)
    assert known is not None
    assert known.signal > 0
    samples = [json.loads(line) for line in (whole / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == len(evaluations)
    assert all("Patient" in sample["prompt"] for sample in samples)
    page = (whole / "README.md").read_text()
    assert "Not for clinical use" in page
    assert card.job.data["train.jsonl"] in page


def test_the_same_call_finds_it_done(whole, base, journeys):
    before = {path.name: path.stat().st_mtime_ns for path in whole.iterdir()}
    assert finetune(journeys, quick(base), whole) == read_training_card(whole)
    assert {path.name: path.stat().st_mtime_ns for path in whole.iterdir()} == before
    with pytest.raises(TrainingError, match=r"config\.lora\.rank was 4, now 8"):
        finetune(journeys, quick(base, lora={"rank": 8}), whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from ddxgraph.training.sft.finetune import finetune
from ddxgraph.training.sft.train import Hooks
from test_train import quick

def told(at):
    if at.step == 3:  # a checkpoint was made at step 2
        os.kill(os.getpid(), signal.SIGKILL)

data, base, out = map(Path, sys.argv[1:])
finetune(data, quick(base), out, hooks=Hooks(told=told))
"""


def test_killed_and_resumed_it_has_the_weights_of_an_uninterrupted_training(whole, base, journeys, tmp_path):
    out = tmp_path / "adapter"
    where = os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parent)])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(journeys), str(base), str(out)],
        env={**os.environ, "PYTHONPATH": where},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not out.exists()
    assert (work_folder(out) / "checkpoint-2").is_dir()
    steps = []
    finetune(journeys, quick(base), out, hooks=Hooks(told=lambda at: steps.append(at.step)))
    assert steps[0] == 2
    # Bit for bit on one machine; another processor may round otherwise.
    assert_same(out, whole)


def test_stopped_on_request_it_keeps_a_checkpoint_and_goes_on(whole, base, journeys, tmp_path):
    out = tmp_path / "adapter"
    with pytest.raises(Stopped):
        finetune(journeys, quick(base), out, hooks=Hooks(stop=lambda: True))
    assert not out.exists()
    assert (work_folder(out) / "checkpoint-1").is_dir()
    finetune(journeys, quick(base), out)
    assert_same(out, whole)


def test_half_a_checkpoint_is_passed_over(whole, base, journeys, tmp_path):
    out = tmp_path / "adapter"
    with pytest.raises(Stopped):
        finetune(journeys, quick(base), out, hooks=Hooks(stop=lambda: True))
    shutil.copytree(work_folder(out) / "checkpoint-1", work_folder(out) / "checkpoint-2")
    (work_folder(out) / "checkpoint-2" / "ddxgraph-seal.json").unlink()
    finetune(journeys, quick(base), out)
    assert_same(out, whole)


@pytest.mark.parametrize(
    "name",
    ["optimizer.pt", "scheduler.pt", "rng_state.pth", "adapter_model.safetensors", "trainer_state.json"],
)
def test_a_torn_part_costs_the_steps_since_the_checkpoint_before(whole, base, journeys, tmp_path, name):
    out = tmp_path / "adapter"
    asked = count(1)
    with pytest.raises(Stopped):
        finetune(journeys, quick(base), out, hooks=Hooks(stop=lambda: next(asked) == 3))
    work = work_folder(out)
    assert {path.name for path in work.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-3"}
    torn = work / "checkpoint-3" / name
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    said: list[str] = []
    steps: list[int] = []
    hooks = Hooks(told=lambda at: steps.append(at.step), note=said.append)
    finetune(journeys, quick(base), out, hooks=hooks)
    [sentence] = said
    assert f"{name} is not what was saved; the training goes on from checkpoint-2" in sentence
    assert steps[0] == 2
    assert_same(out, whole)


def test_another_seed_gives_other_weights(whole, base, journeys, tmp_path):
    config = quick(base).model_copy(update={"seed": 1})
    finetune(journeys, config, tmp_path / "adapter")
    with pytest.raises(AssertionError):
        assert_same(tmp_path / "adapter", whole)


def test_it_goes_on_from_an_adapter(whole, base, journeys, tmp_path):
    still = quick(base, optimization={"learning_rate": 1e-12}, watch={"canaries": 0})
    card = finetune(journeys, still, tmp_path / "adapter", start=whole)
    assert card.job.start_sha256 == read_adapter(whole).sha256
    assert_same(tmp_path / "adapter", whole, tolerance=1e-6)
    with pytest.raises(TrainConfigError, match="has rank 4: set that"):
        finetune(journeys, quick(base, lora={"rank": 2}), tmp_path / "other", start=whole)


@pytest.mark.parametrize("checkpointing", [False, True], ids=["kept", "recomputed"])
def test_gradient_checkpointing_changes_nothing_but_memory(base, journeys, tmp_path, checkpointing):
    config = quick(base, lora={"dropout": 0.0}, machine={"gradient_checkpointing": checkpointing})
    card = finetune(journeys, config, tmp_path / "adapter")
    plain = finetune(journeys, quick(base, lora={"dropout": 0.0}), tmp_path / "plain")
    assert card.train_loss == pytest.approx(plain.train_loss, abs=1e-4)


def trainer(base: Path, work: Path, samples: list[Supervised], *, packing: bool) -> Any:
    config = quick(base, data={"max_tokens": 512, "packing": packing}, watch={"samples": 0})
    known = base_of(str(base))
    job = TrainingJob(
        config=config, base_sha256=known.sha256, data={}, style="cot", prompt_hashes=(), start_sha256=None
    )
    learnt = TokenSide(samples, ["" for _ in samples], SideCounts())
    return trainer_for(job, known, None, byte_tokenizer(), [learnt, TokenSide()], work, Watch(None))


def test_packed_samples_do_not_see_each_other(base, tmp_path):
    luck = torch.Generator().manual_seed(5)
    ids = [torch.randint(0, 250, (length,), generator=luck).tolist() for length in (90, 140, 60, 200)]
    samples = [Supervised(each, [IGNORED] * 20 + each[20:]) for each in ids]
    packed = trainer(base, tmp_path / "packed", samples, packing=True)
    [batch] = packed.get_train_dataloader()
    assert batch["input_ids"].shape == (1, sum(map(len, ids)))
    model = packed.model.eval()
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"]).logits[0]
        starts = [*torch.where(batch["position_ids"][0] == 0)[0].tolist(), batch["input_ids"].shape[1]]
        assert len(starts) == len(ids) + 1
        for start, end in pairwise(starts):
            alone = model(input_ids=batch["input_ids"][:, start:end]).logits[0]
            torch.testing.assert_close(together[start:end], alone, rtol=1e-4, atol=1e-5)
        # The same row without the places of its samples does leak: the comparison above can fail.
        leaking = model(input_ids=batch["input_ids"]).logits[0]
        assert not torch.allclose(leaking[starts[1] :], together[starts[1] :], rtol=1e-4, atol=1e-5)
    labels = batch["labels"][0]
    assert (labels != IGNORED).sum() == sum(one.supervised_tokens for one in samples)


def test_packing_trains_on_the_same_tokens(base, journeys, tmp_path):
    card = finetune(journeys, quick(base, data={"packing": True}), tmp_path / "adapter")
    assert card.steps < 3 * card.samples
    trained = max(entry["num_tokens"] for entry in card.losses.log if "num_tokens" in entry)
    assert trained == 3 * card.train.tokens


def test_merged_weights_say_what_base_and_adapter_say(whole, base, tmp_path):
    from peft import PeftModel

    merge_adapter(whole, tmp_path / "merged")
    ids = torch.tensor([[5, 17, 200, 31]])
    with torch.no_grad():
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), whole)(input_ids=ids)
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(input_ids=ids)
        plain = AutoModelForCausalLM.from_pretrained(base)(input_ids=ids)
    torch.testing.assert_close(merged.logits, adapted.logits, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(merged.logits, plain.logits, atol=1e-2)
    with pytest.raises(TrainingError, match="exists"):
        merge_adapter(whole, tmp_path / "merged")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_model": "./nowhere"}, "no folder './nowhere'"),
        ({"lora": {"modules": ["wq"]}}, "lora.modules: "),
        ({"optimization": {"batch_size": 3, "micro_batch_size": 3}}, None),
    ],
    ids=["no base", "no such layer", "an odd batch"],
)
def test_what_cannot_be_trained_is_said_and_leaves_no_adapter(base, journeys, tmp_path, changes, said):
    named = changes.pop("base_model", base)
    config = quick(named, **changes)
    if said is None:
        assert finetune(journeys, config, tmp_path / "adapter").steps == 3 * -(-read_counts(journeys) // 3)
        return
    with pytest.raises((TrainingError, TrainConfigError)) as refused:
        finetune(journeys, config, tmp_path / "adapter")
    assert said in str(refused.value)
    assert not (tmp_path / "adapter").exists()


def read_counts(journeys: Path) -> int:
    from ddxgraph.training.sft.tokens import read_journeys

    return read_journeys(journeys).train.samples


def test_a_batch_that_cannot_be_divided_over_the_devices_is_refused(base, journeys, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(TrainConfigError, match="cannot be divided over 3 processes"):
        finetune(journeys, quick(base), tmp_path / "adapter")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_said_and_the_same_command_goes_on(whole, base, journeys, small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * 980_000)
    with pytest.raises(TrainingError, match="No space left"):
        finetune(journeys, quick(base), small_disk / "adapter")
    assert not (small_disk / "adapter").exists()
    ballast.unlink()
    finetune(journeys, quick(base), small_disk / "adapter")
    assert_same(small_disk / "adapter", whole)
