"""The size of a model, where its name states it."""

import re
from typing import Final

_SIZE: Final = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])", re.IGNORECASE)
_MILLIONS_A_BILLION: Final = 1000


def parameters_in(name: str) -> float | None:
    """Parameters in billions, such as 7 for `Qwen/Qwen2.5-7B-Instruct` and 0.135 for `SmolLM2-135M`.

    Of a path or a repository's name the last part counts. Nothing is guessed: where experts are counted (`8x7B`),
    only active or effective parameters are told (`A3B`, `E4B`), or two sizes stand in the name, it says none.

    Returns:
        None where the name states no size.
    """
    told = _SIZE.findall(name.rstrip("/").rpartition("/")[2])
    sizes = {float(count) / (_MILLIONS_A_BILLION if unit in "mM" else 1) for count, unit in told}
    return sizes.pop() if len(sizes) == 1 and min(sizes) > 0 else None
