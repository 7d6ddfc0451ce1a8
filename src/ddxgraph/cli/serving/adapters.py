"""`ddxgraph adapters`: LoRA adapters on a running engine, and the proof that they are live."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ddxgraph.cli import options
from ddxgraph.cli.commands import group
from ddxgraph.cli.serving.serve import split_pair
from ddxgraph.cli.terminal import STDERR, STDOUT, Exit, fail, say, show_json, spoken
from ddxgraph.common.errors import BadInput, EndpointError

if TYPE_CHECKING:
    from ddxgraph.serving.adapters.canary import Agreement, CanarySet
    from ddxgraph.serving.adapters.files import Adapter
    from ddxgraph.serving.adapters.liveness import Liveness
    from ddxgraph.serving.api import ServerApi

app = group("LoRA adapters on a running engine, and the proof that they are in force.", no_args_is_help=True)
TOLERANCE: Final = 0.1
"""As `serving.adapters.canary.TOLERANCE`, without its import."""

Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="PATH_OR_ID",
        help="The base model that the adapter was trained on. By default the one that it names.",
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="PATH", help="Folder of the adapter.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The adapter's name on the server.")]


@app.command()
@spoken
def load(
    pair: Annotated[str, typer.Argument(metavar="NAME=PATH", help="A name for the adapter, and its folder.")],
    base_url: options.BaseUrl = None,
) -> None:
    """Copy an adapter to the adapter store, and load it into the running server."""
    from ddxgraph.serving.adapters.files import read_adapter
    from ddxgraph.serving.adapters.loaded import load_adapter

    name, path = split_pair(pair, "load")
    loaded = load_adapter(_api(base_url), name, read_adapter(Path(path)))
    STDOUT.print(f"{loaded.name} on {loaded.base}: sha256 {loaded.sha256}", markup=False)
    say(f"a server's word is no proof: ddxgraph adapters verify {name} {path}")


@app.command()
@spoken
def unload(name: Name, base_url: options.BaseUrl = None) -> None:
    """Unload an adapter from the running server."""
    from ddxgraph.serving.adapters.loaded import unload_adapter

    unload_adapter(_api(base_url), name)
    STDOUT.print(f"{name} is unloaded", markup=False)


@app.command("list")
@spoken
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
    base_url: options.BaseUrl = None,
) -> None:
    """List the adapters that the running server says it has."""
    from ddxgraph.serving.adapters.loaded import loaded_adapters

    adapters = loaded_adapters(_api(base_url))
    if as_json:
        show_json(json.dumps([adapter._asdict() for adapter in adapters]))
        return
    if not adapters:
        say("no adapters")
        return
    rows = [("name", "base", "sha256")]
    rows += [(each.name, each.base, each.sha256 or f"unknown ({each.path})") for each in adapters]
    names, bases = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, base, sha256 in rows:  # a table of Rich would cut off a hash at 80 columns
        STDOUT.print(f"{name:{names}}  {base:{bases}}  {sha256}", markup=False)


@app.command()
@spoken
def verify(
    name: Name,
    path: Folder,
    base: Base = None,
    tolerance: Annotated[
        float,
        typer.Option(min=0, help="Mean difference of log-probabilities that is still accepted, in nats."),
    ] = TOLERANCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")] = False,
    base_url: options.BaseUrl = None,
) -> None:
    """Prove that a served adapter is the one in this folder, on the base model that it was trained on.

    The server's replies to canary prompts are compared with those that base model and adapter must give. These
    are in canaries.json in the adapter's folder, or are computed from the files (extra `adapters`).

    Exit code: 0 in force, 1 not proven.
    """
    from ddxgraph.serving.adapters.canary import read_canaries
    from ddxgraph.serving.adapters.files import read_adapter
    from ddxgraph.serving.adapters.liveness import CANARY_TIMEOUT_S, check_loaded
    from ddxgraph.serving.adapters.liveness import verify as verify_served

    api, adapter = _api(base_url, timeout_s=CANARY_TIMEOUT_S), read_adapter(path)
    canaries = read_canaries(adapter)
    if canaries is None:
        check_loaded(api, name, adapter)
        canaries = _made(adapter, base, None)
    liveness = verify_served(api, name, adapter, canaries, tolerance)
    if as_json:
        show_json(json.dumps(_figures(liveness)))
    else:
        for line in _lines(liveness):
            STDOUT.print(line, markup=False, style="dim")
    if not liveness.live:
        fail(liveness.message, Exit.NOT_DONE)
    if not as_json:
        STDOUT.print(liveness.message, markup=False)


@app.command()
@spoken
def canaries(
    path: Folder,
    base: Base = None,
    prompts: Annotated[
        Path | None,
        typer.Option(
            help="A file of prompts, one a line, such as prompts of the training data. By default built-in ones."
        ),
    ] = None,
) -> None:
    """Compute an adapter's canaries from its files and its base model, and save them in its folder."""
    from ddxgraph.serving.adapters.canary import write_canaries
    from ddxgraph.serving.adapters.files import read_adapter

    adapter = read_adapter(path)
    STDOUT.print(write_canaries(_made(adapter, base, prompts), path), markup=False)


def _api(base_url: str | None, timeout_s: float = 120.0) -> "ServerApi":
    from ddxgraph.serving.api import ServerApi
    from ddxgraph.serving.connect import KEY_VARIABLE, URL_VARIABLE, resolve

    endpoint = resolve(base_url, None, None, os.environ)
    if endpoint.base_url is None:
        raise EndpointError(
            f"no server is named: set {URL_VARIABLE}, or give --base-url; ddxgraph serve starts one"
        )
    return ServerApi(endpoint.base_url, endpoint.api_key, KEY_VARIABLE, timeout_s)


def _made(adapter: "Adapter", base: str | None, prompts: Path | None) -> "CanarySet":
    from ddxgraph.serving.adapters.canary import PROMPTS
    from ddxgraph.serving.adapters.reference import make_canaries

    lines = _read(prompts) if prompts else PROMPTS
    base = base or options.agreed_base(adapter.base_model)
    with _progress() as progress:
        return make_canaries(adapter, base, prompts=lines, progress=progress)


def _read(prompts: Path) -> list[str]:
    from ddxgraph.common.files import read_input

    try:
        text = read_input(prompts).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read {prompts} as UTF-8 text: {error}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadInput(f"{prompts} holds no prompts")
    return lines


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    with STDERR.status("computing canaries") as status:
        yield lambda done, of: status.update(f"computing canaries: {done} of {of}")


def _lines(liveness: "Liveness") -> list[str]:
    named = {
        "base model against its canaries": liveness.base,
        "adapter against its canaries": liveness.adapted,
        "adapter against the base model's": liveness.unadapted,
    }
    lines = [f"{what:34} {_shown(how)}" for what, how in named.items() if how]
    return [f"{'adapter against base, by the files':34} {liveness.signal:.3f} nats a token", *lines]


def _shown(how: "Agreement") -> str:
    return f"{how.compared} of {how.asked} tokens, {how.difference:.3f} nats apart"


def _figures(liveness: "Liveness") -> dict[str, object]:
    from ddxgraph.serving.adapters.canary import Agreement

    figures = liveness._asdict()
    return {key: value._asdict() if isinstance(value, Agreement) else value for key, value in figures.items()}
