import pytest
from adapter_server import adapter_server, failed
from adapterfolder import write_adapter

from ddxgraph.common.errors import AdapterError, ServerError
from ddxgraph.serving.adapters.files import digest, read_adapter, store_folder
from ddxgraph.serving.adapters.loaded import LoadedAdapter, load_adapter, loaded_adapters, unload_adapter
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.weights import CACHE_VARIABLE

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


def api(server, key=None):
    return ServerApi(server.base_url, key, "DDXGRAPH_API_KEY")


def test_an_adapter_is_loaded_from_the_store_and_listed_with_its_hash(server, adapter):
    stored = store_folder() / adapter.sha256
    expected = LoadedAdapter("journey", "smol", str(stored), adapter.sha256)
    assert load_adapter(api(server), "journey", adapter) == expected
    assert loaded_adapters(api(server)) == [expected]
    assert digest(stored) == adapter.sha256
    sent = next(body for path, _, body in server.seen if path == "/v1/load_lora_adapter")
    assert sent == {"lora_name": "journey", "lora_path": str(stored)}


def test_an_adapter_from_elsewhere_is_listed_without_a_hash(server):
    server.adapters["journey"] = "/adapters/journey"
    assert loaded_adapters(api(server)) == [LoadedAdapter("journey", "smol", "/adapters/journey", None)]


def test_an_adapter_that_was_unloaded_is_not_listed(server, adapter):
    load_adapter(api(server), "journey", adapter)
    unload_adapter(api(server), "journey")
    assert loaded_adapters(api(server)) == []


@pytest.mark.parametrize(
    ("there", "said"),
    [([], "it has none"), (["journey", "other"], "it has journey, other")],
)
def test_an_adapter_that_is_not_there_cannot_be_unloaded(server, there, said):
    server.adapters = {name: f"/adapters/{name}" for name in there}
    with pytest.raises(AdapterError, match=rf"has no adapter 'jorney'; {said}"):
        unload_adapter(api(server), "jorney")


def test_the_base_model_cannot_be_unloaded(server):
    with pytest.raises(AdapterError, match="has no adapter 'smol'"):
        unload_adapter(api(server), "smol")


def test_a_name_that_is_taken_is_told_apart(server, adapter, tmp_path):
    load_adapter(api(server), "journey", adapter)
    other = read_adapter(write_adapter(tmp_path / "other", seed=1))
    with pytest.raises(AdapterError, match="'journey' is loaded already, with these very files"):
        load_adapter(api(server), "journey", adapter)
    with pytest.raises(AdapterError, match="unload it first: ddxgraph adapters unload journey"):
        load_adapter(api(server), "journey", other)
    with pytest.raises(AdapterError, match="'smol' is the name of the served base model"):
        load_adapter(api(server), "smol", other)
    assert server.adapters == {"journey": str(store_folder() / adapter.sha256)}


@pytest.mark.parametrize(
    ("settings", "said", "mend"),
    [
        ({"lora": False}, "LoRA is not enabled", "started without LoRA; .* ddxgraph serve --lora-rank 8"),
        ({"max_lora_rank": 4}, "greater than max_lora_rank 4", "rank 8, more than .* --lora-rank 8"),
        ({"updating": False}, "has no such path", "loads no adapters while it runs; .* --lora-rank 8"),
    ],
)
def test_a_server_that_was_started_otherwise_says_how_to_start_it(server, adapter, settings, said, mend):
    for name, value in settings.items():
        setattr(server, name, value)
    with pytest.raises(AdapterError, match=f"(?s)does not load the adapter 'journey'.*{said}.*{mend}"):
        load_adapter(api(server), "journey", adapter)


@pytest.mark.parametrize(
    ("answer", "mend"),
    [
        (
            (404, {"error": {"message": "Loading lora journey failed: No adapter found for <path>"}}),
            r"does not see .*adapters; both sides need the same cache folder \(DDXGRAPH_CACHE\)",
        ),
        (
            (403, {"error": {"message": "'/a' is outside the folders that adapters may be loaded from"}}),
            "outside the folders.*loads adapters from its own store only, and this side's is .*adapters",
        ),
        (
            failed(
                "The size of tensor a (64) must match the size of tensor b (16) at non-singleton dimension 1"
            ),
            r"serves another model than the one that the adapter was trained on \(smol\)",
        ),
        (
            failed("While loading <path>, expected target modules in {'qkv'} but received ['q_proj']."),
            r"serves another model than the one that the adapter was trained on \(smol\)",
        ),
        (failed("vLLM does not yet support DoRA."), "vLLM does not yet support DoRA.*; see the server's log"),
        ((500, "<html>a proxy's</html>"), "HTTP status 500: see the server's log"),
    ],
)
def test_what_the_server_says_is_passed_on_with_a_mend(server, adapter, answer, mend):
    server.refuses = answer
    with pytest.raises(AdapterError, match=f"(?s)does not load the adapter 'journey'.*{mend}"):
        load_adapter(api(server), "journey", adapter)


def test_a_refused_adapter_is_asked_for_once(server, adapter):
    server.refuses = failed("out of memory")
    with pytest.raises(AdapterError):
        load_adapter(api(server), "journey", adapter)
    assert [path for path, _, _ in server.seen].count("/v1/load_lora_adapter") == 1


@pytest.mark.parametrize("listed", [None, "/adapters/journey", f"/store/{'0' * 64}"])
def test_a_server_that_takes_an_adapter_and_does_not_list_it_is_not_believed(server, adapter, listed):
    server.keeps = lambda path: listed
    with pytest.raises(AdapterError, match="took the adapter 'journey' but does not list it"):
        load_adapter(api(server), "journey", adapter)


def test_the_key_is_sent(adapter):
    with adapter_server(api_key=KEY) as server:
        assert load_adapter(api(server, KEY), "journey", adapter).sha256 == adapter.sha256
        assert {key for _, key, _ in server.seen} == {KEY}


def test_a_wrong_key_is_a_sentence_and_stands_in_no_message(adapter):
    with (
        adapter_server(api_key="another") as server,
        pytest.raises(ServerError, match="refuses the API key; set DDXGRAPH_API_KEY") as refused,
    ):
        load_adapter(api(server, KEY), "journey", adapter)
    assert KEY not in str(refused.value)
    assert refused.value.status == 401
