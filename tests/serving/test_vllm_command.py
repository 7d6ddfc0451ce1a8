import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddxgraph.common.errors import ServeError
from ddxgraph.serving.adapters.files import store_folder
from ddxgraph.serving.vllm import RANKS, check_extra, room_for, vllm_command
from ddxgraph.serving.weights import CACHE_VARIABLE

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def _store(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))


def command(**settings):
    return vllm_command("org/model", "model", "127.0.0.1", 8001, **settings)


def value(arguments, flag):
    return arguments[arguments.index(flag) + 1]


def test_the_api_server_is_run_as_a_module():
    assert command().module == "vllm.entrypoints.openai.api_server"


def test_the_graph_gets_what_it_relies_on():
    arguments = command().arguments
    assert value(arguments, "--model") == "org/model"
    assert value(arguments, "--served-model-name") == "model"
    assert (value(arguments, "--host"), value(arguments, "--port")) == ("127.0.0.1", "8001")
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(arguments)
    structured = json.loads(value(arguments, "--structured-outputs-config"))
    assert structured == {"backend": "xgrammar", "disable_any_whitespace": True}
    assert value(arguments, "--generation-config") == "vllm"


def test_what_could_be_abused_is_shut():
    built = command()
    assert value(built.arguments, "--load-format") == "safetensors"
    assert value(built.arguments, "--allowed-origins") == "[]"
    assert value(built.arguments, "--middleware") == "guard.Guard"
    assert "--trust-remote-code" not in built.arguments
    assert built.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_without_a_rank_there_is_no_word_of_adapters():
    built = command()
    assert not [flag for flag in built.arguments if "lora" in flag]
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in built.environment


def test_with_a_rank_adapters_can_be_loaded_while_it_runs():
    built = command(lora_rank=12)
    assert "--enable-lora" in built.arguments
    assert value(built.arguments, "--max-lora-rank") == "16"
    assert built.environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"


@pytest.mark.parametrize("names", ["", "a", "abcde"])
def test_there_is_room_for_the_adapters_of_the_start_and_more(names):
    adapters = {name: store_folder() / name for name in names}
    arguments = command(lora_rank=8, adapters=adapters).arguments
    at_once, held = int(value(arguments, "--max-loras")), int(value(arguments, "--max-cpu-loras"))
    assert max(len(names), 1) <= at_once < held


def test_the_adapters_of_the_start_are_named_with_their_folders():
    adapters = {name: store_folder() / name for name in ("journey", "of two words")}
    arguments = command(lora_rank=8, adapters=adapters).arguments
    start = arguments.index("--lora-modules") + 1
    given = [json.loads(each) for each in arguments[start : start + 2]]
    assert given == [{"name": name, "path": str(path)} for name, path in adapters.items()]
    assert "--lora-modules" not in command(lora_rank=8).arguments


@pytest.mark.parametrize(
    ("rank", "room"), [(1, 1), (2, 8), (8, 8), (9, 16), (64, 64), (65, 128), (257, 320), (512, 512)]
)
def test_a_rank_is_rounded_up_to_one_that_vllm_has(rank, room):
    assert room_for(rank) == room


@given(rank=st.integers(1, RANKS[-1]))
def test_the_room_is_the_smallest_that_holds_the_rank(rank):
    assert rank <= room_for(rank)
    assert not [room for room in RANKS if rank <= room < room_for(rank)]


def test_a_rank_beyond_vllms_largest_is_refused():
    with pytest.raises(ServeError, match="no adapter of rank 513 can be served: vLLM's largest is 512"):
        command(lora_rank=513)


def test_the_key_stands_in_the_environment_alone():
    built = command(api_key=KEY)
    assert built.environment["VLLM_API_KEY"] == KEY
    assert KEY not in " ".join(built.arguments)


def test_without_a_key_one_that_happens_to_be_set_does_not_count(monkeypatch):
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    assert command().environment["VLLM_API_KEY"] == ""


def test_adapters_load_from_the_store_and_from_allowed_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    allowed = [tmp_path / "a", tmp_path / "link", (tmp_path / "b").relative_to(tmp_path)]
    folders = command(folders=allowed).environment["DDXGRAPH_ADAPTER_FOLDERS"].split(":")
    real = tmp_path.resolve()
    assert folders == [str(store_folder()), *(str(real / name) for name in ("a", "real", "b"))]


def test_a_reasoning_parser_is_named_where_it_is_asked_for():
    assert value(command(reasoning_parser="qwen3").arguments, "--reasoning-parser") == "qwen3"
    assert "--reasoning-parser" not in command().arguments


def test_further_flags_come_last_as_they_are():
    extra = ["--max-model-len", "16384", "-tp", "2", "--kv-cache-dtype=fp8"]
    assert command(extra=extra).arguments[-5:] == extra


@pytest.mark.parametrize(
    "flag",
    [
        "--api-key",
        "--api_key",
        "--api-key=x",
        "--api_key=x",
        "--api",
        "--host",
        "--ho",
        "--port=1",
        "--mod",
        "--model",
        "--config",
        "--middleware",
        "--lora-modules",
        "--lora_modules",
        "--load-format",
        "--uds",
        "--allowed-origins",
        "--served-model-name",
        "--api-server-count",
        "--headless",
        "--allowed-origins=[]",
    ],
)
def test_flags_that_belong_to_ddxgraph_are_refused_in_every_spelling(flag):
    with pytest.raises(ServeError, match=f"{flag.partition('=')[0]} is not for after --"):
        check_extra(["--enforce-eager", flag, "x"])


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["--max-model-len", "16384"],
        ["--hf-overrides", '{"model_type": "llama"}'],
        ["--dtype", "bfloat16", "-tp", "2"],
        ["--max-loras", "4", "--enable-lora"],
        ["--data-parallel-size", "2", "--no-enable-prefix-caching"],
    ],
)
def test_other_flags_are_not(extra):
    check_extra(extra)


def test_a_bare_word_names_no_model():
    with pytest.raises(
        ServeError, match=r"'org/model' belongs to no option; the model is named with --model"
    ):
        check_extra(["org/model"])


def test_the_key_in_a_refused_flag_is_not_repeated():
    with pytest.raises(ServeError) as refused:
        check_extra([f"--api-key={KEY}"])
    assert KEY not in str(refused.value)
