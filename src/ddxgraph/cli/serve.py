"""`ddxgraph serve`: an engine for the graph."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.markup import escape

from ddxgraph.cli.signals import FROM_OUTSIDE, signals_handled
from ddxgraph.cli.speech import STDERR, Exit, fail, say, spoken
from ddxgraph.common.errors import ServeError
from ddxgraph.serving import server
from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE

_TOLD_EVERY_S: Final = 60.0


@spoken
def serve(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PATH_OR_ID",
            help="A folder or a hub's id; embedded: a .gguf file; smollm2: the shipped one.",
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="A LoRA adapter to load, and what to call it; repeat it."),
    ] = None,
    engine: Annotated[server.Engine, typer.Option(help="What to serve with.")] = "vllm",
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than loopback only with --api-key-env.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    name: Annotated[
        str | None, typer.Option(help="What requests call the model; else the last part of --model.")
    ] = None,
    lora_rank: Annotated[
        int,
        typer.Option(min=0, help="Room for adapters up to this rank, loaded later; 0: for --adapter alone."),
    ] = 0,
    slots: Annotated[int, typer.Option(min=1, help="Conversations at a time, on the embedded engine.")] = 8,
    reasoning_parser: Annotated[
        str | None, typer.Option(help="vLLM's parser that takes a model's thoughts out of its replies.")
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="VARIABLE", help="Environment variable that holds the key to ask for."),
    ] = None,
    allow_adapters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR", help="A folder, beside the adapter store, that clients may load adapters from."
        ),
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter of the environment in which the engine is installed.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="File for the engine's log; else one in your log folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
) -> None:
    """Start an engine with the flags that the graph relies on, and stop it on Ctrl-C.

    Once it answers, two lines to export are printed. What follows -- goes to vLLM as it is:

        ddxgraph serve --model Qwen/Qwen2.5-7B-Instruct -- --max-model-len 16384

    Exit code: 0 stopped, 1 the engine cannot start or has ended by itself, 2 bad input.
    """
    named = _adapters(adapter or [])
    start = partial(
        server.serve,
        model,
        adapters=named,
        engine=engine,
        host=host,
        port=port,
        name=name,
        lora_rank=lora_rank,
        slots=slots,
        reasoning_parser=reasoning_parser,
        api_key=_key(api_key_env),
        python=python,
        allow=allow_adapters or (),
        extra=context.args,
        log=log,
    )
    with suppress(_Stopped, KeyboardInterrupt), signals_handled(FROM_OUTSIDE, _stop), ExitStack() as held:
        try:
            with starting(quiet=quiet) as progress:
                endpoint = held.enter_context(start(progress=progress))
            _announce(endpoint, list(named), api_key_env)
            endpoint.wait()
        except (_Stopped, KeyboardInterrupt):
            say("stopping the engine; Ctrl-C again kills it")
    raise typer.Exit(Exit.DONE)


class _Stopped(BaseException):
    """Asked to stop; no `Exception`, so that nothing on the way takes it for a failure."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Have a batch system's stop, and the end of a login session, end the engine as Ctrl-C does."""
    raise _Stopped


@contextmanager
def starting(*, quiet: bool) -> Iterator[server.Progress | None]:
    """A line that moves while the engine starts; where stderr is no terminal, a line a minute."""
    if quiet:
        yield None
        return
    with ExitStack() as held:
        status = held.enter_context(STDERR.status("starting the engine")) if STDERR.is_terminal else None
        told = 0.0

        def progress(seconds: float, line: str) -> None:
            nonlocal told
            if status:
                room = max(STDERR.width - 30, 20)
                status.update(f"starting the engine, {seconds:.0f} s: [dim]{escape(line[:room])}[/dim]")
            elif seconds - told >= _TOLD_EVERY_S:
                told = seconds
                say(f"starting the engine, {seconds:.0f} s")

        yield progress


def _announce(endpoint: server.ServedEndpoint, adapters: list[str], key_variable: str | None) -> None:
    say(f"serving at {endpoint.base_url}, log in {endpoint.log}; Ctrl-C stops it")
    for variable, value in endpoint.environment().items():
        typer.echo(f"export {variable}={shlex.quote(value)}")
    if key_variable and key_variable != KEY_VARIABLE:
        typer.echo(f'export {KEY_VARIABLE}="${key_variable}"')
    if len(adapters) > 1:
        say(f"or {MODEL_VARIABLE}={', '.join(adapters[1:])}")
    sys.stdout.flush()


def _adapters(pairs: list[str]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, path = split_pair(pair, "--adapter")
        if name in found:
            fail(f"--adapter {name} is given twice", Exit.BAD_INPUT)
        found[name] = path
    return found


def split_pair(pair: str, option: str) -> tuple[str, str]:
    """An adapter's name and folder, from NAME=PATH."""
    name, equals, path = pair.partition("=")
    if not (equals and name.strip() and path):
        fail(f"{option} {pair!r}: write it as NAME=PATH, such as journeys=adapters/journeys", Exit.BAD_INPUT)
    return name.strip(), str(Path(path).expanduser())


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ServeError(f"--api-key-env names {variable}, which is not set; set it to the key to ask for")
    return key
