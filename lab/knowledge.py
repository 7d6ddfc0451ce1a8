"""What DDXPlus knows: conditions, and the findings that each of them shows. Read from the user's own copy."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

CONDITIONS_FILE: Final = "release_conditions.json"
EVIDENCES_FILE: Final = "release_evidences.json"
SHA256: Final[Mapping[str, str]] = {
    CONDITIONS_FILE: "8173e95870b81d0295f0febd27ec6c700c69e96ecddc39a18efdfbe5f23708bb",
    EVIDENCES_FILE: "b8657bfc2beb399ee0825b4b885ec0ec595d71191345b2bf1f0b04ccad20e9d1",
}
"""Of the files of the English release."""
LEAST_FINDINGS: Final = 4
"""A condition with fewer findings that have a short name cannot fill a reference card, and is left out."""


class KnowledgeError(ValueError):
    """The files of DDXPlus are missing or not the published ones; the message says which and what to do."""


class Condition(NamedTuple):
    """A condition, and what a patient who has it may show."""

    name: str
    findings: tuple[str, ...]
    """Short English names, in the order of the release."""


class Knowledge(NamedTuple):
    """All conditions that cases can be made of."""

    conditions: tuple[Condition, ...]
    sha256: str
    """Over conditions and the names of their findings, hex: what the cases follow from, beside level and seed."""


def read_knowledge(folder: Path) -> Knowledge:
    """Read the two files of the release.

    Args:
        folder: holds `release_conditions.json` and `release_evidences.json`, as they were published.

    Raises:
        KnowledgeError: one is missing, unreadable, or not the published file.
    """
    conditions = _published(folder / CONDITIONS_FILE)
    evidences = _published(folder / EVIDENCES_FILE)
    return knowledge_of(conditions, evidences, phrases())


def knowledge_of(
    conditions: Mapping[str, Any], evidences: Mapping[str, Any], names: Mapping[str, str]
) -> Knowledge:
    """Conditions with enough named findings, by name.

    Args:
        conditions: as in `release_conditions.json`.
        evidences: as in `release_evidences.json`; of its evidences those that are answered yes or no count.
        names: code of an evidence to its short English name.
    """
    known = []
    for entry in conditions.values():
        named = tuple(
            names[code] for code in entry["symptoms"] if code in names and evidences[code]["data_type"] == "B"
        )
        if len(named) >= LEAST_FINDINGS:
            known.append(Condition(entry["cond-name-eng"], named))
    known.sort()
    said = json.dumps(known, ensure_ascii=False)
    return Knowledge(tuple(known), hashlib.sha256(said.encode()).hexdigest())


@cache
def phrases() -> Mapping[str, str]:
    """Code of an evidence to its short English name, which holds no comma, no "and" and no "or"."""
    return tomllib.loads((Path(__file__).parent / "phrases.toml").read_text(encoding="utf-8"))


def _published(path: Path) -> Mapping[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise KnowledgeError(f"cannot read {path}: {error.strerror or error}") from None
    if hashlib.sha256(content).hexdigest() != SHA256[path.name]:
        raise KnowledgeError(
            f"{path} is not the file of DDXPlus' English release (its SHA-256 begins with "
            f"{SHA256[path.name][:12]}): fetch it again"
        )
    read: Mapping[str, Any] = json.loads(content)
    return read
