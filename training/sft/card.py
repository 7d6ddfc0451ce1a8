"""The training card: data, settings and results of a training, as JSON and as a page."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import TrainingError, fault_of
from ddxgraph.common.files import read_regular
from ddxgraph.common.templates import markdown_environment
from ddxgraph.training.sft.job import CARD, TrainingJob
from ddxgraph.training.sft.tokens import SideCounts

README: Final = "README.md"

_TEMPLATE: Final = "card.md.jinja"
_LIBRARIES: Final = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Hardware(BaseModel):
    """Hardware and number formats of a training."""

    model_config = _FROZEN

    device: str
    devices: int
    precision: str
    attention: str


class Losses(BaseModel):
    """Losses in nats per supervised token."""

    model_config = _FROZEN

    train: float
    """At the last log entry."""
    train_mean: float
    """Over all steps."""
    validation: float | None
    """At the last evaluation; None without validation samples."""
    log: Sequence[Mapping[str, float]]
    """Log entries in order: `step`, with `loss`, `learning_rate`, `eval_loss` and others."""


class TrainingCard(BaseModel):
    """An adapter's record; `training.json` in its folder."""

    model_config = _FROZEN

    version: Literal[1] = 1
    made: datetime
    """Completion time, UTC."""
    job: TrainingJob
    base_model: str
    """Folder or hub id of the weights."""
    train: SideCounts
    validation: SideCounts
    steps: int
    seconds: float
    """Training time, without loading and without work lost before a resumption."""
    tokens_per_s: float
    """Training tokens over `seconds`, padding not counted."""
    trained_parameters: int
    all_parameters: int
    losses: Losses
    hardware: Hardware
    libraries: Mapping[str, str]
    code_version: str

    @property
    def samples(self) -> int:
        """Number of training samples."""
        return self.train.used

    @property
    def supervised_tokens(self) -> int:
        """Supervised tokens in one epoch."""
        return self.train.supervised_tokens

    @property
    def train_loss(self) -> float:
        """Training loss at the end, nats per supervised token."""
        return self.losses.train

    @property
    def validation_loss(self) -> float | None:
        """Validation loss at the end, nats per supervised token; None without validation samples."""
        return self.losses.validation

    def write(self, folder: Path, name: str) -> None:
        """Write the card as JSON and as a page into an adapter's folder."""
        (folder / CARD).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        page = (
            markdown_environment(Path(__file__).parent).get_template(_TEMPLATE).render(card=self, name=name)
        )
        (folder / README).write_text(page, encoding="utf-8")


def read_training_card(folder: Path) -> TrainingCard:
    """Read the card of an adapter made by `ddxgraph train`.

    Raises:
        TrainingError: there is no card of this version.
    """
    path = folder / CARD
    try:
        return TrainingCard.model_validate_json(read_regular(path))
    except FileNotFoundError:
        raise TrainingError(f"{folder} has no {CARD}: it is no adapter of `ddxgraph train`") from None
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise TrainingError(f"{path} is no training card of this version ({fault_of(error)})") from None


def libraries() -> dict[str, str]:
    """Versions of the training libraries."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def losses_of(history: Sequence[Mapping[str, Any]]) -> Losses:
    """Collect the losses from a trainer's log."""
    entries = [
        {key: float(value) for key, value in entry.items() if isinstance(value, int | float)}
        for entry in history
    ]
    steps = [entry for entry in entries if "loss" in entry]
    evaluations = [entry for entry in entries if "eval_loss" in entry]
    final = next((entry for entry in reversed(entries) if "train_loss" in entry), {})
    last = steps[-1]["loss"] if steps else final.get("train_loss", float("nan"))
    return Losses(
        train=last,
        train_mean=_mean([entry["loss"] for entry in steps], last),
        validation=evaluations[-1]["eval_loss"] if evaluations else None,
        log=entries,
    )


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
