"""Levels of difficulty: the parameters of the generative model of laboratory cases."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Noise(NamedTuple):
    """How patients depart from the card of their condition."""

    missing: float
    """Probability that a finding on the card is absent; in 0..1, both ends excluded."""
    misleading: float
    """Probability that any other finding is present."""


class Level(BaseModel):
    """A level of difficulty. A patient has one of the candidates, each as likely as the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    candidates: int = Field(ge=2, le=8)
    """Conditions to choose from."""
    card: int = Field(ge=1)
    """Findings on each reference card, drawn from those of the condition."""
    overlap: tuple[float, float]
    """Least and most mean share of a card that another candidate's card shares, over all pairs."""
    findings: int = Field(ge=1)
    """Findings that the case mentions, drawn from those on any card."""
    missing: float = Field(gt=0, lt=0.5, multiple_of=0.01)
    """Probability that a finding on the card of the patient's condition is absent. The question states it."""
    misleading: float = Field(gt=0, lt=0.5, multiple_of=0.01)
    """Probability that any other finding is present."""
    margin: float = Field(default=0.2, ge=0, lt=1)
    """Least distance between the two highest posterior probabilities, which makes the answer unique."""

    @property
    def noise(self) -> Noise:
        """How patients depart from the card of their condition."""
        return Noise(self.missing, self.misleading)


LEVELS: Final[Mapping[int, Level]] = {
    level.number: level
    for level in (
        Level(number=1, candidates=2, card=3, overlap=(0, 0), findings=3, missing=0.17, misleading=0.17),
        Level(number=2, candidates=2, card=3, overlap=(0.3, 0.4), findings=4, missing=0.22, misleading=0.22),
        Level(number=3, candidates=3, card=3, overlap=(0.05, 0.4), findings=5, missing=0.23, misleading=0.23),
        Level(number=4, candidates=4, card=3, overlap=(0.1, 0.5), findings=6, missing=0.25, misleading=0.25),
    )
}
"""From cases that a glance settles to cases in which every finding must be weighed against every card.

On each level a missing finding weighs as much as a present one, so that an exact reader only has to count.
"""
