"""Training in several processes, as on several GPUs, on a processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bytellama import byte_llama
from safetensors.torch import load_file
from trainset import train_set

from ddxgraph.training.sft.card import read_training_card
from ddxgraph.training.sft.config import launch_text, launches, read_train_config
from ddxgraph.training.sft.finetune import finetune

pytestmark = pytest.mark.slow

SETTINGS = """
base_model = "{base}"
[lora]
rank = 4
[optimization]
epochs = 2
batch_size = 2
learning_rate = 1e-2
schedule = "constant"
warmup = 0
[machine]
gradient_checkpointing = false
[watch]
samples = 0
canaries = 1
"""


def test_two_processes_divide_a_batch_and_write_one_adapter(tmp_path):
    base = byte_llama(tmp_path / "bytes")
    train_set(tmp_path / "journeys", 4, "cot")
    (tmp_path / "train.toml").write_text(SETTINGS.format(base=base))
    out = tmp_path / "adapter"
    # accelerate's own launcher starts several processes without a GPU by MPI only.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    train = ["train", tmp_path / "journeys", "--config", tmp_path / "train.toml", "--out", out]
    command = [*launch, "-m", "ddxgraph", *map(str, train)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )
    assert done.returncode == 0, done.stderr
    card = read_training_card(out)
    assert (card.hardware.devices, card.steps, card.job.processes) == (2, 4, 2)
    assert (out / "canaries.json").is_file()
    assert not Path(f"{out}.training").exists()

    alone = tmp_path / "alone"
    finetune(tmp_path / "journeys", read_train_config(tmp_path / "train.toml"), alone)
    ours, theirs = (load_file(folder / "adapter_model.safetensors") for folder in (out, alone))
    for name, tensor in ours.items():  # the same batches, summed in another order
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", launches())
def test_the_launch_configurations_are_accelerates(name, tmp_path):
    from accelerate.commands.config.config_args import load_config_from_file

    path = tmp_path / f"{name}.yaml"
    path.write_text(launch_text(name))
    found = load_config_from_file(str(path))
    assert found.num_processes == 8
    assert found.mixed_precision == "bf16"
    assert found.distributed_type.value in {"FSDP", "DEEPSPEED"}
