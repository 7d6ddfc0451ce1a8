"""The workshop of the improvement loop on a server: which model is asked for, what is loaded, what is proven."""

from pathlib import Path

import pytest
from adapter_server import Written, adapter_server
from adapterfolder import write_adapter
from bytellama import byte_llama
from canaries import ADAPTED, BASE, canaries_of
from loops import Told
from trainset import train_set

from ddxgraph.common.errors import AdapterError, EndpointError, LoopError, ServerError
from ddxgraph.serving.adapters.canary import write_canaries
from ddxgraph.serving.adapters.files import read_adapter
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE
from ddxgraph.training.loop.config import EngineSettings
from ddxgraph.training.loop.engines import Company, RunningServer, ServedWorkshop
from ddxgraph.training.loop.improve import improve, place_of
from ddxgraph.training.sft.card import read_training_card
from ddxgraph.training.sft.config import TrainConfig, train_config


@pytest.fixture(autouse=True)
def _away_from_the_users_settings(monkeypatch, tmp_path):
    for name in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DDXGRAPH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def adapter(tmp_path) -> Path:
    folder = write_adapter(tmp_path / "round-01" / "adapter")
    write_canaries(canaries_of(read_adapter(folder)), folder)
    return folder


def workshop(**settings) -> ServedWorkshop:
    return ServedWorkshop(RunningServer(EngineSettings(**settings)), TrainConfig(), Company(Told()))


def test_the_base_model_is_the_one_that_is_served():
    with adapter_server() as server, workshop(base_url=server.base_url).served(None) as model:
        assert model.model_name == "smol"
        assert "adapter" not in model.metadata


def test_an_adapter_goes_by_its_round_and_its_hash_and_is_loaded_once(adapter):
    sha256 = read_adapter(adapter).sha256
    with adapter_server() as server:
        for _ in range(2):
            with workshop(base_url=server.base_url).served(adapter) as model:
                assert model.model_name == f"round-01-{sha256[:8]}"
                assert model.metadata["adapter_sha256"] == sha256
        assert len([path for path, _, _ in server.seen if path.endswith("load_lora_adapter")]) == 1


def test_adapters_of_one_round_of_two_loops_do_not_meet(adapter, tmp_path):
    other = write_adapter(tmp_path / "other" / "round-01" / "adapter", seed=1)
    with adapter_server() as server:
        for folder in (adapter, other):
            with workshop(base_url=server.base_url).served(folder) as model:
                assert model.metadata["adapter_sha256"] == read_adapter(folder).sha256
        assert len(server.adapters) == 2


def test_the_address_may_come_from_the_environment_and_the_key_only_from_there(monkeypatch, adapter):
    with adapter_server(api_key="sk-secret") as server:
        monkeypatch.setenv(URL_VARIABLE, server.base_url)
        with pytest.raises((EndpointError, ServerError), match=KEY_VARIABLE), workshop().served(adapter):
            pass
        monkeypatch.setenv(KEY_VARIABLE, "sk-secret")
        with workshop().served(adapter) as model:
            assert model.metadata["adapter"].startswith("round-01-")


def test_a_base_model_that_is_not_served_is_named():
    with adapter_server() as server:
        asked = workshop(base_url=server.base_url, model="other")
        with (
            pytest.raises(EndpointError, match=r"'other' is not served .* to one of: smol"),
            asked.served(None),
        ):
            pass


def test_a_rank_beyond_the_servers_is_refused_with_the_mend(tmp_path):
    wide = write_adapter(tmp_path / "round-01" / "adapter", rank=64)
    with adapter_server() as server:
        asked = workshop(base_url=server.base_url)
        with pytest.raises(AdapterError, match="--lora-rank 64"), asked.served(wide):
            pass


@pytest.mark.parametrize(("applied", "live"), [(True, True), (False, False)])
def test_whether_an_adapter_is_in_force_is_found_out(adapter, applied, live):
    def writes(model: str, prompt) -> Written:
        said = ADAPTED if applied and model != "smol" else BASE
        return Written(said.tokens, said.logprobs)

    with adapter_server(writes=writes) as server:
        asked = workshop(base_url=server.base_url)
        with asked.served(adapter):
            proof = asked.verify(adapter)
    assert (proof.live, proof.verdict) == (live, "live" if live else "ignored")
    assert proof.figures["adapted"]["asked"] == 24
    assert proof.figures["signal"] == pytest.approx(2.8)


def test_the_loops_folder_lies_beside_its_file_unless_another_is_named(tmp_path):
    assert place_of(tmp_path / "first.toml") == tmp_path / "first"
    assert place_of(tmp_path / "first.toml", tmp_path / "else") == tmp_path / "else"


def test_from_python_bad_input_is_an_exception(tmp_path):
    with pytest.raises(LoopError, match="cannot read"):
        improve(tmp_path / "loop.toml", company=Company(Told()))
    assert list(tmp_path.iterdir()) == []


def test_a_training_may_have_a_learning_rate_of_its_own(tmp_path):
    train_set(tmp_path / "journeys", 4, "cot")
    train = train_config(
        {
            "base_model": str(byte_llama(tmp_path / "bytes")),
            "data": {"max_tokens": 8192},
            "optimization": {"max_steps": 1, "learning_rate": 1e-3},
            "watch": {"samples": 0, "canaries": 1},
        },
        "test",
    )
    work = ServedWorkshop(RunningServer(EngineSettings()), train, Company(Told()))
    for name, rate, wanted in (("first", None, 1e-3), ("second", 1e-4, 1e-4)):
        work.train(tmp_path / "journeys", tmp_path / name, None, learning_rate=rate)
        job = read_training_card(tmp_path / name).job
        assert job.config.optimization.learning_rate == wanted
        assert job.config.data == train.data
