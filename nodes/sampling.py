"""Sampling settings of a model's calls."""

from pydantic import BaseModel, ConfigDict, Field


class Sampling(BaseModel):
    """Sampling settings sent with every call. What is None is left to the model's own configuration.

    Example:
        >>> Sampling(temperature=0.7, seed=1).for_sample(3)
        Sampling(temperature=0.7, top_p=None, seed=4)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    """Seed of sample 0; sample k uses seed + k."""

    def for_sample(self, sample: int) -> "Sampling":
        """The settings of the k-th sample of a case: the same, with another seed."""
        return (
            self if self.seed is None or not sample else self.model_copy(update={"seed": self.seed + sample})
        )

    def as_kwargs(self) -> dict[str, float | int]:
        """Keyword arguments for a chat model's `invoke`."""
        return self.model_dump(exclude_none=True)
