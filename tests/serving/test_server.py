"""Engines as processes: started, waited for, stopped. On the real embedded engine."""

import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from ddxgraph import ServeError, connect, serve
from ddxgraph.common.errors import EndpointError
from ddxgraph.serving.address import free_port
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE
from ddxgraph.serving.server import ServedEndpoint
from ddxgraph.serving.weights import SMOLLM2

KEY = "sk-0123456789-in-no-log"


def embedded(tmp_path, **settings):
    return serve(engine="embedded", slots=2, log=tmp_path / "engine.log", **settings)


def gone(endpoint: ServedEndpoint) -> bool:
    try:
        os.killpg(endpoint.process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_an_engine_answers_within_and_is_gone_after(tmp_path):
    with embedded(tmp_path) as endpoint:
        assert endpoint.environment() == {URL_VARIABLE: endpoint.base_url, MODEL_VARIABLE: SMOLLM2.name}
        model = connect(endpoint.base_url, endpoint.model)
        assert model.invoke("Say hello.", max_tokens=4).content
    assert gone(endpoint)
    with pytest.raises(EndpointError, match="no server answers"):
        connect(endpoint.base_url, endpoint.model)


def test_an_engine_asks_for_its_key_and_tells_it_to_nobody(tmp_path):
    with embedded(tmp_path, api_key=KEY) as endpoint:
        with pytest.raises(EndpointError, match="refuses the API key"):
            connect(endpoint.base_url, endpoint.model, "another")
        connect(endpoint.base_url, endpoint.model, endpoint.api_key)
        listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True)
    assert KEY not in listed.stdout
    assert KEY not in endpoint.log.read_text()
    assert KEY not in repr(endpoint)
    assert endpoint.log.stat().st_mode & 0o077 == 0


def test_an_engine_goes_with_an_error_within(tmp_path):
    with pytest.raises(RuntimeError, match="within"), embedded(tmp_path) as endpoint:
        raise RuntimeError("within")
    assert gone(endpoint)


def test_an_engine_that_ends_by_itself_is_reported(tmp_path):
    with embedded(tmp_path) as endpoint:
        threading.Timer(0.2, os.kill, (endpoint.process.pid, signal.SIGKILL)).start()
        with pytest.raises(ServeError, match=r"has ended \(exit code -9\)") as told:
            endpoint.wait()
    assert str(endpoint.log) in str(told.value)


def test_an_engine_that_cannot_start_is_reported_with_the_end_of_its_log(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and nothing else")
    with (
        pytest.raises(ServeError, match=r"has ended \(exit code 1\)") as told,
        embedded(tmp_path, model=broken),
    ):
        pass
    assert "broken.gguf" in str(told.value)


def test_an_engine_that_does_not_answer_is_stopped(tmp_path):
    with pytest.raises(ServeError, match="does not answer after 0 s"), embedded(tmp_path, start_s=0):
        pass


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_prints_what_to_export_and_stops_on(number, tmp_path):
    port = free_port("127.0.0.1")
    with command(tmp_path, port, preexec_fn=heeding_signals) as served:
        assert [served.stdout.readline() for _ in range(2)] == [
            f"export {URL_VARIABLE}=http://127.0.0.1:{port}/v1\n",
            f"export {MODEL_VARIABLE}={SMOLLM2.name}\n",
        ]
        served.send_signal(number)
        rest, said = served.communicate(timeout=60)
    assert (served.returncode, rest) == (0, "")
    assert "Traceback" not in said
    with pytest.raises(EndpointError):
        connect(f"http://127.0.0.1:{port}/v1")


@pytest.mark.alone
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for another's process, which is Linux's")
def test_an_engine_does_not_outlive_a_command_that_was_killed(tmp_path):
    port = free_port("127.0.0.1")
    with command(tmp_path, port) as served:
        served.stdout.readline()
        group = int(
            subprocess.check_output(["pgrep", "-f", f"engineprocess.*--port {port} "], text=True).split()[0]
        )
        descriptor = os.pidfd_open(group)
        served.kill()
    assert select.select([descriptor], [], [], 60)[0], "the engine goes on"
    os.close(descriptor)


def command(tmp_path, port, **how) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "ddxgraph", "serve", "--engine", "embedded", "--port", str(port)]
    clean = {k: v for k, v in os.environ.items() if k not in {URL_VARIABLE, MODEL_VARIABLE, KEY_VARIABLE}}
    return subprocess.Popen(
        [*argv, "--slots", "2", "--log", str(tmp_path / "engine.log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
        **how,
    )


def heeding_signals() -> None:
    """Whoever runs the tests in the background may have had these ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
