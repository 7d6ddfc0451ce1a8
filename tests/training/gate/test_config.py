"""The gate's configuration: a file that explains itself, and refusals that say what was meant."""

import tomllib

import pytest

from ddxgraph.common.errors import GateError
from ddxgraph.training.gate.config import GateConfig, Section, default_toml, read_config
from ddxgraph.training.gate.reasons import Rule


def refusal(tmp_path, text: str) -> str:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(GateError) as refused:
        read_config(path)
    said = str(refused.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


def test_every_rule_has_a_section_that_can_be_switched_off():
    config = GateConfig.model_validate({rule.value: {"enabled": False} for rule in Rule})
    assert not any(getattr(config, rule).enabled for rule in Rule)
    assert all(getattr(GateConfig(), rule).enabled for rule in Rule)


def test_the_default_file_is_the_default_configuration(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text(default_toml())
    assert read_config(path) == GateConfig()


def test_the_default_file_names_and_explains_every_setting():
    text = default_toml()
    told = tomllib.loads(
        text.replace("# max_", "max_").replace("# backtracking", "backtracking").replace(" =\n", " = 1\n")
    )
    sections = {name: set(keys) for name, keys in told.items() if isinstance(keys, dict)}
    defaults = {name: getattr(GateConfig(), name) for name in GateConfig.model_fields if name != "seed"}
    assert sections == {name: set(type(one).model_fields) for name, one in defaults.items()}
    for section in [GateConfig, *map(type, defaults.values())]:
        assert all(field.description for field in section.model_fields.values()), section
    assert all(issubclass(type(one), Section) and type(one).__doc__ for one in defaults.values())


def test_what_a_file_names_counts_and_the_rest_is_default(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text("seed = 7\n[length]\nmin_backtracks = 1\n[decontamination]\nallow_missing = []\n")
    config = read_config(path)
    assert (config.seed, config.length.min_backtracks, config.decontamination.allow_missing) == (7, 1, ())
    assert config.balance == GateConfig().balance


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[balance]\nmax_leter_share = 0.5",
            "unknown key balance.max_leter_share; the nearest valid key is balance.max_letter_share",
        ),
        (
            "[balance]\nmin_backtracks = 1",
            "unknown key balance.min_backtracks; the nearest valid key is length.min_backtracks",
        ),
        ("[decontaminate]\nwords = 8", "unknown key decontaminate; the nearest valid key is decontamination"),
        ("sede = 1", "unknown key sede; the nearest valid key is seed"),
        ("[correct]\nxyz = 1", "unknown key correct.xyz; valid keys of correct are enabled, require_review"),
        ("max_steps = 3", "unknown key max_steps; the nearest valid key is length.max_steps"),
        ("[length]\nmin_steps = 9\nmax_steps = 8", "length: max_steps = 8 is below min_steps = 9"),
        ("[near_duplicates]\nthreshold = 1.5", "near_duplicates.threshold: Input should be less than 1"),
        (
            "[decontamination]\nallow_missing = ['mmlu']",
            "decontamination.allow_missing.0: Input should be 'medqa', 'medbullets' or 'jama'",
        ),
        ("split = 3", "split: Input should be a valid dictionary or instance of Split"),
    ],
)
def test_a_setting_that_is_none_is_refused_by_name(tmp_path, text, said):
    assert refusal(tmp_path, text) == said


def test_all_faults_of_a_file_are_named_at_once(tmp_path):
    said = refusal(tmp_path, "[balance]\nmax_leter_share = 0.5\n[length]\nmin_steps = -1")
    assert "balance.max_leter_share" in said
    assert "length.min_steps" in said


@pytest.mark.parametrize("text", [b"[balance", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_bytes(text)
    with pytest.raises(GateError, match=r"gate\.toml is no TOML: "):
        read_config(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(GateError, match=r"cannot read .*gate\.toml: No such file"):
        read_config(tmp_path / "gate.toml")
