"""`ddxgraph serve`: an engine for the graph."""

import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ddxgraph.cli.commands import group
from ddxgraph.cli.options import Quiet
from ddxgraph.cli.signals import FROM_OUTSIDE, signals_handled
from ddxgraph.cli.terminal import Exit, say, spoken
from ddxgraph.cli.training.progress import starting
from ddxgraph.common.errors import BadInput, ServeError

if TYPE_CHECKING:
    from ddxgraph.serving.server import ServedEndpoint

app = group()
Engine = Literal["vllm", "embedded"]
"""As `serving.server.Engine`, without its import."""


@app.command(context_settings={"allow_extra_args": True})
@spoken
def serve(  # noqa: PLR0917 - one parameter an option
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PATH_OR_ID",
            help="The model: a folder or an id of the Hugging Face Hub; for the embedded engine a .gguf file; or "
            "smollm2, the one that ships, which is the embedded engine's default.",
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PATH", help="Load this LoRA adapter under this name. Repeat it for more."),
    ] = None,
    engine: Annotated[Engine, typer.Option(help="The engine: vLLM, or the embedded llama.cpp.")] = "vllm",
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any other than loopback needs --api-key-env.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 picks a free one.")
    ] = 8000,
    name: Annotated[
        str | None, typer.Option(help="The model's name in requests. By default the last part of --model.")
    ] = None,
    lora_rank: Annotated[
        int,
        typer.Option(
            min=0, help="Highest rank of adapters that can be loaded later. 0: only those of --adapter."
        ),
    ] = 0,
    slots: Annotated[int, typer.Option(min=1, help="Conversations at a time, on the embedded engine.")] = 8,
    reasoning_parser: Annotated[
        str | None,
        typer.Option(
            help="vLLM's parser that separates a model's thoughts from its replies. By default none."
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="VARIABLE",
            help="Environment variable with the key that clients must send. By default none is asked for.",
        ),
    ] = None,
    allow_adapters: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="Let clients load adapters from this folder too. By default only from the adapter store.",
        ),
    ] = None,
    python: Annotated[
        Path | None, typer.Option(help="Python of the environment that has the engine. By default this one.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="File for the engine's log. By default one in your log folder.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Start an engine with the flags that the graph relies on, and stop it on Ctrl-C.

    As soon as it answers, the variables to export are printed. Arguments after -- are passed to vLLM:

        ddxgraph serve --model Qwen/Qwen2.5-7B-Instruct -- --max-model-len 16384

    Exit code: 0 stopped, 1 the engine cannot start or has ended by itself, 2 bad input.
    """
    from ddxgraph.serving import server

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
    """A signal asks to stop. Not an `Exception`, so that nothing on the way takes it for a failure."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End the engine on signals from outside as on Ctrl-C."""
    raise _Stopped


def _announce(endpoint: "ServedEndpoint", adapters: list[str], key_variable: str | None) -> None:
    from ddxgraph.serving.connect import KEY_VARIABLE, MODEL_VARIABLE

    say(f"serving at {endpoint.base_url}, log in {endpoint.log}; Ctrl-C stops it")
    for variable, value in endpoint.environment().items():
        typer.echo(f"export {variable}={shlex.quote(value)}")
    if key_variable and key_variable != KEY_VARIABLE:
        typer.echo(f'export {KEY_VARIABLE}="${key_variable}"')
    if len(adapters) > 1:
        say(f"or {MODEL_VARIABLE}={', '.join(adapters[1:])}")
    sys.stdout.flush()


def _adapters(pairs: list[str]) -> Mapping[str, str]:
    folders: dict[str, str] = {}
    for pair in pairs:
        name, path = split_pair(pair, "--adapter")
        if name in folders:
            raise BadInput(f"--adapter {name} is given twice")
        folders[name] = path
    return folders


def split_pair(pair: str, option: str) -> tuple[str, str]:
    """An adapter's name and folder, from NAME=PATH."""
    name, equals, path = pair.partition("=")
    if not (equals and name.strip() and path):
        raise BadInput(f"{option} {pair!r}: write it as NAME=PATH, such as journeys=adapters/journeys")
    return name.strip(), str(Path(path).expanduser())


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise ServeError(f"--api-key-env names {variable}, which is not set; set it to the key to ask for")
    return key
