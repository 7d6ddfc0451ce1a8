"""The configuration of the gate: a section for each rule, which can be switched off."""

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
        names = list(map(repr, known))
        expected = " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return name


TestSetName = Annotated[str, AfterValidator(_held_out)]
"""Name of a benchmark whose test split is held out."""
SpentBudget = Literal["budget_backtracks", "budget_calls", "budget_tokens"]
"""How a traversal ends when its budget sends it to the conclusion."""
Side = Literal["train", "validation"]
"""Where the journeys of a case go."""
SIDES: Final[tuple[Side, ...]] = ("train", "validation")


class Section(Settings):
    """Settings of one rule."""

    enabled: bool = True
    """Whether the rule is applied."""


class Answered(Section):
    """The graph gave an answer."""


class Correct(Section):
    """The answer is correct by the strict rule, or an expert approved it."""

    require_review: bool = False
    """Keep only traversals that an expert accepted."""


class ProvenanceRule(Section):
    """No answer key made a move, and the model saw every prompt whole."""

    allow_answer_key: bool = False
    """Keep traversals with moves of the trigger `gold` or `label`, and mark them."""
    expert_edits: Literal["allow", "require", "exclude"] = "allow"
    """Whether traversals that an expert edited while they were paused are kept: as any other, only they, or none
    of them. A sample's `triggers` count the edits."""
    allow_cut_prompts: bool = False
    """Keep traversals in which the server seems to have cut a prompt, by the tokens that it reports."""


class Ended(Section):
    """The traversal was ended by its own conclusion, not by a budget."""

    max_failed_steps: int = Field(default=0, ge=0)
    """Maximum number of steps whose reply could not be read."""
    allow: tuple[SpentBudget, ...] = ()
    """Spent budgets that are allowed (`budget_backtracks`, `budget_calls`, `budget_tokens`): the model did
    answer, but was not free to continue."""


class Length(Section):
    """The length is within limits."""

    min_steps: int = Field(default=5, ge=0)
    """Minimum number of steps; by default each of the five stops once."""
    max_steps: int | None = Field(default=None, ge=1)
    """Maximum number of steps. No limit by default."""
    min_completion_tokens: int = Field(default=0, ge=0)
    """Minimum number of tokens that the model wrote."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Maximum number of tokens that the model wrote. No limit by default."""
    min_backtracks: int = Field(default=0, ge=0)
    """Minimum number of backtracks."""
    max_backtracks: int | None = Field(default=None, ge=0)
    """Maximum number of backtracks. No limit by default."""

    @model_validator(mode="after")
    def _possible(self) -> "Length":
        for name in ("steps", "completion_tokens", "backtracks"):
            least, most = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if most is not None and most < least:
                raise ValueError(f"max_{name} = {most} is below min_{name} = {least}")
        return self


class Evidence(Section):
    """The hypothesis of the answer is unrefuted at the end, and findings were weighed on it."""

    support: Literal["leads", "not_against", "both"] = "leads"
    """`leads`: no other hypothesis has a higher credence at the end; `not_against`: the strengths of its
    findings sum to zero or more; `both`."""


class Findings(Section):
    """At least one finding is quoted from the case, and most of them are."""

    max_dropped_share: float = Field(default=0.5, ge=0, le=1)
    """Maximum share of findings that are not quotes of the case."""


class Repetition(Section):
    """The reasoning does not repeat itself."""

    words: int = Field(default=5, ge=1)
    """Length of the compared word sequences."""
    max_repeated_share: float = Field(default=0.5, ge=0, le=1)
    """Maximum share of sequences that stood in the same journey before."""


class Decontamination(Section):
    """Neither the question nor the reasoning is from a test set."""

    words: int = Field(default=13, ge=2)
    """Length of the compared word sequences (n-grams)."""
    containment: float = Field(default=0.3, gt=0, le=1)
    """Minimum share of common n-grams at which two questions count as the same (of the shorter one's distinct
    n-grams), and at which reasoning counts as quoting a test question (of the question's)."""
    run: int = Field(default=8, ge=1)
    """Number of consecutive n-grams of a test question at which reasoning counts as quoting it; n-grams of its
    own case do not count."""
    allow_missing: tuple[TestSetName, ...] = ("jama",)
    """Test sets that may be missing on this machine; the report then warns that they were not compared."""


class ExactDuplicates(Section):
    """No two traversals of a case take the same course."""


class NearDuplicates(Section):
    """No two traversals reason in nearly the same words."""

    words: int = Field(default=5, ge=1)
    """Length of the compared word sequences (shingles)."""
    threshold: float = Field(default=0.8, gt=0, lt=1)
    """Minimum estimated Jaccard similarity at which two reasonings count as the same."""
    permutations: int = Field(default=128, ge=16)
    """Hash functions of a MinHash; the estimate's standard error is at most 0.5 / sqrt(permutations)."""


class PerCase(Section):
    """No case has too many traversals."""

    at_most: int = Field(default=4, ge=1)
    """Maximum number of traversals of one case."""


class Balance(Section):
    """Answer letters, and straight and backtracking journeys, are in proportion."""

    max_letter_share: float = Field(default=0.4, gt=0, le=1)
    """Maximum share of one answer letter among the journeys with options; 1: any share."""
    backtracking_share: float | None = Field(default=None, gt=0, lt=1)
    """Target share of journeys with a backtrack. By default as they come."""


class Split(Section):
    """The division into train and validation, by case. If it is off, everything is train."""

    validation_share: float = Field(default=0.1, ge=0, le=1)
    """Expected share of cases that go to validation."""
    containment: float = Field(default=0.3, gt=0, le=1)
    """Minimum share of common 13-grams, of the shorter question's, at which two cases go to the same side."""


class GateConfig(Settings):
    """All settings of the gate.

    Example:
        >>> config = GateConfig(length={"enabled": True, "min_backtracks": 1})
        >>> config.length.min_backtracks, config.correct.enabled
        (1, True)
    """

    seed: int = 0
    """Draws the traversals to drop from a full case, letter or kind, and the cases of the validation side."""
    answered: Answered = Answered()
    """An answer by the graph."""
    correct: Correct = Correct()
    """A correct or approved answer."""
    provenance: ProvenanceRule = ProvenanceRule()
    """No move by an answer key."""
    ended: Ended = Ended()
    """An end by its own conclusion."""
    length: Length = Length()
    """Limits of length."""
    evidence: Evidence = Evidence()
    """An answer that its evidence supports."""
    findings: Findings = Findings()
    """Findings quoted from the case."""
    repetition: Repetition = Repetition()
    """No repetition."""
    decontamination: Decontamination = Decontamination()
    """Nothing from a test set."""
    exact_duplicates: ExactDuplicates = ExactDuplicates()
    """No course twice."""
    near_duplicates: NearDuplicates = NearDuplicates()
    """No reasoning twice."""
    per_case: PerCase = PerCase()
    """A limit per case."""
    balance: Balance = Balance()
    """Balance of letters and backtracks."""
    split: Split = Split()
    """Train and validation."""


def read_config(path: Path | str) -> GateConfig:
    """Read the configuration in a TOML file; what it does not name keeps its default.

    Raises:
        GateError: the file cannot be read, or a setting is unknown or impossible; the message names file and key.
    """
    return read_settings(path, GateConfig, GateError)


def default_toml() -> str:
    """The default configuration as a commented TOML file; every line of it may be left out."""
    return explained_toml(GateConfig, "Settings of the gate.")
