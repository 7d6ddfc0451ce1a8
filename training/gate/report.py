"""The gate's report: what went in, what each rule rejected and why, what came out."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import Field

from ddxgraph.batch.manifest import leaves
from ddxgraph.common.errors import GateError
from ddxgraph.common.frozen import Frozen
from ddxgraph.common.templates import markdown_environment
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.reasons import Candidate, Reason, Rule, remaining

if TYPE_CHECKING:  # these need the extra `journeys`; reports are read without it
    from ddxgraph.training.gate.decontamination import HeldOutSets
    from ddxgraph.training.review.review import RunReviews
    from ddxgraph.training.source import TraceSource

MARKDOWN: Final = "gate.md"
JSON: Final = "gate.json"
_TEMPLATE: Final = "report.md.jinja"
_EXAMPLES: Final = 2
_EXAMPLE_CHARS: Final = 120


class _Setting(NamedTuple):
    name: str
    value: str
    changed: bool


class Example(Frozen):
    """A traversal that a rule rejected."""

    trace: str
    case: str
    reason: Reason
    words: str
    """Why, in a few words."""


class RuleReport(Frozen):
    """What a rule did."""

    rule: Rule
    title: str
    """What it requires, in words."""
    enabled: bool
    before: int
    """Traversals that reached it."""
    after: int
    """Traversals that passed."""
    reasons: Mapping[Reason, int]
    """Reason to rejected traversals."""
    examples: Sequence[Example]
    """The first of each reason, by case, sample and id."""


class InputReport(Frozen):
    """A run folder."""

    name: str
    """The folder's name."""
    traces: int
    """Traversals in it, each id once; failed attempts are in another file and do not count."""
    expected: int
    """Traversals that the finished run has."""
    accepted: int
    cases: str
    """The run's benchmark and split; `case file` for other cases."""
    model: str
    adapter: str | None
    prompt_set: str
    """Content hash of the prompt set."""
    sampling: Mapping[str, Any]
    reviewed: int
    """Traversals that an expert's review decided."""
    outdated_reviews: int
    """Reviews of traversals that have changed since; they were ignored."""
    sha256: str
    """Of its traces, up to where they were read; hex."""


class HeldOutReport(Frozen):
    """A test set that the traversals were compared with."""

    name: str
    title: str
    questions: int
    absent: int
    """Questions of the set that are not on this machine, so that nothing was compared with them."""
    sha256: str
    """Of its file, hex."""
    digest: str
    """SHA-256 over its questions, hex."""
    questions_hit: int
    """Traversals whose case is one of its questions."""
    reasonings_hit: int
    """Traversals whose reasoning quotes one of them."""


class MissingReport(Frozen):
    """A test set that is not on this machine, as the configuration allows; nothing was compared with it."""

    name: str
    title: str
    obtain: str


class Kinds(Frozen):
    """What a set of journeys consists of."""

    journeys: int
    cases: int
    """By content."""
    letters: Mapping[str, int] = Field(default_factory=dict)
    """Answer letter to journeys; those without options under the empty string."""
    backtracking: int = 0
    """Journeys with at least one move back."""


