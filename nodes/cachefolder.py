"""Where files that are had once and kept lie: weights, adapters, benchmarks."""

import os
from pathlib import Path
from typing import Final

from platformdirs import user_cache_path

CACHE_VARIABLE: Final = "DDXGRAPH_CACHE"


def cache_folder() -> Path:
    """The folder that `DDXGRAPH_CACHE` names, else the user's cache folder. Asking makes no folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("ddxgraph", appauthor=False)
