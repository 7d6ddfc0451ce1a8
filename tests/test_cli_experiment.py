"""The command line of the experiment: its configurations, and bad input in a sentence."""

import tomllib

import pytest
from commandline import ddxgraph


@pytest.mark.parametrize("size", ["full", "quick"])
def test_the_configurations_are_printed_as_they_ship(size):
    done = ddxgraph("experiment", "default-config", "--size", size)
    assert done.returncode == 0
    told = tomllib.loads(done.stdout)
    assert "longstep" in told["styles"]
    assert "shortcut" in told["styles"]


def test_bad_input_is_said_in_a_sentence(tmp_path):
    done = ddxgraph("experiment", str(tmp_path / "lab.toml"))
    assert done.returncode == 2
    assert done.stderr.startswith("ddxgraph: cannot read")
    assert "Traceback" not in done.stderr
    (tmp_path / "lab.toml").write_text("levels = [9]")
    done = ddxgraph("experiment", str(tmp_path / "lab.toml"))
    assert (done.returncode, "levels must be of 1, 2, 3, 4" in done.stderr) == (2, True)


def test_without_the_data_it_says_how_to_get_them_and_makes_no_folder(tmp_path):
    (tmp_path / "lab.toml").write_text("[gate.decontamination]\nenabled = false")
    done = ddxgraph("experiment", str(tmp_path / "lab.toml"), env={"DDXGRAPH_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 2
    assert "ddxgraph data fetch ddxplus --from PATH" in done.stderr
    assert not (tmp_path / "lab").exists()
