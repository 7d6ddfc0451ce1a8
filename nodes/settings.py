"""Settings of a traversal's calls: how much a node may write, and how the model samples."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Maximum sizes in a node's reply. The JSON schema states them, and the engine enforces them.

    Example:
        >>> Limits(findings=8).reasoning_chars
        2000
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reasoning_chars: int = Field(default=2_000, ge=20)
    """The free reasoning at the start of a reply."""
    note_chars: int = Field(default=300, ge=20)
    """A rationale, a reason, or what evidence is missing."""
    quote_chars: int = Field(default=200, ge=20)
    """The quote of a finding."""
    findings: int = Field(default=16, ge=1)
    """Findings in one review of the history."""
    others: int = Field(default=2, ge=0)
    """Hypotheses beyond the options, in a case with options."""
    hypotheses: int = Field(default=6, ge=2)
    """Hypotheses in one differential of a free-form case."""
    weights: int = Field(default=8, ge=1)
    """Findings weighed in one evidence check."""
    refutations: int = Field(default=4, ge=1)
    """Hypotheses refuted in one reflection."""

    @classmethod
    def brief(cls) -> "Limits":
        """For very small models: without backtracks, a four-option case takes under 900 completion tokens."""
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
        """Completion tokens for the reasoning field and `items` JSON objects of `chars_per_item` characters.

        One token for two characters (English needs half as many), so that no reply is cut off before its JSON is
        complete, and 48 for the braces and names around it.
        """
        return 48 + (self.reasoning_chars + items * (chars_per_item + 60)) // 2


class Sampling(BaseModel):
    """Sampling settings of every call. None leaves a setting to the model's own configuration.

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
        """The settings for the k-th sample of a case: the same with another seed."""
        return (
            self if self.seed is None or not sample else self.model_copy(update={"seed": self.seed + sample})
        )

    def as_kwargs(self) -> dict[str, float | int]:
        """Keyword arguments for a chat model's `invoke`."""
        return {key: value for key, value in self if value is not None}
