"""The wordings that a journey is told in: `phrases.toml`, which says what their slots stand for."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from ddxgraph.nodes.registry import STOPS
from ddxgraph.training.styles.quoting import WHOLE

Pool = tuple[str, ...]
"""Wordings of one thing."""

SLOT: Final = re.compile(r"\{[mtn]\}")
_WORD: Final = re.compile(r"\w+")


def _pools(table: Mapping[str, Any], kind: str = "") -> Iterator[tuple[str, Pool]]:
    """The pools of a table and of the tables in it; their keys are joined by colons."""
    for key, entry in table.items():
        if isinstance(entry, Mapping):
            yield from _pools(entry, f"{kind}{key}:")
        else:
            yield f"{kind}{key}", tuple(entry)


def _events(table: Mapping[str, Any], asks: Mapping[str, str]) -> dict[str, Pool]:
    pools = dict(_pools(table))
    usual = pools.pop("asked:usual")
    for kind, words in asks.items():
        pools[f"asked:{kind}"] = tuple(wording.replace("{asks}", words) for wording in usual)
    return pools


_TABLES: Final = tomllib.loads(files(__package__).joinpath("phrases.toml").read_text(encoding="utf-8"))

ASKS: Final[Mapping[str, str]] = _TABLES["asks"]
"""Kind of question to what it asks for, in words."""
EVENTS: Final[Mapping[str, Pool]] = _events(_TABLES["events"], ASKS)
"""Kind of event, such as `weighed:-2`, to its wordings."""
THOUGHTS: Final[Mapping[str, Pool]] = dict(_pools(_TABLES["thoughts"]))
"""Stop to the lead-ins of what was thought there, where it has some of its own."""
ASIDES: Final[Mapping[str, Pool]] = dict(_pools(_TABLES["remarks"]))
"""Sentences that tell no event; skipped when a text is read back."""


def lead_ins() -> Mapping[str, Pool]:
    """Stop to what leads in a thought, which is the rest of the line; by default the stop's title."""
    return {stop.name: THOUGHTS.get(stop.name, (f"{stop.title}:",)) for stop in STOPS}


def our_words() -> frozenset[str]:
    """Every word of the wordings, case folded."""
    return _words(tuple(lead_ins().values()))


@cache
def _words(lead_ins: tuple[Pool, ...]) -> frozenset[str]:
    pools = (*EVENTS.values(), *lead_ins, *ASIDES.values())
    bare = [SLOT.sub(" ", wording) for pool in pools for wording in pool]
    return frozenset(_WORD.findall(" ".join([*bare, WHOLE]).casefold()))
