"""The folder of an experiment: where its products lie, a folder a seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from ddxgraph.batch.manifest import Change, changes_between
from ddxgraph.common.errors import LoopError
from ddxgraph.common.files import StampedFolder, read_json, workplace, write_json
from ddxgraph.experiment.arms import Arm
from ddxgraph.experiment.config import ExperimentConfig
from ddxgraph.graph.trace import code_version

MANIFEST: Final = "experiment.json"
ENGINE_LOG: Final = "engine.log"
EXPERIMENT_VERSION: Final = 1
_LOCK: Final = "experiment.lock"
_INFORMS: Final = (
    "code_version",
    "created_at",
    "config.engine",
    "config.test.concurrency",
    "config.seeds",
    "config.spending.vote",
    "config.spending.max_tokens",
)
"""Fields that may change on the way, or afterwards: what they add lies in folders of its own."""


class ExperimentManifest(BaseModel):
    """What an experiment is: its settings, and what its cases are made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = EXPERIMENT_VERSION
    config: ExperimentConfig
    knowledge: str
    """SHA-256 (hex) over the test cases and their gold answers, in order."""
    code_version: str = ""
    created_at: str = ""
    """UTC, ISO 8601."""

    @classmethod
    def of(cls, config: ExperimentConfig, knowledge: str) -> "ExperimentManifest":
        """The manifest of an experiment that begins now."""
        return cls(
            config=config,
            knowledge=knowledge,
            code_version=code_version(),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def changes(self, now: "ExperimentManifest") -> list[Change]:
        """The fields in which another manifest describes another experiment."""
        return changes_between(self.model_dump(mode="json"), now.model_dump(mode="json"), but_for=_INFORMS)


class ArmFolder(NamedTuple):
    """Where the products of an arm lie."""

    path: Path

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
    def generated(self) -> Path:
        """The student's own traversals, of a second round: runs by level."""
        return self.path / "generated"

    @property
    def tested(self) -> Path:
        """The test cases: runs by level."""
        return self.path / "test"


class SeedFolder(NamedTuple):
    """Where the products of a seed lie."""

    seed: int
    path: Path

    def arm(self, arm: Arm) -> ArmFolder:
        """Those of an arm."""
        return ArmFolder(self.path / arm.folder)

    def taught(self, cases: int) -> Path:
        """The teacher's traversals of so many cases of each level: runs by level."""
        return self.path / "teacher" / f"{cases}-a-level"

    def votes(self, style: str) -> Path:
        """Samples of a style, to vote over: runs by level."""
        return self.path / "votes" / style

    def budget(self, max_tokens: int) -> Path:
        """The graph under a budget: runs by level."""
        return self.path / "budgets" / str(max_tokens)


class ExperimentFolder(StampedFolder):
    """An experiment's folder held by this process; made by `open_experiment`."""

    def __init__(self, path: Path, manifest: ExperimentManifest) -> None:
        super().__init__(path, MANIFEST)
        self.manifest = manifest

    @property
    def base(self) -> Path:
        """The test cases on the untrained base model: runs by level."""
        return self.path / "base"

    def seed(self, seed: int) -> SeedFolder:
        """The folder of a seed."""
        return SeedFolder(seed, self.path / f"seed-{seed}")


def level_run(place: Path, level: int) -> Path:
    """The run of a level."""
    return place / f"level-{level}"


@contextmanager
def open_experiment(path: Path, wanted: ExperimentManifest) -> Iterator[ExperimentFolder]:
    """Open an experiment's folder to go on with it, or make it.

    Raises:
        LoopError: another process works there, the folder is another experiment's or something else's, or it
            cannot be written.
    """
    with workplace(path, _LOCK, "an experiment"):
        known = read_json(path / MANIFEST, ExperimentManifest)
        if known is None:
            others = sorted(one.name for one in path.iterdir() if one.name not in {_LOCK, ENGINE_LOG})
            if others:
                raise LoopError(
                    f"{path} holds other files than an experiment ({', '.join(others[:3])}): name an empty "
                    "folder or a new one"
                )
            write_json(path / MANIFEST, wanted)
            known = wanted
        elif changes := known.changes(wanted):
            raise LoopError(
                f"{path} is another experiment: {'; '.join(map(str, changes))}. Nothing was changed. Use another "
                "folder (--out)"
            )
        yield ExperimentFolder(path, known.model_copy(update={"config": wanted.config}))
