"""How to install an extra: the command fits the way in which ddxgraph itself was installed."""

import json
from collections.abc import Mapping
from importlib.metadata import distributions
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

_NAME: Final = "ddxgraph"


def install(*extras: str) -> str:
    """The command that installs extras of ddxgraph, for a message."""
    # In a checkout, the metadata that a build left there may be found before that of the installer.
    records = [found.read_text("direct_url.json") for found in distributions(name=_NAME)]
    if not records:
        return f"pip install -e '.[{','.join(extras)}]' in the checkout"
    origin = next(filter(None, records), None)
    return command(json.loads(origin) if origin else None, extras)


def command(origin: Mapping[str, Any] | None, extras: tuple[str, ...]) -> str:
    """The command, from what the installer recorded. Pure.

    Args:
        origin: the content of `direct_url.json` (PEP 610); None for a package from an index.
        extras: names of the extras.

    Returns:
        A command for a shell.
    """
    listed = f"[{','.join(extras)}]"
    match origin:
        case {"url": str(url), "dir_info": {**how}}:
            folder = url2pathname(urlsplit(url).path)
            return f"pip install {'-e ' if how.get('editable') else ''}'{folder}{listed}'"
        case {"url": str(url), "vcs_info": {"vcs": str(vcs), "commit_id": str(commit)}}:
            return f"pip install '{_NAME}{listed} @ {vcs}+{url}@{commit}'"
        case {"url": str(url)}:
            return f"pip install '{_NAME}{listed} @ {url}'"
        case _:
            return f"pip install '{_NAME}{listed}'"
