"""`ddxgraph adapters`: LoRA adapters on a running engine, and the proof that they are live."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli import options
from ddxgraph.cli.serve import split_pair
from ddxgraph.cli.speech import STDERR, STDOUT, Exit, fail, say, spoken
from ddxgraph.common.errors import EndpointError
from ddxgraph.serving.adapters.canary import (
    PROMPTS,
    TOLERANCE,
    Agreement,
    CanarySet,
    read_canaries,
    write_canaries,
)
from ddxgraph.serving.adapters.files import Adapter, read_adapter
from ddxgraph.serving.adapters.liveness import CANARY_TIMEOUT_S, Liveness, check_loaded
from ddxgraph.serving.adapters.liveness import verify as verify_served
from ddxgraph.serving.adapters.loaded import load_adapter, loaded_adapters, unload_adapter
from ddxgraph.serving.adapters.reference import make_canaries
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.connect import KEY_VARIABLE, URL_VARIABLE, resolve

adapters = typer.Typer(
    name="adapters",
    help="LoRA adapters on a running engine, and the proof that they are live.",
    no_args_is_help=True,
)

Base = Annotated[
    str | None,
    typer.Option(
        "--base", metavar="PATH_OR_ID", help="What it was trained on; else what the adapter itself names."
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="PATH", help="The adapter's folder.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the server calls the adapter.")]


@adapters.command()
@spoken
def load(
    pair: Annotated[
        str, typer.Argument(metavar="NAME=PATH", help="A name for it, and the adapter's folder.")
    ],
    base_url: options.BaseUrl = None,
) -> None:
    """Load an adapter into the running server: copied into the adapter store, and from there."""
    name, path = split_pair(pair, "load")
    loaded = load_adapter(_api(base_url), name, read_adapter(Path(path)))
    STDOUT.print(f"{loaded.name} on {loaded.base}: sha256 {loaded.sha256}", markup=False)
    say(f"a server's word is no proof: ddxgraph adapters verify {name} {path}")


@adapters.command()
@spoken
def unload(name: Name, base_url: options.BaseUrl = None) -> None:
    """Take an adapter out of the running server."""
    unload_adapter(_api(base_url), name)
    STDOUT.print(f"{name} is unloaded", markup=False)


@adapters.command("list")
@spoken
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    base_url: options.BaseUrl = None,
) -> None:
    """List the adapters that the running server says it has."""
    found = loaded_adapters(_api(base_url))
    if as_json:
        typer.echo(json.dumps([loaded._asdict() for loaded in found]))
        return
    if not found:
        say("no adapters")
        return
    rows = [("name", "base", "sha256")]
    rows += [(each.name, each.base, each.sha256 or f"unknown ({each.path})") for each in found]
    names, bases = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, base, sha256 in rows:  # no table of Rich's, which cuts a hash off at 80 columns
        STDOUT.print(f"{name:{names}}  {base:{bases}}  {sha256}", markup=False)


@adapters.command()
@spoken
def verify(
    name: Name,
    path: Folder,
    base: Base = None,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Nats by which log-probabilities may differ, on average.")
    ] = TOLERANCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")] = False,
    base_url: options.BaseUrl = None,
) -> None:
    """Prove that a served adapter is these very files, on the base model that they were trained on.

    What the server writes after canary prompts is compared with what base model and adapter must write: from
    canaries.json in the adapter's folder, or else computed from the files (extra `adapters`).

    Exit code: 0 live, 1 not proven.
    """
    api, adapter = _api(base_url, timeout_s=CANARY_TIMEOUT_S), read_adapter(path)
    canaries = read_canaries(adapter)
    if canaries is None:
        check_loaded(api, name, adapter)
        canaries = _made(adapter, base, None)
    liveness = verify_served(api, name, adapter, canaries, tolerance)
    if as_json:
        typer.echo(json.dumps(_figures(liveness)))
    else:
        for line in _lines(liveness):
            STDOUT.print(line, markup=False, style="dim")
    if not liveness.live:
        fail(liveness.message, Exit.NOT_DONE)
    if not as_json:
        STDOUT.print(liveness.message, markup=False)


@adapters.command()
@spoken
def canaries(
    path: Folder,
    base: Base = None,
    prompts: Annotated[
        Path | None, typer.Option(help="A file with a prompt a line, such as prompts that it was trained on.")
    ] = None,
) -> None:
    """Compute an adapter's canaries from its files and its base model's, and keep them in its folder."""
    adapter = read_adapter(path)
    STDOUT.print(write_canaries(_made(adapter, base, prompts), path), markup=False)


def _api(base_url: str | None, timeout_s: float = 120.0) -> ServerApi:
    endpoint = resolve(base_url, None, None, os.environ)
    if endpoint.base_url is None:
        raise EndpointError(
            f"no server is named: set {URL_VARIABLE}, or give --base-url; ddxgraph serve starts one"
        )
    return ServerApi(endpoint.base_url, endpoint.api_key, KEY_VARIABLE, timeout_s)


def _made(adapter: Adapter, base: str | None, prompts: Path | None) -> CanarySet:
    lines = _read(prompts) if prompts else PROMPTS
    with _progress() as progress:
        return make_canaries(adapter, base, prompts=lines, progress=progress)


def _read(prompts: Path) -> list[str]:
    try:
        text = prompts.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {prompts} as UTF-8 text: {error}", Exit.BAD_INPUT)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        fail(f"{prompts} holds no prompts", Exit.BAD_INPUT)
    return lines


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    with STDERR.status("computing canaries") as status:
        yield lambda done, of: status.update(f"computing canaries: {done} of {of}")


def _lines(liveness: Liveness) -> list[str]:
    named = {
        "base model against its canaries": liveness.base,
        "adapter against its canaries": liveness.adapted,
        "adapter against the base model's": liveness.unadapted,
    }
    lines = [f"{what:34} {_shown(how)}" for what, how in named.items() if how]
    return [f"{'adapter against base, by the files':34} {liveness.signal:.3f} nats a token", *lines]


def _shown(how: Agreement) -> str:
    return f"{how.compared} of {how.asked} tokens, {how.difference:.3f} nats apart"


def _figures(liveness: Liveness) -> dict[str, object]:
    figures = liveness._asdict()
    return {key: value._asdict() if isinstance(value, Agreement) else value for key, value in figures.items()}
