"""The training card: what an adapter was trained on, how, and what came of it; for machines and for readers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ddxgraph.common.errors import TrainingError, fault_of
from ddxgraph.common.templates import markdown_environment
from ddxgraph.training.sft.job import CARD, TrainingJob
from ddxgraph.training.sft.tokens import SideCounts

README: Final = "README.md"

_TEMPLATE: Final = "card.md.jinja"
_LIBRARIES: Final = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Hardware(BaseModel):
    """What it was trained on."""

    model_config = _FROZEN

    device: str
    devices: int
    precision: str
    attention: str


class Losses(BaseModel):
    """Nats a supervised token."""

    model_config = _FROZEN

    train: float
    """At the last entry of the log."""
    train_mean: float
    """Over all steps."""
    validation: float | None
    """At the last evaluation; None without a validation side."""
    log: Sequence[Mapping[str, float]]
    """Entries of the log, in order: `step`, and `loss`, `learning_rate`, `eval_loss` and others as they came."""


class TrainingCard(BaseModel):
    """An adapter's record; `training.json` in its folder."""

    model_config = _FROZEN

    version: Literal[1] = 1
    made: datetime
    """When it was done, UTC."""
    job: TrainingJob
    base_model: str
    """Folder or hub's id that the weights were loaded from."""
    train: SideCounts
    validation: SideCounts
    steps: int
    seconds: float
    """Spent training, without loading and without what came to nothing before a resumption."""
    tokens_per_s: float
    """Trained on, over `seconds`; padding is not counted."""
    trained_parameters: int
    all_parameters: int
    losses: Losses
    hardware: Hardware
    libraries: Mapping[str, str]
    code_version: str

    @property
    def samples(self) -> int:
        """Samples trained on."""
        return self.train.used

    @property
    def supervised_tokens(self) -> int:
        """Tokens that the loss was taken over, in one pass."""
        return self.train.supervised_tokens

    @property
    def train_loss(self) -> float:
        """Nats a supervised token at the end."""
        return self.losses.train

    @property
    def validation_loss(self) -> float | None:
        """Nats a supervised token on the validation side at the end; None without one."""
        return self.losses.validation

    def write(self, folder: Path, name: str) -> None:
        """Write the card and its page into an adapter's folder."""
        (folder / CARD).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        page = (
            markdown_environment(Path(__file__).parent).get_template(_TEMPLATE).render(card=self, name=name)
        )
        (folder / README).write_text(page, encoding="utf-8")


def read_training_card(folder: Path) -> TrainingCard:
    """The card of an adapter that `ddxgraph train` made.

    Raises:
        TrainingError: there is none, or it is of another version.
    """
    path = folder / CARD
    try:
        return TrainingCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise TrainingError(f"{folder} has no {CARD}: it is no adapter of `ddxgraph train`") from None
    except OSError as error:
        raise TrainingError(f"cannot read {path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise TrainingError(f"{path} is no training card of this version ({fault_of(error)})") from None


def libraries() -> dict[str, str]:
    """Versions of what was trained with."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def losses_of(history: Sequence[Mapping[str, Any]]) -> Losses:
    """The losses in a trainer's log."""
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
