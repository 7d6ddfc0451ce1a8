"""`ddxgraph serve` where no engine comes to be: what it says of its arguments and of its environment."""

import socket
import venv

import pytest
from adapterfolder import write_adapter
from commandline import ddxgraph

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Run the command in an empty folder; its engine must not have been started."""
    monkeypatch.chdir(tmp_path)

    def run(*args, started=False, **more):
        own = {"DDXGRAPH_CACHE": str(tmp_path / "cache")}
        done = ddxgraph("serve", "--log", "engine.log", "--port", "0", *args, env={**own, **more})
        assert done.stdout == ""
        assert (tmp_path / "engine.log").exists() == started
        return done

    return run


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "gpu.example", "10.0.0.1"])
def test_another_address_than_loopback_wants_a_key(serve, host):
    done = serve("--model", "m", "--host", host)
    assert done.returncode == 1
    assert f"ddxgraph: {host} can be reached from other machines" in done.stderr
    assert "--api-key-env, or stay on 127.0.0.1" in done.stderr


@pytest.mark.parametrize("environment", [{}, {"SERVE_KEY": ""}])
def test_a_variable_that_holds_no_key_is_named(serve, environment):
    done = serve("--model", "m", "--host", "0.0.0.0", "--api-key-env", "SERVE_KEY", **environment)
    assert done.returncode == 1
    assert "--api-key-env names SERVE_KEY, which is not set" in done.stderr


def test_a_port_in_use_is_told_before_anything_is_started(serve):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = serve("--model", "m", "--port", port)
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use; choose another with --port, or 0" in done.stderr


@pytest.mark.parametrize("pair", ["journey", "=adapter", "journey="])
def test_an_adapter_that_is_no_pair_is_bad_input(serve, pair):
    done = serve("--model", "m", "--adapter", pair)
    assert done.returncode == 2
    assert f"--adapter {pair!r}: write it as NAME=PATH" in done.stderr


def test_an_adapter_given_twice_is_bad_input(serve):
    done = serve("--model", "m", "--adapter", "a=x", "--adapter", "a=y")
    assert done.returncode == 2
    assert "--adapter a is given twice" in done.stderr


def test_an_adapter_that_is_none_is_told_before_anything_is_started(serve):
    done = serve("--model", "m", "--adapter", "journey=nowhere")
    assert done.returncode == 1
    assert "no folder 'nowhere'" in done.stderr


def test_an_adapter_and_the_model_cannot_share_a_name(serve, tmp_path):
    write_adapter(tmp_path / "adapter")
    done = serve("--model", "org/m", "--adapter", "m=adapter")
    assert done.returncode == 1
    assert "the model and an adapter are both called 'm'; give the model another --name" in done.stderr


def test_an_adapter_of_too_high_a_rank_is_told_before_anything_is_started(serve, tmp_path):
    write_adapter(tmp_path / "adapter", rank=600)
    done = serve("--model", "m", "--adapter", "journey=adapter")
    assert done.returncode == 1
    assert "no adapter of rank 600 can be served: vLLM's largest is 512" in done.stderr


@pytest.mark.parametrize(
    "flag", ["--api-key", "--api_key=x", "--host", "--ho", "--load-format", "--middleware=x", "--model"]
)
def test_flags_of_ddxgraphs_own_are_refused_after_the_dashes(serve, flag):
    done = serve("--model", "m", "--", "--enforce-eager", flag, "x")
    assert done.returncode == 1
    assert f"{flag.partition('=')[0]} is not for after --: ddxgraph serve sets it" in done.stderr


def test_a_key_among_the_flags_is_not_repeated(serve):
    done = serve("--model", "m", "--", f"--api-key={KEY}")
    assert done.returncode == 1
    assert KEY not in done.stderr


def test_a_bare_word_belongs_to_no_option(serve):
    done = serve("--model", "m", "org/model")
    assert done.returncode == 1
    assert "'org/model' belongs to no option; the model is named with --model" in done.stderr


def test_vllm_wants_a_model(serve):
    done = serve()
    assert done.returncode == 1
    assert "vLLM needs a model: name a folder or a hub's id with --model" in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--adapter", "journey=adapter"], "the embedded engine serves no PEFT adapters; use --engine vllm"),
        (["--lora-rank", "8"], "the embedded engine serves no PEFT adapters; use --engine vllm"),
        (["--reasoning-parser", "qwen3"], "a reasoning parser are for --engine vllm"),
        (["--", "--enforce-eager"], "vLLM's flags and a reasoning parser are for --engine vllm"),
    ],
)
def test_the_embedded_engine_has_no_use_for_what_is_vllms(serve, tmp_path, args, said):
    write_adapter(tmp_path / "adapter")
    done = serve("--engine", "embedded", *args)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    "args",
    [["--port", "65536"], ["--port", "-1"], ["--engine", "sglang"], ["--slots", "0"], ["--no-such-option"]],
)
def test_options_that_are_none_are_bad_input(serve, args):
    assert serve("--model", "m", *args).returncode == 2


def test_an_interpreter_that_is_not_there_is_a_sentence(serve):
    done = serve("--model", "m", "--python", "nowhere/python", started=True)
    assert done.returncode == 1
    assert "cannot start nowhere/python: No such file or directory; see --python" in done.stderr


def test_a_log_that_cannot_be_written_is_a_sentence(serve, tmp_path):
    (tmp_path / "file").write_text("")
    done = serve("--model", "m", "--log", "file/engine.log")
    assert done.returncode == 1
    assert "cannot write the log file/engine.log" in done.stderr


def test_an_environment_without_vllm_says_where_to_install_it(serve, tmp_path):
    venv.create(tmp_path / "empty", symlinks=True)
    done = serve(
        "--model", "m", "--python", tmp_path / "empty" / "bin" / "python", started=True, SERVE_KEY=KEY
    )
    assert done.returncode == 1
    first = done.stderr.splitlines()[0]
    assert first.startswith(
        "ddxgraph: the engine has ended (exit code 1): vLLM is not installed in this environment"
    )
    assert "name its interpreter with --python; its log is engine.log" in first
    assert len(done.stderr.splitlines()) == 1
    assert "No module named" in (tmp_path / "engine.log").read_text()
    assert KEY not in done.stderr + (tmp_path / "engine.log").read_text()
