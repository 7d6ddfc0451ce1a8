"""The configuration of the gate: a section a rule, each of which can be switched off."""

import json
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ddxgraph.training.gateerror import GateError

TestSetName = Literal["medqa", "medbullets", "jama"]
"""A benchmark whose test split is kept out."""
SpentBudget = Literal["budget_backtracks", "budget_calls", "budget_tokens"]
"""How a traversal ends that its budget sent to the conclusion."""
Side = Literal["train", "validation"]
"""Where a case's journeys go."""
SIDES: Final[tuple[Side, ...]] = ("train", "validation")

_ALIKE: Final = 0.5
"""How alike two names must be, by difflib's ratio, for one to be meant by the other."""


class Section(BaseModel):
    """Settings of one rule."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

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
    """Share of the shorter question's distinct n-grams from which on two questions count as the same."""
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


class GateConfig(BaseModel):
    """All settings of the gate."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

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
    try:
        told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise GateError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:  # broken TOML, or no UTF-8
        raise GateError(f"{path} is no TOML: {error}") from None
    try:
        return GateConfig.model_validate(told)
    except ValidationError as error:
        said = "; ".join(_said(one) for one in error.errors(include_url=False))
        raise GateError(f"{path}: {said}") from None


def _said(error: ErrorDetails) -> str:
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return f"unknown key {'.'.join(path)}; {_meant(path)}"
    return f"{'.'.join(path)}: {error['msg'].removeprefix('Value error, ')}"


def _meant(path: list[str]) -> str:
    """The valid key that an unknown one is nearest to: of its name elsewhere, else of a like name beside it."""
    section, name = path[:-1], path[-1]
    keys = list(_keys())
    same = [f"{place}.{key}" for place, key in keys if place and key == name]
    beside = [key for place, key in keys if place == (section[0] if section else "")]
    if same and name != "enabled":
        return f"the nearest valid key is {' or '.join(same)}"
    close = get_close_matches(name, beside, n=1, cutoff=_ALIKE)
    if close:
        return f"the nearest valid key is {'.'.join([*section, close[0]])}"
    return f"valid keys {'of ' + section[0] if section else 'and sections'} are {', '.join(beside)}"


def _keys() -> Iterator[tuple[str, str]]:
    """Section (empty at the top) and name of every key."""
    for name, field in GateConfig.model_fields.items():
        yield "", name
        if isinstance(field.default, Section):
            for key in type(field.default).model_fields:
                yield name, key


def default_toml() -> str:
    """The default configuration as a TOML file that explains itself; every line of it may be left out."""
    lines = ["# Settings of the gate. Every line holds its default and may be left out.", ""]
    sections = []
    for name, field in GateConfig.model_fields.items():
        if isinstance(field.default, Section):
            sections.append((name, field.default))
        else:
            lines += [*_setting(name, field), ""]
    for name, section in sections:
        lines += [f"# {(type(section).__doc__ or '').strip()}", f"[{name}]"]
        for key, field in type(section).model_fields.items():
            lines += _setting(key, field)
        lines.append("")
    return "\n".join(lines)


def _setting(name: str, field: FieldInfo) -> list[str]:
    explained = f"# {' '.join((field.description or '').split())}"
    value: Any = field.default
    return [explained, f"# {name} =" if value is None else f"{name} = {json.dumps(value)}"]
