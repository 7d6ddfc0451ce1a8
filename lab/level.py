"""How hard a laboratory case is: the parameters of the generative model, in levels."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class Level(BaseModel):
    """A level of difficulty. A patient has one of the candidates, each as likely as the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int
    candidates: int = Field(ge=2, le=8)
    """Conditions to choose from."""
    card: int = Field(ge=1)
    """Findings on each reference card, drawn from those of the condition."""
    overlap: tuple[float, float]
    """Least and most of the mean share of a card that stands on another candidate's too, over all pairs."""
    findings: int = Field(ge=1)
    """Findings that the case tells of, drawn from those on any card; the others are not mentioned."""
    missing: float = Field(gt=0, lt=0.5)
    """Probability that a finding on the card of the patient's condition is absent."""
    misleading: float = Field(gt=0, lt=0.5)
    """Probability that any other finding is present."""
    margin: float = Field(default=0.2, ge=0, lt=1)
    """Least distance between the two highest posterior probabilities: what makes the answer unique."""


LEVELS: Final[Mapping[int, Level]] = {
    level.number: level
    for level in (
        Level(number=1, candidates=2, card=3, overlap=(0, 0), findings=3, missing=0.1, misleading=0.05),
        Level(number=2, candidates=3, card=4, overlap=(0, 0.2), findings=4, missing=0.2, misleading=0.1),
        Level(number=3, candidates=4, card=4, overlap=(0.1, 0.35), findings=5, missing=0.2, misleading=0.1),
        Level(number=4, candidates=5, card=4, overlap=(0.2, 0.5), findings=6, missing=0.25, misleading=0.15),
    )
}
"""From one that a glance settles to one in which every finding has to be weighed against every card."""
