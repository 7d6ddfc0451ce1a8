"""Settings of a traversal's calls: how much a node may write, and how the model samples."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Upper bounds that each node's JSON schema states and the engine enforces.

    Example:
        >>> Limits(findings=8).reasoning_chars
        2000
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning_chars: int = Field(default=2_000, ge=20)
    """Free thought that stands first in every output."""
    note_chars: int = Field(default=300, ge=20)
    """A rationale, a reason, something missing."""
    quote_chars: int = Field(default=200, ge=20)
    """A finding, quoted from the case."""
    findings: int = Field(default=16, ge=1)
    """Findings from one reading of the history."""
    others: int = Field(default=2, ge=0)
    """Hypotheses beside the options, in a case that has options."""
    hypotheses: int = Field(default=6, ge=2)
    """Hypotheses of one differential, in a free-form case."""
    weights: int = Field(default=8, ge=1)
    """Findings weighed against one hypothesis in one check."""
    refutations: int = Field(default=4, ge=1)
    """Hypotheses refuted in one reflection."""

    @classmethod
    def brief(cls) -> "Limits":
        """For very small models: a straight walk of a four-option case stays below 900 completion tokens."""
        return cls(
            reasoning_chars=80,
            note_chars=40,
            quote_chars=60,
            findings=3,
            others=0,
            hypotheses=4,
            weights=2,
            refutations=1,
        )

    def completion_tokens(self, items: int, chars_per_item: int) -> int:
        """Room for `items` JSON objects of so many characters after the reasoning field.

        Counts a token for every two characters, twice as many as English needs, so that no reply is cut
        off before its schema has closed; and 48 for the braces and names around them.
        """
        return 48 + (self.reasoning_chars + items * (chars_per_item + 60)) // 2


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
