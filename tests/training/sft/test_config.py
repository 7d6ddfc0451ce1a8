"""The trainer's configuration: presets, files that explain themselves, and refusals that say what was meant."""

import tomllib
from pathlib import Path

import pytest

from ddxgraph.common.errors import TrainConfigError
from ddxgraph.training.sft.config import (
    TrainConfig,
    default_toml,
    overridden,
    preset_text,
    presets,
    read_train_config,
    train_config,
)


def test_the_presets_that_ship():
    assert presets() == ["paper-32b", "paper-72b", "qwen2.5-7b-single-gpu", "smollm2-cpu", "tiny-test"]


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_configuration_of_its_own(name):
    config = train_config({"preset": name}, "here")
    assert config != TrainConfig()
    assert config == train_config(tomllib.loads(preset_text(name)), "here")


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("data.max_tokens=4096", "data.max_tokens", 4096),
        ("data.max_tokens = 4096", "data.max_tokens", 4096),
        ("seed=7", "seed", 7),
        ("optimization.learning_rate=3e-5", "optimization.learning_rate", 3e-5),
        ("base_model=org/model-1.5B", "base_model", "org/model-1.5B"),
        ('base_model="org/a=b"', "base_model", "org/a=b"),
        ("data.chat_template=my own.jinja", "data.chat_template", Path("my own.jinja")),
    ],
)
def test_a_setting_of_the_command_line_is_laid_over_the_others(text, path, value):
    config = overridden(train_config({"preset": "smollm2-cpu"}, "here"), ["seed=1", text])
    found = config
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert config.lora == train_config({"preset": "smollm2-cpu"}, "here").lora


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data.max_tokens", "'data.max_tokens' is no setting: write KEY=VALUE"),
        ("=3", "'=3' is no setting"),
        ("a b=3", "'a b=3' is no setting"),
        ("data.max_token=3", "--set: .*max_tokens"),
        ("data.max_tokens=many", "--set: data.max_tokens"),
        ("data=3", "--set: data"),
    ],
)
def test_what_is_no_setting_is_refused(text, said):
    with pytest.raises(TrainConfigError, match=said):
        overridden(TrainConfig(), [text])


@pytest.mark.parametrize("size", ["32b", "72b"])
def test_the_papers_presets_say_where_their_figures_come_from(size):
    config = train_config({"preset": f"paper-{size}"}, "here")
    moved = config.optimization
    assert (moved.learning_rate, moved.batch_size, moved.epochs) == (1e-4, 8, 3.0)
    assert f"{size.upper()}-Instruct" in config.base_model
    assert "secondary source" in preset_text(f"paper-{size}")


def test_the_default_file_is_the_default_configuration(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text(default_toml())
    assert read_train_config(path) == TrainConfig()


def test_every_setting_is_explained():
    told = default_toml()
    for section in TrainConfig.model_fields.values():
        assert section.description
        for name, field in getattr(type(section.default), "model_fields", {}).items():
            assert field.description
            assert f"{name} =" in told


def test_what_a_file_names_is_laid_over_its_preset(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text('preset = "smollm2-cpu"\nseed = 7\n[lora]\nrank = 4\n')
    config = read_train_config(path)
    below = train_config({"preset": "smollm2-cpu"}, "here")
    assert (config.seed, config.lora.rank, config.lora.alpha) == (7, 4, below.lora.alpha)
    assert config.optimization == below.optimization


def test_a_template_is_sought_beside_the_file(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text('[data]\nchat_template = "own.jinja"\n')
    assert read_train_config(path).data.chat_template == tmp_path / "own.jinja"
    absolute = train_config({"data": {"chat_template": "/x/own.jinja"}}, path).data.chat_template
    assert absolute == Path("/x/own.jinja")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[lora]\nrnak = 8", "unknown key lora.rnak; the nearest valid key is lora.rank"),
        ("rank = 8", "unknown key rank; the nearest valid key is lora.rank"),
        ('preset = "huge"', "there is no preset 'huge'; there are paper-32b"),
        ("[optimization]\nlearning_rate = -1", "optimization.learning_rate: Input should be greater than 0"),
        ("[optimization]\nbatch_size = 8\nmicro_batch_size = 3", "not a multiple of micro_batch_size = 3"),
        ('[data]\ntoo_long = "ignore"', "data.too_long"),
        ("[lora", "is no TOML"),
    ],
)
def test_a_refusal_names_the_key_and_what_was_meant(tmp_path, text, said):
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(TrainConfigError) as refused:
        read_train_config(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainConfigError, match=r"cannot read .*nowhere\.toml"):
        read_train_config(tmp_path / "nowhere.toml")
