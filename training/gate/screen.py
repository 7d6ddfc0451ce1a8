"""The gate: decides which traversals of some runs may become training data, with a reason for each other one."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ddxgraph.common.errors import GateError
from ddxgraph.graph.trace import code_version
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import HeldOutSets, load_held_out
from ddxgraph.training.gate.gated import Accepted, Gated, Rejected
from ddxgraph.training.gate.reasons import remaining
from ddxgraph.training.gate.report import (
    GateReport,
    MissingReport,
    held_out_reports,
    input_report,
    kinds,
    rule_reports,
)
from ddxgraph.training.gate.rules import Progress, Sifting
from ddxgraph.training.gate.selection import balance, drop_duplicates, limit_per_case
from ddxgraph.training.gate.split import question_groups, side_of
from ddxgraph.training.review.review import Reviews, RunReviews
from ddxgraph.training.source import RunSource, TraceSource, as_source

__all__ = ["Accepted", "Gated", "Progress", "Rejected", "RunSource", "gate"]


def gate(
    runs: Iterable[RunSource | Path | str],
    config: GateConfig | None = None,
    *,
    reviews: Reviews | None = None,
    judge: str | Literal[True] | None = None,
    held_out: HeldOutSets | None = None,
    progress: Progress | None = None,
) -> Gated:
    """Decide for every traversal of some runs whether it may become training data.

    Each trace file is read twice, up to its size at the start: for the scores and for the rules. About 2 kB of
    each traversal are kept; traces are read again when they are asked for. The order of the folders, and of the
    lines in them, makes no difference.

    Args:
        runs: the run folders; with their cases for a run that was made of a case file.
        config: the settings; by default the gate's defaults.
        reviews: trace id to the review that an expert gave, which goes before the gold answer; by default the
            reviews in each run folder. A review of a traversal that has changed since is ignored.
        judge: whose judgements decide on free-form answers: see `score_run`.
        held_out: the test sets; by default those in the user's data folder.
        progress: gets from time to time how many bytes were read for the rules, and how many there are.

    Returns:
        All decisions, with the report.

    Raises:
        GateError: a run has no gold answers, there is no run or no trace, a folder is named twice, a required
            test set is missing, or a trace belongs to another run; file and line are named.
        TraceFileError: a line of a trace file is no trace; file and line are named.
        ReviewError: a run's reviews cannot be read.
        BenchmarkError, CaseFileError, CaseConflict, JudgementError: see `score_run`.

    Example:
        >>> import asyncio
        >>> from ddxgraph import Case, Gold, RunSource, run
        >>> from ddxgraph.eval.cases import CaseEntry
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> async def pilot() -> list[str]:
        ...     return [trace.id async for trace in run([case], ScriptedChatModel(), out="runs/pilot")]
        >>> _ = asyncio.run(pilot())
        >>> source = RunSource("runs/pilot", [CaseEntry(case, Gold(case=case.id, answer="A"))])
        >>> gated = gate([source], GateConfig(decontamination={"enabled": False}))
        >>> [rule.reasons for rule in gated.report.rules if rule.reasons]  # the scripted model quotes nothing
        [{<Reason.NO_FINDINGS: 'no_findings'>: 1}]
    """
    config = config or GateConfig()
    sources = _sources(runs)
    sets = _held_out(config, held_out)
    sifting = Sifting(config, sets, sum(source.size for source in sources), progress)
    opinions = []
    for number, source in enumerate(sources):
        opinions.append(RunReviews(source.reviews() if reviews is None else reviews.values()))
        verdicts = source.verdicts(judge) if _needs_gold(config) else {}
        sifting.take(number, source, verdicts, opinions[number])
    candidates = sorted(sifting.candidates, key=lambda c: (*c.order, sources[c.source].identity))
    drop_duplicates(candidates, config)
    limit_per_case(candidates, config)
    unbalanced = remaining(candidates)
    balance(unbalanced, config)
    accepted = remaining(unbalanced)
    questions = {candidate.digest: sifting.questions[candidate.digest] for candidate in accepted}
    groups = question_groups(questions, config.split.containment)
    sides = {digest: side_of(group, config.split, config.seed) for digest, group in groups.items()}
    by_identity = sorted(range(len(sources)), key=lambda number: sources[number].identity)
    notes = Counter(note.value for candidate in accepted for note in candidate.notes)
    report = GateReport(
        code_version=code_version(),
        config=config,
        inputs=[
            input_report(sources[number], number, candidates, opinions[number]) for number in by_identity
        ],
        rules=rule_reports(candidates, config),
        held_out=held_out_reports(sets, candidates),
        missing=[MissingReport(**missing._asdict()) for missing in sets.missing],
        before_balance=kinds(unbalanced),
        accepted=kinds(accepted),
        train=kinds([candidate for candidate in accepted if sides[candidate.digest] == "train"]),
        validation=kinds([candidate for candidate in accepted if sides[candidate.digest] == "validation"]),
        question_groups=len(set(groups.values())),
        notes=dict(sorted(notes.items())),
    )
    return Gated(report, sources, candidates, sides, sifting.decontaminator)


def _sources(runs: Iterable[RunSource | Path | str]) -> list[TraceSource]:
    sources = [as_source(run) for run in runs]
    if not sources:
        raise GateError("there is nothing to gate: name at least one run folder")
    for place, count in Counter(source.place for source in sources).items():
        if count > 1:
            raise GateError(f"{place} is named {count} times: name each run folder once")
    return sources


def _held_out(config: GateConfig, given: HeldOutSets | None) -> HeldOutSets:
    if not config.decontamination.enabled:
        return HeldOutSets(())
    return load_held_out(config.decontamination.allow_missing) if given is None else given


def _needs_gold(config: GateConfig) -> bool:
    return config.correct.enabled and not config.correct.require_review
