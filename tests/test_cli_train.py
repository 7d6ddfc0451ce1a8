"""`ddxgraph train`: what it asks for, what it refuses, what it prints."""

import json
import signal
import subprocess
import sys
import tomllib

import pytest
from commandline import ddxgraph
from trainset import train_set

from ddxgraph.training.sft.config import presets


@pytest.fixture(scope="module")
def journeys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set") / "journeys"
    train_set(folder, 3, "cot")
    return folder


def test_presets_are_listed_and_printed():
    listed = ddxgraph("train", "presets")
    assert listed.stdout.split() == presets()
    printed = ddxgraph("train", "presets", "smollm2-cpu")
    assert tomllib.loads(printed.stdout)["base_model"] == "smollm2"
    unknown = ddxgraph("train", "presets", "huge")
    assert unknown.returncode == 2
    assert "there is no preset 'huge'" in unknown.stderr


def test_all_settings_are_printed():
    assert set(tomllib.loads(ddxgraph("train", "default-config").stdout)) >= {"data", "lora", "watch"}


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("nowhere",), 2, "is no set of journeys"),
        (("{set}", "--preset", "huge"), 2, "there is no preset 'huge'"),
        (("{set}", "--config", "nowhere.toml"), 2, "cannot read nowhere.toml"),
        (("{set}", "--config", "{bad}"), 2, "the nearest valid key is lora.rank"),
        (("{set}", "--config", "{bad}", "--preset", "tiny-test"), 2, "give --config or --preset"),
        (("{set}", "--base", "{empty}"), 1, "holds no weights in safetensors"),
        (("{set}", "--base", "./nowhere"), 1, "no folder './nowhere'"),
        (("{set}", "--base", "{fake}", "--start", "{empty}"), 1, "cannot start from"),
    ],
)
def test_bad_input_is_a_sentence(journeys, tmp_path, args, code, said):
    (tmp_path / "bad.toml").write_text("[lora]\nrnak = 8\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "model.safetensors").write_bytes(b"")
    names = {
        "fake": tmp_path / "fake",
        "set": journeys,
        "bad": tmp_path / "bad.toml",
        "empty": tmp_path / "empty",
    }
    told = ddxgraph("train", *(arg.format(**names) for arg in args), "--out", tmp_path / "adapter")
    assert told.returncode == code, told.stderr
    assert said in told.stderr.replace("\n", " ")
    assert "Traceback" not in told.stderr
    assert not (tmp_path / "adapter").exists()


@pytest.mark.slow
def test_a_training_from_the_command_line(journeys, tmp_path):
    from bytellama import byte_llama

    base = byte_llama(tmp_path / "bytes")
    (tmp_path / "train.toml").write_text(
        f'base_model = "{base}"\n[optimization]\nepochs = 2\n[watch]\nsample_tokens = 4\n'
    )
    command = ("train", journeys, "--config", tmp_path / "train.toml", "--out", tmp_path / "adapter")
    done = ddxgraph(*command)
    assert done.returncode == 0, done.stderr
    assert "2 steps over 3 samples" in done.stdout
    assert "not a medical device" in done.stdout
    assert "step 0 of 2" in done.stderr
    assert "step 2 of 2, loss" in done.stderr
    assert "tokens/s" in done.stderr
    again = ddxgraph(*command, "--json", "--quiet")
    assert again.returncode == 0
    assert again.stderr == ""
    assert json.loads(again.stdout)["steps"] == 2
    other = ddxgraph(*command[:2], "--base", base, "--out", tmp_path / "adapter")
    assert other.returncode == 1
    assert "holds another adapter" in other.stderr
    merged = ddxgraph("train", "merge", tmp_path / "adapter", "--out", tmp_path / "merged")
    assert merged.returncode == 0, merged.stderr
    assert (tmp_path / "merged" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_makes_a_checkpoint_and_the_same_command_goes_on(journeys, tmp_path, number):
    from bytellama import byte_llama

    base = byte_llama(tmp_path / "bytes")
    (tmp_path / "train.toml").write_text(
        f'base_model = "{base}"\n[optimization]\nepochs = 6\n[watch]\nsamples = 0\ncanaries = 0\n'
    )
    given = ["train", journeys, "--config", tmp_path / "train.toml", "--out", tmp_path / "adapter"]
    command = [sys.executable, "-m", "ddxgraph", *map(str, given)]
    said = []
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # The tests' own parent may have ignored it, as nohup does.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as done:
        assert done.stderr
        for line in done.stderr:
            said.append(line)
            if line.startswith("step 0 of"):
                break
        done.send_signal(number)
        said += done.stderr.readlines()
    assert done.returncode == 130, said
    assert "stopping after this step, with a checkpoint" in "".join(said)
    assert "the same command goes on from it" in said[-1]
    assert not (tmp_path / "adapter").exists()
    assert list((tmp_path / "adapter.training").glob("checkpoint-*"))
    again = ddxgraph(*given)
    assert again.returncode == 0, again.stderr
    assert "step 0 of" not in again.stderr
