"""What a loop needs of the world: models served, adapters trained and proven, somebody to tell."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.batch.tally import Tally
from ddxgraph.training.sets.make import Progress


class Proof(BaseModel):
    """What is known of whether a served adapter is in force; `liveness.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    live: bool
    """Proven to be in force. Anything else is not evaluated."""
    verdict: str
    """In a word or two."""
    message: str
    """In a sentence, with the way to mend it."""
    figures: Mapping[str, Any] = Field(default_factory=dict)
    """What the verdict rests on."""


class Workshop(Protocol):
    """Serves, trains and verifies."""

    def served(self, adapter: Path | None) -> AbstractContextManager[BaseChatModel]:
        """The chat model on an adapter, or on the base model where None; served until the context ends."""

    def train(self, data: Path, out: Path, start: Path | None, *, learning_rate: float | None = None) -> None:
        """Train an adapter on a set of journeys, from another adapter or afresh; goes on where it was broken off.

        Args:
            data: the set.
            out: the adapter's folder.
            start: the adapter to begin with.
            learning_rate: for this training alone.

        What is served may be stopped for it. When it returns, `out` is there whole, with `training.json` in it.
        """

    def verify(self, adapter: Path) -> Proof:
        """Whether an adapter that is served at this moment is in force."""


class Watch(Protocol):
    """Is told how a loop is going."""

    def stage(self, where: str, stage: str, *, there: bool = False) -> None:
        """A stage begins; or its product is there already.

        Args:
            where: `base` or `round 1`.
            stage: its name.
            there: whether there is nothing left to do.
        """

    def walking(self, name: str, tally: Tally) -> AbstractContextManager[Callable[[], None]]:
        """While traversals are under way; the function is called whenever the tally has grown."""

    def working(self, what: str) -> AbstractContextManager[Progress]:
        """While something is under way that knows how much there is of it."""
