"""What a model wrote when it was asked to rewrite monologues: a file that is only ever added to.

A line is one reply. Whether it is accepted is not read from the file but checked again, so that neither another
version of the check nor an edited file lets through what the check would refuse.
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
from ddxgraph.nodes.usage import Usage
from ddxgraph.training.rewrite.check import Fault

REWRITES: Final = "rewrites.jsonl"
LOCK: Final = "rewrites.lock"
_FILE: Final = LineFile(
    record="a rewriting of version 1",
    error=RewriteError,
    busy="another process is rewriting into {folder}; wait for it",
    lock=LOCK,
)

_DIGEST_CHARS: Final = 16


class RewriteKey(NamedTuple):
    """What was asked of whom."""

    rewriter: str
    """Digest of the model, its adapter, sampling and prompt."""
    trace: str
    """The trace's id."""
    template: str
    """Digest of the text that was to be rewritten."""


class RewriteTry(BaseModel):
    """One reply of a rewriting model. Holds no time, so that files can be compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    rewriter: str
    trace: str
    template: str
    number: int
    """Which try it was, from 0."""
    text: str
    truncated: bool = False
    """It met its cap."""
    faults: tuple[Fault, ...] = ()
    """What the check found when it was written; none: accepted."""
    check: str
    """Version of the check (`rewritecheck.CHECK`)."""
    provenance: Provenance
    """Of the rewriting model; `prompt_set` is the hash of its prompts."""
    usage: Usage

    @property
    def key(self) -> RewriteKey:
        """What was asked of whom."""
        return RewriteKey(self.rewriter, self.trace, self.template)


def text_digest(text: str) -> str:
    """Names a text; 16 hex digits."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:_DIGEST_CHARS]


def rewriter_digest(provenance: Provenance) -> str:
    """Names a rewriter: another model, adapter, sampling or prompt is another one; 16 hex digits."""
    told = provenance.model_dump(
        mode="json", include={"model", "adapter", "adapter_sha256", "sampling", "prompt_set"}
    )
    return text_digest(json.dumps(told, sort_keys=True))


def read_rewrites(path: Path) -> Iterator[RewriteTry]:
    """Replies of a file, in its order; none where there is no file. A last line that was cut short is left out.

    Raises:
        RewriteError: the file cannot be read, or a line of it is no reply.
    """
    return _FILE.records(path, RewriteTry)


class RewriteLog(LineLog):
    """A folder's file of rewritings, open for appending, by one process at a time; a context manager.

    Args:
        folder: where the file lies; it is made where it is missing.

    Raises:
        RewriteError: another process has it open, or it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._tries: dict[RewriteKey, list[RewriteTry]] = {}
        super().__init__(folder / REWRITES, _FILE, check=self._read)

    def tries(self, key: RewriteKey) -> list[RewriteTry]:
        """What has come of a text so far, in order."""
        return list(self._tries.get(key, ()))

    def append(self, reply: RewriteTry) -> None:
        """Append a reply, and wait until it is on the disk.

        Raises:
            RewriteError: it cannot be written; those before it are untouched.
        """
        self.write([line_of(reply)])
        self._tries.setdefault(reply.key, []).append(reply)

    def _read(self, _last: bytes) -> None:
        for reply in read_rewrites(self.path):
            self._tries.setdefault(reply.key, []).append(reply)
