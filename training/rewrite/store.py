"""The file of a rewriting model's replies; it is only ever appended to, one line per reply.

Whether a reply is accepted is not read from the file but checked again. So neither another version of the check
nor an edited file lets anything through.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import RewriteError
from ddxgraph.common.jsonl import LineFile, LineLog, line_of
from ddxgraph.graph.trace import Provenance
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.training.rewrite.check import Fault

REWRITES: Final = "rewrites.jsonl"
LOCK: Final = "rewrites.lock"
_FILE: Final = LineFile(
    record="a rewriting of version 1",
    error=RewriteError,
    busy="another process is rewriting into {folder}; wait for it",
    lock=LOCK,
    beginning=b'{"version":1,"rewriter":"',
)


class RewriteKey(NamedTuple):
    """What was asked, and of which rewriter."""

    rewriter: str
    """Digest of the model, its adapter, sampling and prompt."""
    trace: str
    """The trace's id."""
    template: str
    """Digest of the template's text."""


class RewriteTry(BaseModel):
    """One reply of a rewriting model. It holds no time, so that files can be compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    rewriter: str
    trace: str
    template: str
    number: int
    """Which try of the monologue it is, from 0."""
    text: str
    truncated: bool = False
    """The reply hit its cap."""
    faults: tuple[Fault, ...] = ()
    """What the check of then found; empty if it accepted the reply."""
    check: str
    """Version of that check (`check.CHECK`)."""
    provenance: Provenance
    """Of the rewriting model; `prompt_set` is the hash of its prompts."""
    usage: Usage

    @property
    def key(self) -> RewriteKey:
        """What was asked, and of which rewriter."""
        return RewriteKey(self.rewriter, self.trace, self.template)


def text_digest(text: str) -> str:
    """Digest of a text, 16 hex digits."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def rewriter_digest(provenance: Provenance) -> str:
    """Digest of a rewriter: its model, adapter, sampling and prompt; 16 hex digits."""
    decisive = {"model", "adapter", "adapter_sha256", "sampling", "prompt_set"}
    return text_digest(json.dumps(provenance.model_dump(mode="json", include=decisive), sort_keys=True))


def read_rewrites(path: Path) -> Iterator[RewriteTry]:
    """Read the replies of a file, in order; none if there is no file. A last line cut short is left out.

    Raises:
        RewriteError: the file cannot be read, or a line is not a reply.
    """
    return _FILE.records(path, RewriteTry)


class RewriteLog(LineLog):
    """A folder's file of replies, open for appending by one process at a time; a context manager.

    Args:
        folder: the folder; it is made if it is missing.

    Raises:
        RewriteError: another process has the file open, or it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._tries: dict[RewriteKey, list[RewriteTry]] = {}
        super().__init__(folder / REWRITES, _FILE, check=self._read)

    def tries(self, key: RewriteKey) -> list[RewriteTry]:
        """The replies on record, in order."""
        return list(self._tries.get(key, ()))

    def append(self, reply: RewriteTry) -> None:
        """Append a reply, and wait until it is on the disk.

        Raises:
            RewriteError: it cannot be written; earlier replies are untouched.
        """
        self.write([line_of(reply)])
        self._tries.setdefault(reply.key, []).append(reply)

    def _read(self, _last: bytes) -> None:
        for reply in read_rewrites(self.path):
            self._tries.setdefault(reply.key, []).append(reply)
