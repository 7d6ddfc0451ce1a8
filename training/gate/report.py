"""The gate's report: what went in, what each rule took out and why, what came out."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.batch.manifest import leaves
from ddxgraph.common.errors import GateError
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.reasons import MEANING, Reason, Rule
from ddxgraph.training.markdown import markdown_environment

MARKDOWN: Final = "gate.md"
JSON: Final = "gate.json"
_TEMPLATE: Final = "report.md.jinja"
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Example(BaseModel):
    """A traversal that a rule took out."""

    model_config = _FROZEN

    trace: str
    case: str
    reason: Reason
    words: str
    """Why, in a few words."""


class RuleReport(BaseModel):
    """What a rule did."""

    model_config = _FROZEN

    rule: Rule
    title: str
    """What it asks for, in words."""
    enabled: bool
    before: int
    """Traversals that came to it."""
    after: int
    """Traversals that it let through."""
    reasons: Mapping[Reason, int]
    """Why the others were not, with their numbers."""
    examples: Sequence[Example]
    """The first of each reason, by case, sample and id."""


class InputReport(BaseModel):
    """A run folder."""

    model_config = _FROZEN

    name: str
    """The folder's name."""
    traces: int
    """Traversals in it, each id once; attempts that failed lie in another file and are not counted."""
    expected: int
    """Traversals that the run is to have in the end."""
    accepted: int
    cases: str
    """The benchmark and split that the run is of; `case file` for another."""
    model: str
    adapter: str | None
    prompt_set: str
    """Content hash of the prompt set."""
    sampling: Mapping[str, Any]
    reviewed: int
    """Traversals on which an expert's word was taken."""
    outdated_reviews: int
    """Reviews of traversals that have changed since; they were not heeded."""
    sha256: str
    """Of its traces, as far as they were read; hex."""


class HeldOutReport(BaseModel):
    """A test set that the traversals were compared with."""

    model_config = _FROZEN

    name: str
    title: str
    questions: int
    absent: int
    """Questions of the set that are not on this machine, and that nothing was compared with."""
    sha256: str
    """Of its file, hex."""
    digest: str
    """SHA-256 over its questions, hex."""
    questions_hit: int
    """Traversals whose case is one of its questions."""
    reasonings_hit: int
    """Traversals whose reasoning quotes one of them."""


class MissingReport(BaseModel):
    """A test set that nothing was compared with, as the configuration allows."""

    model_config = _FROZEN

    name: str
    title: str
    obtain: str


class Kinds(BaseModel):
    """What a set of journeys consists of."""

    model_config = _FROZEN

    journeys: int
    cases: int
    """By content."""
    letters: Mapping[str, int] = Field(default_factory=dict)
    """Answer letter to journeys; those without options under the empty name."""
    backtracking: int = 0
    """Journeys with at least one move back."""


class GateReport(BaseModel):
    """All that the gate did. The same input, configuration and code give the same bytes."""

    model_config = _FROZEN

    code_version: str
    config: GateConfig
    inputs: Sequence[InputReport]
    rules: Sequence[RuleReport]
    held_out: Sequence[HeldOutReport]
    missing: Sequence[MissingReport]
    before_balance: Kinds
    accepted: Kinds
    train: Kinds
    validation: Kinds
    question_groups: int
    """Groups of accepted cases that ask nearly the same; a case of its own is a group."""
    notes: Mapping[str, int]
    """Note to accepted traversals that carry it."""

    @property
    def read(self) -> int:
        """Traversals that went in."""
        return sum(one.traces for one in self.inputs)

    @property
    def rejected(self) -> Mapping[Reason, int]:
        """Reason to traversals, over all rules; the most frequent first."""
        total: Counter[Reason] = Counter()
        for rule in self.rules:
            total.update(rule.reasons)
        return dict(total.most_common())

    @property
    def mixed(self) -> Mapping[str, int]:
        """What the folders differ in, where they do: name to the number of different ones."""
        made: dict[str, Collection[object]] = {
            "models": {(one.model, one.adapter) for one in self.inputs},
            "prompt sets": {one.prompt_set for one in self.inputs},
        }
        return {name: len(different) for name, different in made.items() if len(different) > 1}

    def to_json(self) -> str:
        """The report as JSON."""
        return self.model_dump_json(indent=2) + "\n"

    def to_markdown(self) -> str:
        """The report as a page to read."""
        environment = markdown_environment(Path(__file__).parent)
        environment.filters["share"] = _share
        template = environment.get_template(_TEMPLATE)
        return template.render(report=self, meaning=MEANING, settings=self._settings())

    def write(self, folder: Path) -> None:
        """Write `gate.md` and `gate.json` into a folder, which is made where it is not there.

        Raises:
            GateError: they cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MARKDOWN).write_text(self.to_markdown(), encoding="utf-8")
            (folder / JSON).write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise GateError(f"cannot write the report to {folder}: {error.strerror or error}") from None

    def _settings(self) -> list["_Setting"]:
        """Every setting, beside its default."""
        plain = dict(leaves(GateConfig().model_dump(mode="json")))
        return [
            _Setting(name, _said(value), value != plain[name])
            for name, value in leaves(self.config.model_dump(mode="json"))
        ]


class _Setting(NamedTuple):
    name: str
    value: str
    changed: bool


def _said(value: Any) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "–"
