"""The folder of a loop: what it is, what is there already, and one process at a time in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.batch.manifest import Change, changes_between
from ddxgraph.common.errors import LoopError
from ddxgraph.common.files import StampedFolder, read_json, workplace, write_json
from ddxgraph.graph.trace import code_version
from ddxgraph.training.loop.cases import CaseDigest
from ddxgraph.training.loop.config import LoopConfig

MANIFEST: Final = "loop.json"
LOCK: Final = "loop.lock"
BASE: Final = "base"
ROUND: Final = "round-"
RUN: Final = "run"
SUMMARIES: Final = ("summary.json", "summary.md", "summary.html")
ENGINE_LOG: Final = "engine.log"
LOOP_VERSION: Final = 1

_INFORMS: Final = (
    "code_version",
    "created_at",
    "config.rounds",
    "config.engine",
    "config.generate.concurrency",
    "config.evaluate.concurrency",
    "config.gate_config",  # the settings that it names stand under config.gate
    "config.train.base_model",
)
"""Fields that may change while a loop is under way: they decide nothing of what it makes."""


class LoopManifest(BaseModel):
    """What a loop is: its settings, and the content of its cases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = LOOP_VERSION
    config: LoopConfig
    generate: CaseDigest
    evaluate: CaseDigest
    code_version: str = ""
    created_at: str = ""
    """UTC, ISO 8601."""

    @classmethod
    def of(cls, config: LoopConfig, generate: CaseDigest, evaluate: CaseDigest) -> "LoopManifest":
        """The manifest of a loop that begins now."""
        return cls(
            config=config,
            generate=generate,
            evaluate=evaluate,
            code_version=code_version(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def changes(self, now: "LoopManifest") -> list[Change]:
        """The fields in which another manifest describes another loop."""
        return changes_between(self.model_dump(mode="json"), now.model_dump(mode="json"), but_for=_INFORMS)


class RoundFolder(NamedTuple):
    """Where the products of a round lie."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        """Such as `round-01`."""
        return self.path.name

    @property
    def run(self) -> Path:
        """The traversals that journeys are made of: a run folder."""
        return self.path / RUN

    @property
    def journeys(self) -> Path:
        """The set that is trained on."""
        return self.path / "journeys"

    @property
    def adapter(self) -> Path:
        """What was trained."""
        return self.path / "adapter"

    @property
    def liveness(self) -> Path:
        """Whether the served adapter was proven to be in force."""
        return self.path / "liveness.json"

    @property
    def evaluation(self) -> Path:
        """The validation cases on the adapter: a run folder."""
        return self.path / "evaluation"

    @property
    def decision(self) -> Path:
        """Whether the adapter is kept."""
        return self.path / "decision.json"


class LoopFolder(StampedFolder):
    """A loop's folder held by this process; made by `open_loop`."""

    def __init__(self, path: Path, manifest: LoopManifest) -> None:
        super().__init__(path, MANIFEST)
        self.manifest = manifest

    @property
    def base(self) -> Path:
        """The validation cases on the untrained base model: a run folder."""
        return self.path / BASE

    def round(self, number: int) -> RoundFolder:
        """The folder of a round, from 1."""
        return RoundFolder(number, self.path / f"{ROUND}{number:02}")


@contextmanager
def open_loop(path: Path, wanted: LoopManifest) -> Iterator[LoopFolder]:
    """Open a loop's folder to go on with it, or make it.

    Runs that were copied from another loop may lie there before (`base`, `round-01/run`): they are taken up as
    any run is, where model and settings are the same.

    Raises:
        LoopError: another process works there, the folder is another loop's or something else's, or it cannot be
            written.
    """
    with workplace(path, LOCK, "a loop"):
        known = _known(path)
        if known is None:
            _check_new(path)
            write_json(path / MANIFEST, wanted)
            known = wanted
        elif changes := known.changes(wanted):
            raise LoopError(
                f"{path} is another loop: {'; '.join(map(str, changes))}. Nothing was changed. Use another "
                "folder (--out); runs of this one that still hold may be copied there"
            )
        yield LoopFolder(path, known.model_copy(update={"config": wanted.config}))


def _known(path: Path) -> LoopManifest | None:
    return read_json(path / MANIFEST, LoopManifest)


def _check_new(path: Path) -> None:
    ours = {LOCK, BASE, ENGINE_LOG, f"{MANIFEST}.new"}
    rounds = [one for one in path.iterdir() if one.name.startswith(ROUND) and one.is_dir()]
    others = sorted(one.name for one in path.iterdir() if one.name not in ours and one not in rounds)
    others += sorted(
        f"{one.name}/{part.name}" for one in rounds for part in one.iterdir() if part.name != RUN
    )
    if others:
        raise LoopError(
            f"{path} holds other files than a loop ({', '.join(others[:3])}): name an empty folder or a new one"
        )
