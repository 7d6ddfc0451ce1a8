"""Which runs belong together: two on the same cases, and those of one configuration on several benchmarks.

A configuration is one way to answer: model, adapter, strategy, settings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias, TypeVar

from ddxgraph.eval.report.figures import Figures, RunResult
from ddxgraph.eval.report.published import CASES
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.paired import Paired, holm, paired
from ddxgraph.eval.statistics.shuffle import Choice, shuffle_sensitivity

SIGNIFICANT: Final = 0.05
"""Level of the tests, after Holm's adjustment."""
BENCHMARK: Final = ("selection.benchmark", "selection.size", "selection.sha256")
"""Fields of the manifest in which the runs of a configuration may differ."""


class Comparison(Figures):
    """Two runs on the same cases; all shares in 0..1."""

    a: str
    b: str
    items: str
    n: int
    """Cases compared."""
    left_out: int
    """Cases with an unscored sample in either run; they are neither right nor wrong, so not compared."""
    only_a: int
    """Cases on which `a` did better; with one sample each, those that only `a` answered correctly."""
    only_b: int
    difference: float
    """Accuracy of `b` less accuracy of `a`, on the cases compared."""
    low: float
    high: float
    """95% interval of the difference, by the paired bootstrap over cases."""
    p_value: float
    p_holm: float
    """Adjusted over all comparisons of the report."""
    test: str

    @property
    def significant(self) -> bool:
        """Whether the difference is significant at 0.05 after the adjustment. Never if cases are left out: what
        fails is often what is hard, so the rest says nothing about the whole."""
        return self.p_holm < SIGNIFICANT and not self.left_out


class NotCompared(Figures):
    """Two runs that cannot be compared."""

    a: str
    b: str
    why: str


class ShuffleComparison(Figures):
    """Two runs that differ only in the order of the options; of several samples, the first counts."""

    a: str
    b: str
    items: str
    n: int
    """Cases that both answered."""
    changed: int
    """Of those, cases on which they chose different options, by the options' texts."""
    share: float
    """changed / n."""
    low: float
    high: float
    """95% interval of the share."""
    unanswered: int
    """Cases that both scored and at least one left without an answer."""
    left_out: int
    """Cases that at least one run has not scored."""
    difference: float
    """Accuracy of `b` less accuracy of `a`, over the cases that both scored."""


class Comparisons(Figures):
    """All comparisons, and the pairs that cannot be compared."""

    made: tuple[Comparison, ...]
    not_made: tuple[NotCompared, ...]
    shuffles: tuple[ShuffleComparison, ...]


@dataclass(frozen=True)
class Entrant:
    """A run to compare."""

    name: str
    items: str
    """Its cases, in words; equal for runs on the same cases."""
    run: ScoredRun

    @property
    def benchmark(self) -> str:
        """The benchmark of the run; empty for a case file."""
        selection = self.run.manifest.selection
        return selection.benchmark if selection else ""

    @property
    def weight(self) -> int:
        """Cases of the whole benchmark, even if only a part was run; the run's weight in a mean."""
        selection = self.run.manifest.selection
        return selection.size if selection and selection.size else self.run.size


@dataclass(frozen=True)
class ReportedRun(Entrant):
    """A run in a report."""

    result: RunResult


EntrantT = TypeVar("EntrantT", bound=Entrant)
Configuration: TypeAlias = Mapping[str, ReportedRun]
"""Benchmark to the run on it, in the published table's order; '' stands for a case file."""


def compare(entrants: Sequence[Entrant], *, baseline: str | None = None, seed: int = 0) -> Comparisons:
    """Compare every two runs, or every other run with the baseline, on the same cases.

    Args:
        entrants: with names that differ.
        baseline: name of one of them.
        seed: of the bootstrap.

    Returns:
        Every comparison that was possible, and why the others are not.
    """
    made: list[tuple[Entrant, Entrant, int, Paired]] = []
    not_made = []
    for a, b in _pairs(entrants, baseline):
        why = obstacle(a.run, b.run)
        cases = () if why else complete_in_both(a, b)
        if why is None and not cases:
            why = "no case has all its samples scored in both"
        if why:
            not_made.append(NotCompared(a=a.name, b=b.name, why=why))
            continue
        first, second = ([share_of(run, case) for case in cases] for run in (a, b))
        made.append((a, b, a.run.size - len(cases), paired(first, second, seed)))
    adjusted = holm([result.p_value for *_, result in made]) if made else []
    return Comparisons(
        made=tuple(
            Comparison(
                a=a.name,
                b=b.name,
                items=a.items,
                n=result.n,
                left_out=left_out,
                only_a=result.only_a,
                only_b=result.only_b,
                difference=result.difference,
                low=result.interval.low,
                high=result.interval.high,
                p_value=result.p_value,
                p_holm=p_holm,
                test=result.test,
            )
            for (a, b, left_out, result), p_holm in zip(made, adjusted, strict=True)
        ),
        not_made=tuple(not_made),
        shuffles=tuple(_shuffles(entrants, seed)),
    )


