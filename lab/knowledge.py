"""DDXPlus' conditions and the findings of each, read from the user's own copy."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.errors import BadInput
from ddxgraph.common.toml import read_toml

CONDITIONS_FILE: Final = "release_conditions.json"
"""Name of the file in DDXPlus' English release."""
LEAST_FINDINGS: Final = 4
"""A condition with fewer findings that have a short name cannot fill a reference card, and is left out."""


class KnowledgeError(BadInput):
    """A file is not DDXPlus' list of conditions."""


class Condition(NamedTuple):
    """A condition and the findings that its patients may show."""

    name: str
    findings: tuple[str, ...]
    """Short English names, in the order of the release."""


class Knowledge(NamedTuple):
    """All conditions that cases can be made of."""

    conditions: tuple[Condition, ...]
    sha256: str
    """Over conditions and names of findings, hex. With level and seed it decides the cases."""


def read_knowledge(content: bytes) -> Knowledge:
    """Read the file `release_conditions.json` of the English release.

    Raises:
        KnowledgeError: it is another file.
    """
    try:
        known = knowledge_of(json.loads(content), phrases())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        known = None
    if not known or not known.conditions:
        raise KnowledgeError(f"this is no {CONDITIONS_FILE} of DDXPlus' English release")
    return known


def knowledge_of(conditions: Mapping[str, Any], names: Mapping[str, str]) -> Knowledge:
    """Conditions with enough named findings, sorted by name.

    Args:
        conditions: as in `release_conditions.json`.
        names: code of an evidence to its short English name.
    """
    known = []
    for entry in conditions.values():
        named = tuple(names[code] for code in entry["symptoms"] if code in names)
        if len(named) >= LEAST_FINDINGS:
            known.append(Condition(entry["cond-name-eng"], named))
    known.sort()
    text = json.dumps(known, ensure_ascii=False)
    return Knowledge(tuple(known), hashlib.sha256(text.encode()).hexdigest())


@cache
def phrases() -> Mapping[str, str]:
    """Code of a yes-or-no evidence to its short English name, which holds no comma."""
    return read_toml(Path(__file__).with_name("phrases.toml"))
