"""The gate: from run folders to the traversals that may become training data; a reason for every other one."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from ddxgraph.common.errors import GateError
from ddxgraph.graph.trace import code_version
from ddxgraph.training.gate.candidate import Candidate, remaining
from ddxgraph.training.gate.config import GateConfig
from ddxgraph.training.gate.decontamination import HeldOutSets, load_held_out
from ddxgraph.training.gate.figures import held_out_reports, input_report, kinds, rule_reports
from ddxgraph.training.gate.gated import Accepted, Gated, Rejected
from ddxgraph.training.gate.report import GateReport, MissingReport
from ddxgraph.training.gate.selection import balance, drop_duplicates, limit_per_case
from ddxgraph.training.gate.sifting import Meter, Progress, Sifting
from ddxgraph.training.gate.split import question_groups, side_of
from ddxgraph.training.review.opinions import Opinions, Reviews
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
    """Gate runs: decide of every traversal whether it may become training data.

    A file of traces is read twice, for the scores and for the rules; of one that is being written, what is there
    at the beginning. Of a traversal some 2 kB are kept; what is accepted is read again when it is asked for. The
    order of the folders, and of the lines in them, makes no difference.

    Args:
        runs: the run folders; with their cases where a run was made of a case file.
        config: the settings; the defaults where absent.
        reviews: trace id to what an expert said of it, which goes before the gold answer; by default the reviews
            that lie beside each run. One of a traversal that has changed since is not heeded.
        judge: whose judgements settle free-form answers: see `score_run`.
        held_out: the test sets; by default those of the user's data folder.
        progress: told now and then how far the reading for the rules is.

    Raises:
        GateError: a run has no gold answers, no run or trace is there, a folder is named twice, a test set is
            missing that may not be, or a trace is another run's; file and line are named.
        TraceFileError: a line of a trace file is no trace; file and line are named.
        ReviewError: a run's reviews cannot be read.
        BenchmarkError, CaseFileError, CaseConflict, JudgementError: see `score_run`.
    """
    config = config or GateConfig()
    sources = _sources(runs)
    sets = _held_out(config, held_out)
    sifting = Sifting(config, sets, Meter(sum(one.size for one in sources), progress))
    heard = []
    for number, source in enumerate(sources):
        opinions = Opinions(source.reviews() if reviews is None else reviews.values())
        sifting.take(number, source, source.verdicts(judge) if _needs_gold(config) else {}, opinions)
        heard.append(opinions)
    candidates = sorted(sifting.candidates, key=lambda one: (*one.order, sources[one.source].identity))
    drop_duplicates(candidates, config)
    limit_per_case(candidates, config)
    unbalanced = remaining(candidates)
    balance(unbalanced, config)
    chosen = remaining(unbalanced)
    questions = {one.digest: sifting.questions[one.digest] for one in chosen}
    groups = question_groups(questions, config.split.containment)
    sides = [side_of(groups[one.digest], config.split, config.seed) for one in chosen]
    numbers = sorted(range(len(sources)), key=lambda number: sources[number].identity)
    report = GateReport(
        code_version=code_version(),
        config=config,
        inputs=[input_report(sources[number], number, candidates, heard[number]) for number in numbers],
        rules=rule_reports(candidates, config),
        held_out=held_out_reports(sets, candidates),
        missing=[MissingReport(**one._asdict()) for one in sets.missing],
        before_balance=kinds(unbalanced),
        accepted=kinds(chosen),
        train=kinds([one for one, side in zip(chosen, sides, strict=True) if side == "train"]),
        validation=kinds([one for one, side in zip(chosen, sides, strict=True) if side == "validation"]),
        question_groups=len(set(groups.values())),
        notes=_notes(chosen),
    )
    return Gated(report, sources, candidates, chosen, sides, sifting.decontaminator)


def _sources(runs: Iterable[RunSource | Path | str]) -> list[TraceSource]:
    sources = [as_source(run) for run in runs]
    if not sources:
        raise GateError("there is nothing to gate: name at least one run folder")
    for place, count in Counter(one.place for one in sources).items():
        if count > 1:
            raise GateError(f"{place} is named {count} times: name each run folder once")
    return sources


def _held_out(config: GateConfig, given: HeldOutSets | None) -> HeldOutSets:
    if not config.decontamination.enabled:
        return HeldOutSets(())
    return load_held_out(config.decontamination.allow_missing) if given is None else given


def _needs_gold(config: GateConfig) -> bool:
    return config.correct.enabled and not config.correct.require_review


def _notes(chosen: Sequence[Candidate]) -> dict[str, int]:
    return dict(sorted(Counter(note.value for one in chosen for note in one.notes).items()))
