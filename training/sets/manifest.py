"""`journeys.json`: what a set of journeys was made of, by which settings, and what it holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import JourneySetError, fault_of
from ddxgraph.training.gate.config import GateConfig, Side
from ddxgraph.training.gate.report import InputReport
from ddxgraph.training.sets.figures import Figures
from ddxgraph.training.sets.samples import Format
from ddxgraph.training.styles.compile import StyleName

SET: Final = "journeys.json"
CARD: Final = "README.md"
SET_VERSION: Final = 1

_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class SetSettings(BaseModel):
    """What decides a set, beside the runs that go into it."""

    model_config = _FROZEN

    style: StyleName
    format: Format = "messages"
    seed: int = 0
    """Of the wording."""
    tries: int | None = None
    """The tree rule: most tries of each on-path node; None: all of them."""
    gate: GateConfig = GateConfig()


class Uncompiled(BaseModel):
    """A traversal that the gate accepted and that cannot be told in the style."""

    model_config = _FROZEN

    trace: str
    why: str


class Rewriting(BaseModel):
    """What a model made of the monologues."""

    model_config = _FROZEN

    model: str
    adapter: str | None
    adapter_sha256: str | None
    sampling: Mapping[str, Any]
    prompt_hash: str
    check: str
    """Version of the check that every rewriting passed."""
    asked: int
    accepted: int
    share: float | None
    """Accepted / asked, in 0..1; None where nothing was asked."""
    refusals: Mapping[str, int]
    """Kind of fault to monologues that kept the template for it; one may have several."""
    tries: int


class SetFile(BaseModel):
    """A file of the set."""

    model_config = _FROZEN

    sha256: str
    bytes: int


class SetManifest(BaseModel):
    """A set of journeys. The same input, settings and code give the same bytes: it holds no time and no path."""

    model_config = _FROZEN

    version: Literal[1] = SET_VERSION
    code_version: str
    settings: SetSettings
    prompt_hashes: Sequence[str]
    """Of the prompt sets that the samples answer: one, but for `graph` of runs with different prompts."""
    inputs: Sequence[InputReport]
    read: int
    """Traversals that went into the gate."""
    accepted: int
    """Traversals that came out of it."""
    uncompiled: Sequence[Uncompiled]
    rewriting: Rewriting | None = None
    train: Figures
    validation: Figures
    files: Mapping[str, SetFile]
    """All files but this one."""

    @property
    def samples(self) -> int:
        """Samples of both sides."""
        return self.train.samples + self.validation.samples

    @property
    def sides(self) -> Mapping[Side, Figures]:
        """The sides that hold samples."""
        both: dict[Side, Figures] = {"train": self.train, "validation": self.validation}
        return {side: figures for side, figures in both.items() if figures.samples}

    def to_json(self) -> str:
        """The manifest as its file."""
        return self.model_dump_json(indent=2) + "\n"


def data_file(side: Side) -> str:
    """Name of the file of a side; a side without samples has none."""
    return f"{side}.jsonl"


def read_set(folder: Path) -> SetManifest:
    """The manifest of a set.

    Raises:
        JourneySetError: the folder holds no set, or one of another version.
    """
    try:
        return SetManifest.model_validate_json((folder / SET).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise JourneySetError(
            f"{folder} is no set of journeys (it has no {SET}): name a folder that `ddxgraph journeys` made"
        ) from None
    except OSError as error:
        raise JourneySetError(f"cannot read {folder / SET}: {error.strerror or error}") from None
    except ValidationError as error:
        raise JourneySetError(
            f"{folder / SET} is not that of a set of version {SET_VERSION} ({fault_of(error)}): make the set "
            "again in another folder"
        ) from None
