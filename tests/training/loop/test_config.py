"""The loop's configuration: a file that explains itself, and refusals that name file and key."""

import tomllib

import pytest
from pydantic import BaseModel

from ddxgraph.common.errors import LoopError
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.loop.config import LoopConfig, LoopFile, default_toml, read_loop
from ddxgraph.training.sft.config import train_config


def read(tmp_path, text: str) -> LoopFile:
    path = tmp_path / "loop.toml"
    path.write_text(text)
    return read_loop(path)


def refusal(tmp_path, text: str) -> str:
    with pytest.raises(LoopError) as refused:
        read(tmp_path, text)
    said = str(refused.value)
    assert said.startswith(str(tmp_path / "loop.toml"))
    assert "\n" not in said
    return said.removeprefix(str(tmp_path / "loop.toml")).lstrip(":, ")


def test_the_default_file_is_the_default_configuration(tmp_path):
    assert read(tmp_path, default_toml()).config == LoopConfig()


def test_the_default_file_names_every_setting_and_explains_it():
    lines = default_toml().splitlines()
    named = [line.removeprefix("# ").partition(" =")[0] for line in lines if " =" in line]
    told = tomllib.loads(default_toml())
    for name, field in LoopConfig.model_fields.items():
        assert field.description, name
        assert name in told or name in named
        if isinstance(field.default, BaseModel) and name not in {"gate", "train"}:
            for key, inner in type(field.default).model_fields.items():
                assert key in named, f"{name}.{key}"
                assert inner.description, f"{name}.{key}"


def test_what_a_file_names_counts_and_the_rest_is_default(tmp_path):
    config = read(
        tmp_path, 'rounds = 5\nstart = "base"\n[generate]\nlimit = 20\n[keep]\nalpha = 0.1\n'
    ).config
    assert (config.rounds, config.start, config.generate.limit, config.keep.alpha) == (5, "base", 20, 0.1)
    assert config.evaluate == LoopConfig().evaluate


def test_the_gate_stands_in_the_file_or_in_one_of_its_own(tmp_path):
    inline = read(tmp_path, "[gate]\nseed = 3\n[gate.balance]\nenabled = false\n").config.gate
    (tmp_path / "gate.toml").write_text("seed = 3\n[balance]\nenabled = false\n")
    named = read(tmp_path, 'gate_config = "gate.toml"').config.gate
    assert inline == named == GateConfig.model_validate({"seed": 3, "balance": {"enabled": False}})


def test_the_trainer_is_a_preset_with_what_differs_from_it(tmp_path):
    text = '[train]\npreset = "tiny-test"\n[train.lora]\nrank = 4\n'
    wanted = {"preset": "tiny-test", "lora": {"rank": 4}}
    assert read(tmp_path, text).config.train == train_config(wanted, "here")


def test_paths_begin_where_the_file_lies(tmp_path):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    assert read(tmp_path, 'base_model = "models/mine"').base_model == str(tmp_path / "models" / "mine")
    assert read(tmp_path, 'base_model = "Qwen/Qwen2.5-7B"').base_model == "Qwen/Qwen2.5-7B"
    assert read(tmp_path, 'base_model = "smollm2"').base_model == "smollm2"
    with pytest.raises(LoopError, match="base_model: no folder"):
        _ = read(tmp_path, 'base_model = "./elsewhere"').base_model
    assert read(tmp_path, "").place("cases.jsonl") == tmp_path / "cases.jsonl"


def test_the_split_of_a_benchmark_is_that_of_the_purpose(tmp_path):
    config = read(tmp_path, "").config
    assert (config.generate.USUAL_SPLIT, config.evaluate.USUAL_SPLIT) == ("train", "dev")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("round = 2", "unknown key round; the nearest valid key is rounds"),
        ("[generate]\nsample = 2", "unknown key generate.sample; the nearest valid key is generate.samples"),
        ("[keep]\nalfa = 0.1", "unknown key keep.alfa; the nearest valid key is keep.alpha"),
        ("[gate.balance]\nmax_leter_share = 1.0", "the nearest valid key is balance.max_letter_share"),
        ("[train.lora]\nrang = 8", "unknown key lora.rang; the nearest valid key is lora.rank"),
        ('[train]\npreset = "none"', "there is no preset 'none'"),
        ('[train]\nbase_model = "smollm2"', "base_model belongs at the top"),
        ("rounds = 0", "rounds: "),
        ('start = "last"', "start: "),
        ("[keep]\nalpha = 0", "keep.alpha: "),
        ('[journeys]\nstyle = "haiku"', "journeys.style: "),
        ('[journeys]\nstyle = "cot"\ntries = 2', "tries is for longstep and longmonolog"),
        ("[evaluate]\nreply_tokens = 64", "reply_tokens is for a single generation"),
        ('[engine]\nbase_url = "http://x/v1"\nengine = "vllm"', "set one of the two"),
        ("[engine]\nmerge = true", 'merge: only for an engine that the loop starts; add engine = "vllm"'),
        ("[engine]\nport = 8000", 'port: only for an engine that the loop starts; add engine = "vllm"'),
        ('gate_config = "gate.toml"\n[gate]\nseed = 1', "remove one of them"),
        ('gate_config = "missing.toml"', "gate_config: cannot read"),
        ("gate = 3", "gate must be a section"),
        ("train = 3", "train must be a section"),
        ("generate = 3", "generate: "),
        ("rounds = ", "is no TOML"),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(tmp_path, text, said):
    assert said in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LoopError, match=r"cannot read .*loop\.toml"):
        read_loop(tmp_path / "loop.toml")


@pytest.mark.parametrize(
    ("engine", "waited"),
    [
        ("", 600.0),
        ('engine = "vllm"', 30.0),
        ('engine = "vllm"\npatience_s = 5', 5.0),
        ("patience_s = 0", 0.0),
    ],
)
def test_an_engine_of_the_loops_own_is_not_waited_for_long(tmp_path, engine, waited):
    assert read(tmp_path, f"[engine]\n{engine}\n").config.engine.away_s == waited
