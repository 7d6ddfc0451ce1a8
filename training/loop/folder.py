"""The folder of a loop: its manifest, its products, and a lock that admits one process at a time."""

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
"""Fields that may change during a loop, because they do not affect its products."""


class LoopManifest(BaseModel):
    """What defines a loop: its settings and the content of its cases."""

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
        """The manifest of a loop that begins now.

        Args:
            config: all settings.
            generate: digest of the cases that journeys are made from.
            evaluate: digest of the validation cases.

        Returns:
            The manifest, with code version and time.
        """
        return cls(
            config=config,
            generate=generate,
            evaluate=evaluate,
            code_version=code_version(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def changes(self, now: "LoopManifest") -> list[Change]:
        """The differences that make another manifest that of a different loop."""
        return changes_between(self.model_dump(mode="json"), now.model_dump(mode="json"), but_for=_INFORMS)


class RoundFolder(NamedTuple):
    """Paths of a round's products."""

    number: int
    path: Path

    @property
    def name(self) -> str:
        """Such as `round-01`."""
        return self.path.name

    @property
    def run(self) -> Path:
        """Run folder of the traversals that journeys are made from."""
        return self.path / RUN

    @property
    def journeys(self) -> Path:
        """The training set."""
        return self.path / "journeys"

    @property
    def adapter(self) -> Path:
        """The trained adapter."""
        return self.path / "adapter"

    @property
    def liveness(self) -> Path:
        """Proof that the served adapter is in force."""
        return self.path / "liveness.json"

    @property
    def evaluation(self) -> Path:
        """Run folder of the validation cases on the adapter."""
        return self.path / "evaluation"

    @property
    def decision(self) -> Path:
        """Whether the adapter is kept."""
        return self.path / "decision.json"


class LoopFolder(StampedFolder):
    """A loop's folder, locked by this process; see `open_loop`."""

    def __init__(self, path: Path, manifest: LoopManifest) -> None:
        super().__init__(path, MANIFEST)
        self.manifest = manifest

    @property
    def base(self) -> Path:
        """Run folder of the validation cases on the untrained base model."""
        return self.path / BASE

    def round(self, number: int) -> RoundFolder:
        """The folder of a round, from 1."""
        return RoundFolder(number, self.path / f"{ROUND}{number:02}")


@contextmanager
def open_loop(path: Path, wanted: LoopManifest) -> Iterator[LoopFolder]:
    """Open a loop's folder to resume it, or create it.

    Runs copied from another loop beforehand (`base`, `round-01/run`) are resumed if model and settings match.

    Raises:
        LoopError: another process works there, the folder holds another loop or other files, or it cannot be
            written.
    """
    with workplace(path, LOCK, "a loop"):
        known = read_json(path / MANIFEST, LoopManifest)
        if known is None:
            _check_new(path)
            write_json(path / MANIFEST, wanted)
            known = wanted
        elif changes := known.changes(wanted):
            raise LoopError(
                f"{path} is another loop: {'; '.join(map(str, changes))}. Nothing was changed. Use another "
                "folder (--out); you may copy runs there that still apply"
            )
        yield LoopFolder(path, known.model_copy(update={"config": wanted.config}))


def _check_new(path: Path) -> None:
    ours = {LOCK, BASE, ENGINE_LOG, f"{MANIFEST}.new"}
    rounds = [entry for entry in path.iterdir() if entry.name.startswith(ROUND) and entry.is_dir()]
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in ours and entry not in rounds)
    others += sorted(
        f"{folder.name}/{part.name}" for folder in rounds for part in folder.iterdir() if part.name != RUN
    )
    if others:
        raise LoopError(
            f"{path} holds other files than a loop ({', '.join(others[:3])}): name an empty or new folder"
        )
