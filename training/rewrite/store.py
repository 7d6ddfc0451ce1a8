"""What a model wrote when it was asked to rewrite monologues: a file that is only ever added to.

A line is one reply. Whether it is accepted is not read from the file but checked again, so that neither another
version of the check nor an edited file lets through what the check would refuse.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from filelock import Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import RewriteError
from ddxgraph.graph.appendlog import AppendLog
from ddxgraph.graph.trace import Provenance
from ddxgraph.nodes.usage import Usage
from ddxgraph.training.rewrite.check import Fault

REWRITES: Final = "rewrites.jsonl"
LOCK: Final = "rewrites.lock"

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
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise RewriteError(f"cannot read {path}: {error.strerror or error}") from None
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield RewriteTry.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise RewriteError(
                f"{path}, line {number}: no rewriting of version 1 "
                f"({'.'.join(map(str, first['loc'])) or 'line'}: {first['msg']}); take the line out"
            ) from None


class RewriteLog:
    """A folder's file of rewritings, open for appending, by one process at a time; a context manager.

    Args:
        folder: where the file lies; it is made where it is missing.

    Raises:
        RewriteError: another process has it open, or it cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / REWRITES
        try:
            self._log = AppendLog(self.path, LOCK)
        except Timeout:
            raise RewriteError(f"another process is rewriting into {folder}; wait for it") from None
        except OSError as error:
            raise self._unwritable(error) from None
        self._tries: dict[RewriteKey, list[RewriteTry]] = {}
        try:
            for one in read_rewrites(self.path):
                self._tries.setdefault(one.key, []).append(one)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._log.close()

    def tries(self, key: RewriteKey) -> list[RewriteTry]:
        """What has come of a text so far, in order."""
        return list(self._tries.get(key, ()))

    def append(self, one: RewriteTry) -> None:
        """Append a reply, and wait until it is on the disk.

        Raises:
            RewriteError: it cannot be written; those before it are untouched.
        """
        if self._log.closed:
            raise RewriteError(f"{self.path} is closed: keep the log open while monologues are rewritten")
        try:
            self._log.append([one])
        except OSError as error:
            raise self._unwritable(error) from None
        self._tries.setdefault(one.key, []).append(one)

    def _unwritable(self, error: OSError) -> RewriteError:
        return RewriteError(f"cannot write {self.path}: {error.strerror or error}")