class GateReport(Frozen):
    """Everything that the gate did. The same input, configuration and code give the same bytes."""

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
    """Groups of accepted cases that ask nearly the same; a case on its own is a group."""
    notes: Mapping[str, int]
    """Note to accepted traversals that have it."""

    @property
    def read(self) -> int:
        """Traversals that went in."""
        return sum(run.traces for run in self.inputs)

    @property
    def rejected(self) -> Mapping[Reason, int]:
        """Reason to traversals, over all rules, the most frequent first."""
        total: Counter[Reason] = Counter()
        for rule in self.rules:
            total.update(rule.reasons)
        return dict(total.most_common())

    @property
    def mixed(self) -> Mapping[str, int]:
        """In what the runs differ: name to the number of different ones."""
        made: dict[str, Collection[object]] = {
            "models": {(run.model, run.adapter) for run in self.inputs},
            "prompt sets": {run.prompt_set for run in self.inputs},
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
        return template.render(report=self, settings=self._settings())

    def write(self, folder: Path) -> None:
        """Write `gate.md` and `gate.json` into a folder, which is made if it is missing.

        Raises:
            GateError: they cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MARKDOWN).write_text(self.to_markdown(), encoding="utf-8")
            (folder / JSON).write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise GateError(f"cannot write the report to {folder}: {error.strerror or error}") from None

    def _settings(self) -> list[_Setting]:
        """Every setting, beside its default."""
        plain = dict(leaves(GateConfig().model_dump(mode="json")))
        return [
            _Setting(name, _in_words(value), value != plain[name])
            for name, value in leaves(self.config.model_dump(mode="json"))
        ]


def _in_words(value: Any) -> str:
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


def input_report(
    source: "TraceSource", number: int, candidates: Iterable[Candidate], opinions: "RunReviews"
) -> InputReport:
    """Report on a run.

    Args:
        source: the run.
        number: its number among the runs.
        candidates: of all runs.
        opinions: the reviews of this run.

    Returns:
        The report.
    """
    own = [candidate for candidate in candidates if candidate.source == number]
    made = source.manifest.provenance
    return InputReport(
        name=source.name,
        traces=len(own),
        accepted=len(remaining(own)),
        expected=source.manifest.total,
        cases=source.cases,
        model=made.model,
        adapter=made.adapter,
        prompt_set=made.prompt_set,
        sampling=made.sampling,
        reviewed=opinions.decided,
        outdated_reviews=opinions.outdated,
        sha256=source.sha256,
    )


def rule_reports(candidates: Sequence[Candidate], config: GateConfig) -> list[RuleReport]:
    """Report on the rules, in their order. Examples come in the order of the candidates."""
    rejected: dict[Rule, dict[Reason, list[Candidate]]] = {rule: {} for rule in Rule}
    for candidate in candidates:
        if candidate.rejection is not None:
            rejected[candidate.rejection.rule].setdefault(candidate.rejection.reason, []).append(candidate)
    reports = []
    before = len(candidates)
    for rule, reasons in rejected.items():
        counts = {reason: len(reasons[reason]) for reason in Reason if reason in reasons}
        after = before - sum(counts.values())
        reports.append(
            RuleReport(
                rule=rule,
                title=rule.words,
                enabled=getattr(config, rule).enabled,
                before=before,
                after=after,
                reasons=counts,
                examples=[_example(shown) for reason in counts for shown in reasons[reason][:_EXAMPLES]],
            )
        )
        before = after
    return reports


def _example(candidate: Candidate) -> Example:
    assert candidate.rejection is not None  # noqa: S101 - an example is one that was rejected
    return Example(
        trace=candidate.id,
        case=candidate.case,
        reason=candidate.rejection.reason,
        words=candidate.rejection.detail[:_EXAMPLE_CHARS],
    )


def held_out_reports(sets: "HeldOutSets", candidates: Iterable[Candidate]) -> list[HeldOutReport]:
    """Report on the test sets that the traversals were compared with."""
    hits = Counter((c.test_set, c.rejection.reason) for c in candidates if c.rejection)
    return [
        HeldOutReport(
            name=known.name,
            title=known.title,
            questions=len(known.questions),
            absent=known.absent,
            sha256=known.sha256,
            digest=known.digest,
            questions_hit=hits[known.name, Reason.TEST_QUESTION],
            reasonings_hit=hits[known.name, Reason.TEST_QUESTION_IN_REASONING],
        )
        for known in sets.present
    ]


def kinds(candidates: Sequence[Candidate]) -> Kinds:
    """Count candidates by case, letter and kind."""
    return Kinds(
        journeys=len(candidates),
        cases=len({candidate.digest for candidate in candidates}),
        letters=dict(sorted(Counter(candidate.letter for candidate in candidates).items())),
        backtracking=sum(candidate.backtracks > 0 for candidate in candidates),
    )
