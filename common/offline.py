"""`DDXGRAPH_OFFLINE`: nothing is fetched, and nothing leaves this machine."""

import os
from pathlib import Path
from typing import Final

from ddxgraph.common.errors import OfflineError

OFFLINE_VARIABLE: Final = "DDXGRAPH_OFFLINE"
HUB_OFFLINE_VARIABLE: Final = "HF_HUB_OFFLINE"
"""The same for the libraries of the Hugging Face Hub."""

_OFF: Final = frozenset({"", "0", "false", "no", "off"})


def is_offline() -> bool:
    """Whether the environment allows this machine alone."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in _OFF


def need_hub(model: str) -> None:
    """Refuse a model of the hub, where the environment allows this machine alone.

    Raises:
        OfflineError: the model is no folder of this machine.
    """
    if not Path(model).is_dir():
        need_network(f"loading {model} from the hub")


def need_network(what: str) -> None:
    """Refuse what needs the network, where the environment allows this machine alone.

    Args:
        what: what would reach out, such as `fetching the weights`.

    Raises:
        OfflineError: it does.
    """
    if is_offline():
        raise OfflineError(
            f"{what} needs the network, and {OFFLINE_VARIABLE} allows this machine alone: unset it, or bring the "
            "file by other means"
        )
