"""The configuration of the gate: a section a rule, each of which can be switched off."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from ddxgraph.common.errors import GateError
from ddxgraph.common.toml import Settings, explained_toml, read_settings
from ddxgraph.eval.benchmarks.registry import held_out_benchmarks


def _held_out(name: str) -> str:
    known = [benchmark.name for benchmark in held_out_benchmarks()]
    if name not in known:
        names = [repr(one) for one in known]
        expected = " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return name


TestSetName = Annotated[str, AfterValidator(_held_out)]
"""Name of a benchmark that is held out."""
"""A benchmark whose test split is kept out."""
SpentBudget = Literal["budget_backtracks", "budget_calls", "budget_tokens"]
"""How a traversal ends that its budget sent to the conclusion."""
Side = Literal["train", "validation"]
"""Where a case's journeys go."""
SIDES: Final[tuple[Side, ...]] = ("train", "validation")


class Section(Settings):
    """Settings of one rule."""

    enabled: bool = True
    """Whether the rule is applied."""


class Answered(Section):
    """Answered, and by the graph."""


class Correct(Section):
    """The answer is correct by the strict rule, or an expert has approved it."""

    require_review: bool = False
    """Take only what an expert has accepted."""


class ProvenanceRule(Section):
    """No move was made by an answer key."""

    allow_answer_key: bool = False
    """Take moves with trigger `gold` or `label`; what is taken is marked."""


class Ended(Section):
    """Ended by its conclusion, not by a budget."""

    max_failed_steps: int = Field(default=0, ge=0)
    """Most steps whose reply could not be read."""
    allow: tuple[SpentBudget, ...] = ()
    """Spent budgets that are allowed (`budget_backtracks`, `budget_calls`, `budget_tokens`): the model gave its
    answer in the end, but was not free to go on."""


class Length(Section):
    """Limits of length."""

    min_steps: int = Field(default=5, ge=0)
    """Fewest steps: each of the five stops once."""
    max_steps: int | None = Field(default=None, ge=1)
    """Most steps; no limit where absent."""
    min_completion_tokens: int = Field(default=0, ge=0)
    """Fewest tokens that the model wrote."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Most tokens that the model wrote; no limit where absent."""
    min_backtracks: int = Field(default=0, ge=0)
    """Fewest moves back."""
    max_backtracks: int | None = Field(default=None, ge=0)
    """Most moves back; no limit where absent."""

    @model_validator(mode="after")
    def _possible(self) -> "Length":
        for name in ("steps", "completion_tokens", "backtracks"):
            least, most = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if most is not None and most < least:
                raise ValueError(f"max_{name} = {most} is below min_{name} = {least}")
        return self


class Evidence(Section):
    """The answer's hypothesis stands at the end, and was weighed."""

    support: Literal["leads", "not_against", "both"] = "leads"
    """`leads`: none has a higher credence at the end; `not_against`: the strengths of its findings sum to
    zero or more; `both`."""


class Findings(Section):
    """Findings are quoted from the case."""

    max_dropped_share: float = Field(default=0.5, ge=0, le=1)
    """Most of the findings that may not stand in the case; one at least must."""


class Repetition(Section):
    """The reasoning does not say the same again and again."""

    words: int = Field(default=5, ge=1)
    """Length of the word sequences that are compared."""
    max_repeated_share: float = Field(default=0.5, ge=0, le=1)
    """Most of the sequences that may have stood in the same journey before."""


class Decontamination(Section):
    """Neither question nor reasoning is that of a test set."""

    words: int = Field(default=13, ge=2)
    """Length of the word sequences (n-grams) that are compared."""
    containment: float = Field(default=0.3, gt=0, le=1)
    """Share of the shorter question's distinct n-grams from which on two questions count as the same; of a test
    question's own, wherever they stand, from which on reasoning quotes it."""
    run: int = Field(default=8, ge=1)
    """Consecutive n-grams of one test question, absent from the case itself, that the reasoning may not hold."""
    allow_missing: tuple[TestSetName, ...] = ("jama",)
    """Test sets that may be absent from this machine; the report says at its top that they were not compared."""


class ExactDuplicates(Section):
    """No two traversals of the same case take the same course."""


class NearDuplicates(Section):
    """No two traversals reason in nearly the same words."""

    words: int = Field(default=5, ge=1)
    """Length of the word sequences (shingles) that are compared."""
    threshold: float = Field(default=0.8, gt=0, lt=1)
    """Estimated Jaccard similarity from which on two reasonings are the same."""
    permutations: int = Field(default=128, ge=16)
    """Hash functions of a MinHash; the estimate's standard error is at most 0.5 / sqrt(permutations)."""


class PerCase(Section):
    """At most so many traversals of one case."""

    at_most: int = Field(default=4, ge=1)
    """Traversals of one case."""


class Balance(Section):
    """Answer letters, and straight and backtracking journeys, in proportion."""

    max_letter_share: float = Field(default=0.4, gt=0, le=1)
    """Most of the journeys with options that one answer letter may have; 1: any share."""
    backtracking_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of journeys with a backtrack to come to; as they come where absent."""


class Split(Section):
    """Train and validation, by case. Where it is off, everything is train."""

    validation_share: float = Field(default=0.1, ge=0, le=1)
    """Expected share of the cases that go to validation."""
    containment: float = Field(default=0.3, gt=0, le=1)
    """Share of the shorter question's 13-grams from which on two cases go to the same side."""


class GateConfig(Settings):
    """All settings of the gate.

    Example:
        >>> config = GateConfig(length={"enabled": True, "min_backtracks": 1})
        >>> config.length.min_backtracks, config.correct.enabled
        (1, True)
    """

    seed: int = 0
    """Decides which traversals of a full case, letter or kind are dropped, and which cases are validation."""
    answered: Answered = Answered()
    """Answered, and by the graph."""
    correct: Correct = Correct()
    """Correct by the strict rule, or approved."""
    provenance: ProvenanceRule = ProvenanceRule()
    """No move by an answer key."""
    ended: Ended = Ended()
    """Ended by its conclusion."""
    length: Length = Length()
    """Limits of length."""
    evidence: Evidence = Evidence()
    """Answer supported by its own evidence."""
    findings: Findings = Findings()
    """Findings quoted from the case."""
    repetition: Repetition = Repetition()
    """No degenerate text."""
    decontamination: Decontamination = Decontamination()
    """Nothing of a test set."""
    exact_duplicates: ExactDuplicates = ExactDuplicates()
    """No course twice."""
    near_duplicates: NearDuplicates = NearDuplicates()
    """No reasoning nearly twice."""
    per_case: PerCase = PerCase()
    """At most so many of one case."""
    balance: Balance = Balance()
    """Letters and backtracks in proportion."""
    split: Split = Split()
    """Train and validation."""


def read_config(path: Path | str) -> GateConfig:
    """The configuration in a TOML file; what it does not name keeps its default.

    Raises:
        GateError: the file cannot be read, or a setting in it is unknown or impossible; it names file and key.
    """
    return read_settings(path, GateConfig, GateError)


def default_toml() -> str:
    """The default configuration as a TOML file that explains itself; every line of it may be left out."""
    return explained_toml(GateConfig, "Settings of the gate.")
