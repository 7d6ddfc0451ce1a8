import shutil

import pytest
from adapterfolder import write_adapter
from journeys import AT_ONCE

from ddxgraph import Case, build_graph, solve
from ddxgraph.common.errors import EndpointError
from ddxgraph.graph.trace import provenance_of
from ddxgraph.nodes.settings import Sampling
from ddxgraph.serving.adapters.files import put, read_adapter
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE, connect
from ddxgraph.serving.weights import CACHE_VARIABLE
from ddxgraph.testing import ScriptedChatModel

CASE = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
HASH = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    for variable in (URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def known(model):
    names = ("base_model", "adapter", "adapter_sha256", "engine")
    return {name: model.metadata[name] for name in names if name in model.metadata}


def test_a_stored_adapter_is_known_by_its_hash_with_its_base(server, adapter):
    server.adapters["journey"] = str(put(adapter))
    model = connect(server.base_url, "journey")
    assert known(model) == {
        "base_model": "smol",
        "adapter": "journey",
        "adapter_sha256": adapter.sha256,
        "engine": "vllm 0.32.0",
    }
    assert model.profile == {"max_input_tokens": 8_192}


def test_an_adapter_in_a_store_of_another_machine_is_known_by_its_path(server):
    server.adapters["journey"] = f"/on/another/machine/{HASH}"
    assert known(connect(server.base_url, "journey"))["adapter_sha256"] == HASH


def test_an_adapter_outside_a_store_is_hashed_where_it_lies(server, adapter):
    server.adapters["journey"] = str(adapter.folder)
    assert known(connect(server.base_url, "journey"))["adapter_sha256"] == adapter.sha256


def test_an_adapter_whose_files_nobody_knows_is_refused(server, adapter):
    shutil.rmtree(adapter.folder)
    server.adapters["journey"] = str(adapter.folder)
    with pytest.raises(
        EndpointError, match=r"traces could not record which files .*ddxgraph adapters load journey=PATH"
    ):
        connect(server.base_url, "journey")


def test_the_base_model_beside_an_adapter_is_no_adapter(server):
    server.adapters["journey"] = f"/store/{HASH}"
    assert known(connect(server.base_url, "smol")) == {"engine": "vllm 0.32.0"}


def test_between_base_and_adapter_the_user_chooses(server):
    server.adapters["journey"] = f"/store/{HASH}"
    with pytest.raises(EndpointError, match=f"set {MODEL_VARIABLE} to one of: smol, journey"):
        connect(server.base_url)


@pytest.mark.parametrize(("version", "engine"), [("0.33.1", "vllm 0.33.1"), (None, "vllm"), (1, "vllm")])
def test_the_engines_version_is_told_where_it_tells_one(server, version, engine):
    server.version = version
    assert connect(server.base_url).metadata["engine"] == engine


def test_an_adapters_hash_stands_in_every_trace_beside_the_base_models_name(server, adapter):
    server.adapters["journey"] = str(put(adapter))
    trace = solve(build_graph(connect(server.base_url, "journey"), patience=AT_ONCE), CASE)
    made_by = trace.provenance
    assert (made_by.model, made_by.adapter, made_by.adapter_sha256) == ("smol", "journey", adapter.sha256)
    asked = {body["model"] for path, _, body in server.seen if path == "/v1/chat/completions"}
    assert asked == {"journey"}


def test_other_weights_under_the_same_name_give_another_trace(server, adapter, tmp_path):
    ids = set()
    for seed in (0, 1):
        other = read_adapter(write_adapter(tmp_path / "other", seed=seed))
        server.adapters["journey"] = str(put(other))
        ids.add(solve(build_graph(connect(server.base_url, "journey"), patience=AT_ONCE), CASE).id)
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"base_model": "smol", "adapter": "journey", "adapter_sha256": HASH}, ("smol", "journey", HASH)),
        ({"engine": "vllm"}, ("scripted", None, None)),
        (None, ("scripted", None, None)),
    ],
)
def test_provenance_names_the_base_model_where_an_adapter_is_on_it(metadata, expected):
    made_by = provenance_of(ScriptedChatModel(metadata=metadata), Sampling(), "prompts")
    assert (made_by.model, made_by.adapter, made_by.adapter_sha256) == expected


@pytest.mark.parametrize("root", [None, "", ".", "adapters/one"])
def test_a_path_of_the_servers_own_is_not_looked_for_here(server, root, tmp_path, monkeypatch):
    """What lies at the same relative path here may be anything."""
    for here in (tmp_path, tmp_path / "adapters" / "one"):
        write_adapter(here)
    monkeypatch.chdir(tmp_path)
    server.adapters["one"] = root
    with pytest.raises(EndpointError, match="ddxgraph adapters load one=PATH"):
        connect(server.base_url, "one")
