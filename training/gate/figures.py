"""The figures of the gate's report, out of the candidates."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ddxgraph.training.gate.candidate import Candidate
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import HeldOutSets
from ddxgraph.training.gate.reasons import Reason, Rule
from ddxgraph.training.gate.report import Example, HeldOutReport, InputReport, Kinds, RuleReport
from ddxgraph.training.review.opinions import Opinions
from ddxgraph.training.source import TraceSource

_EXAMPLES: Final = 2
_EXAMPLE_CHARS: Final = 120

TITLES: Final = {
    Rule.ANSWERED: "answered, by the graph strategy",
    Rule.CORRECT: "the answer is correct by the strict rule, or an expert approved it",
    Rule.PROVENANCE: "no move was made by an answer key",
    Rule.ENDED: "ended by its own conclusion, every reply readable",
    Rule.LENGTH: "length within its limits",
    Rule.EVIDENCE: "the answer is supported by its own evidence",
    Rule.FINDINGS: "findings are quoted from the case",
    Rule.REPETITION: "the same is not said again and again",
    Rule.DECONTAMINATION: "neither question nor reasoning is a test set's",
    Rule.EXACT_DUPLICATES: "no course of a case twice",
    Rule.NEAR_DUPLICATES: "no reasoning in nearly the same words twice",
    Rule.PER_CASE: "at most so many of one case",
    Rule.BALANCE: "letters and backtracks in proportion",
}


def input_report(
    source: TraceSource, number: int, candidates: Iterable[Candidate], opinions: Opinions
) -> InputReport:
    """A run folder, by its number."""
    own = [one for one in candidates if one.source == number]
    made = source.manifest.provenance
    return InputReport(
        name=source.name,
        traces=len(own),
        accepted=sum(one.rejection is None for one in own),
        expected=source.manifest.total,
        cases=source.cases,
        model=made.model,
        adapter=made.adapter,
        prompt_set=made.prompt_set,
        sampling=made.sampling,
        reviewed=opinions.heard,
        outdated_reviews=opinions.outdated,
        sha256=source.sha256,
    )


def rule_reports(candidates: Sequence[Candidate], config: GateConfig) -> list[RuleReport]:
    """A rule after the other; candidates come in the order of the output, so that the examples do."""
    found: dict[Rule, dict[Reason, list[Candidate]]] = {rule: {} for rule in Rule}
    for one in candidates:
        if one.rejection is not None:
            found[one.rejection.rule].setdefault(one.rejection.reason, []).append(one)
    reports = []
    before = len(candidates)
    for rule, reasons in found.items():
        taken = {reason: len(reasons[reason]) for reason in Reason if reason in reasons}
        after = before - sum(taken.values())
        reports.append(
            RuleReport(
                rule=rule,
                title=TITLES[rule],
                enabled=getattr(config, rule).enabled,
                before=before,
                after=after,
                reasons=taken,
                examples=[_example(one) for reason in taken for one in reasons[reason][:_EXAMPLES]],
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


def held_out_reports(sets: HeldOutSets, candidates: Iterable[Candidate]) -> list[HeldOutReport]:
    """The test sets that were compared, with what was found of each."""
    hits = Counter((one.test_set, one.rejection.reason) for one in candidates if one.rejection)
    return [
        HeldOutReport(
            name=one.name,
            title=one.title,
            questions=len(one.questions),
            absent=one.absent,
            sha256=one.sha256,
            digest=one.digest,
            questions_hit=hits[one.name, Reason.TEST_QUESTION],
            reasonings_hit=hits[one.name, Reason.TEST_QUESTION_IN_REASONING],
        )
        for one in sets.present
    ]


def kinds(candidates: Sequence[Candidate]) -> Kinds:
    """What candidates consist of."""
    return Kinds(
        journeys=len(candidates),
        cases=len({one.digest for one in candidates}),
        letters=dict(sorted(Counter(one.letter for one in candidates).items())),
        backtracking=sum(one.backtracks > 0 for one in candidates),
    )
