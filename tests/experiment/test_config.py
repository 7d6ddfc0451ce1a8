import pytest

from ddxgraph.common.errors import LoopError
from ddxgraph.experiment.arms import Arm, arms, cases_for, second_round
from ddxgraph.experiment.config import SHIPPED, ExperimentConfig, read_experiment, shipped


@pytest.mark.parametrize("name", SHIPPED)
def test_the_configurations_that_ship_can_be_read(name, tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text(shipped(name))
    config = read_experiment(path).config
    assert config.train.optimization.epochs == 1
    assert not config.gate.decontamination.enabled
    assert config.engine.merge


def test_the_full_size_is_what_the_default_is_but_for_its_machine_and_gate(tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text(shipped("full"))
    full, default = read_experiment(path).config, ExperimentConfig()
    its_own = {"engine": True, "gate": True, "train": True, "spending": {"max_tokens"}}
    assert full.model_dump(exclude=its_own) == default.model_dump(exclude=its_own)
    assert len(full.seeds) >= 2
    assert len(full.levels) * full.test.cases >= 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("levels = [7]", r"levels must be of 1, 2, 3, 4"),
        ("seeds = []", r"seeds and styles must name one at least"),
        ('styles = ["cot"]\nequal_tokens = ["shortcut"]', r"shortcut must be among styles"),
        ('[spending]\nvote = ["graph"]', r"vote is for single generations"),
        ("[teacher]\nmisreads = 0.1", r"teacher\.misreads.*misread"),
        ("[train]\nbase_model = 'x'", r"base_model belongs at the top"),
        ("gate = 3", r"gate must be a section"),
        ("seeds = [", r"is no TOML"),
    ],
)
def test_impossible_settings_are_refused_by_file_and_key(text, said, tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(LoopError, match=rf"lab\.toml.*{said}"):
        read_experiment(path)


def test_every_style_has_an_arm_and_some_a_second_one():
    config = ExperimentConfig(equal_tokens=("cot",))
    assert [arm.name for arm in arms(config)] == [*config.styles, "cot, equal tokens"]
    assert len({arm.folder for arm in [*arms(config), second_round()]}) == 7
    assert Arm("cot, equal tokens", "cot").folder == "cot-equal-tokens"


def test_an_arm_of_equal_tokens_has_more_cases_of_shorter_text():
    assert cases_for(tokens=1000, cases=10, wanted=2500) == 25
    assert cases_for(tokens=10_000, cases=10, wanted=10) == 1