def obstacle(a: ScoredRun, b: ScoredRun) -> str | None:
    """Why two runs are not on the same items; None if they are, whatever the order of the options."""
    if difference := _selections_differ(a, b):
        return difference
    only_a, only_b = a.golds.keys() - b.golds.keys(), b.golds.keys() - a.golds.keys()
    if only_a or only_b:
        shared = len(a.golds) - len(only_a)
        return f"other cases: {shared} in both, {len(only_a)} in the first only, {len(only_b)} in the second only"
    changed = next((case for case in a.golds if _gold_text(a, case) != _gold_text(b, case)), None)
    return None if changed is None else f"the case {changed} has another gold answer in the second"


def _selections_differ(a: ScoredRun, b: ScoredRun) -> str | None:
    first, second = a.manifest.selection, b.manifest.selection
    if first is None or second is None:
        return None if first is second else "one took a benchmark, the other a case file"
    differences = {
        "two benchmarks": first.benchmark != second.benchmark,
        "two splits": first.split != second.split,
        "one with four options, the other with five": first.five_options != second.five_options,
        "one with options, the other free-form": first.free_form != second.free_form,
        "read from two different files": first.sha256 != second.sha256,
    }
    return next((words for words, differs in differences.items() if differs), None)


def _gold_text(run: ScoredRun, case: str) -> str:
    answer = run.golds[case].answer
    return run.options.get(case, {}).get(answer, answer)


def _pairs(entrants: Sequence[Entrant], baseline: str | None) -> Iterator[tuple[Entrant, Entrant]]:
    if baseline is None:
        yield from combinations(entrants, 2)
        return
    first = next(entrant for entrant in entrants if entrant.name == baseline)
    yield from ((first, other) for other in entrants if other is not first)


def complete_in_both(a: Entrant, b: Entrant) -> list[str]:
    """The cases without an unscored sample in either run; only those are compared."""
    return [case for case in a.run.golds if _is_complete(a.run, case) and _is_complete(b.run, case)]


def _is_complete(run: ScoredRun, case: str) -> bool:
    scores = run.by_case.get(case, ())
    return len(scores) == run.manifest.samples and all(score.correct is not None for score in scores)


def share_of(entrant: Entrant, case: str) -> float:
    """Share of the samples of a complete case that are correct."""
    scores = entrant.run.by_case[case]
    return sum(score.correct is True for score in scores) / len(scores)


def _shuffles(entrants: Sequence[Entrant], seed: int) -> Iterator[ShuffleComparison]:
    for a, b in combinations(entrants, 2):
        first, second = a.run.manifest.selection, b.run.manifest.selection
        if first is None or second is None or first.free_form or first.shuffle == second.shuffle:
            continue
        if not alike(a.run, b.run, but_for=["selection.shuffle"]) or obstacle(a.run, b.run):
            continue
        found = shuffle_sensitivity(_choices(a.run), _choices(b.run), seed)
        if found:
            yield ShuffleComparison(
                a=a.name,
                b=b.name,
                items=a.items,
                n=found.n,
                changed=found.changed,
                share=found.share,
                low=found.interval.low,
                high=found.interval.high,
                unanswered=found.unanswered,
                left_out=a.run.size - found.n - found.unanswered,
                difference=found.accuracy.difference,
            )


def _choices(run: ScoredRun) -> dict[str, Choice]:
    return {
        score.case: Choice(score.choice, score.correct)
        for score in run.scores
        if score.sample == 0 and score.correct is not None
    }


def alike(a: ScoredRun, b: ScoredRun, *, but_for: Sequence[str]) -> bool:
    """Whether two runs differ only in some fields of their manifests, and in the code's version.

    Args:
        a: a run.
        b: another.
        but_for: beginnings of dotted paths, such as `selection.shuffle`. The digest of the cases may always
            differ: it follows from the selection.

    Returns:
        True if they do not differ elsewhere.
    """
    ignored = (*but_for, "cases.", "provenance.code_version")
    return all(change.field.startswith(ignored) for change in a.manifest.changes(b.manifest))


def families(entrants: Sequence[EntrantT], *, but_for: Sequence[str]) -> list[list[EntrantT]]:
    """Groups of runs that are `alike`, in the order given."""
    groups: list[list[EntrantT]] = []
    for entrant in entrants:
        kin = next((group for group in groups if alike(group[0].run, entrant.run, but_for=but_for)), None)
        if kin is None:
            groups.append([entrant])
        else:
            kin.append(entrant)
    return groups


def configurations(runs: Sequence[ReportedRun]) -> list[Configuration]:
    """Group runs that differ only in the benchmark.

    If one benchmark was run twice in the same way, the second run starts another configuration.
    """
    found: list[dict[str, ReportedRun]] = []
    for family in families(runs, but_for=BENCHMARK):
        lines: list[dict[str, ReportedRun]] = []
        for run in family:
            line = next((line for line in lines if run.benchmark not in line), None)
            if line is None:
                lines.append(line := {})
            line[run.benchmark] = run
        found += lines
    order = {name: place for place, name in enumerate(CASES)}
    return [dict(sorted(line.items(), key=lambda item: order.get(item[0], len(order)))) for line in found]


def items_of(line: Configuration) -> str:
    """The cases of a configuration, in words; equal for configurations on the same cases."""
    return "; ".join(entrant.items for entrant in line.values())


def may_stand_beside_published(line: Configuration) -> bool:
    """Whether all its runs are on benchmarks of the published table, with four options."""
    chosen = [entrant.run.manifest.selection for entrant in line.values()]
    return all(
        selection is not None
        and selection.benchmark in CASES
        and not selection.five_options
        and not selection.free_form
        for selection in chosen
    )
