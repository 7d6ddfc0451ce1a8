"""How much a node may write: list lengths and text lengths that its schema enforces."""

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
