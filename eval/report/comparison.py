"""Which runs are compared with which, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from pydantic import BaseModel

from ddxgraph.eval.report.runresult import FROZEN
from ddxgraph.eval.scoring.rule import Score
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.eval.statistics.paired import Paired, holm, paired
from ddxgraph.eval.statistics.shuffle import Choice, shuffle_sensitivity

SIGNIFICANT: Final = 0.05
"""Level of the tests, after Holm's adjustment."""


class Comparison(BaseModel):
    """Two runs on the same cases; all shares in 0..1."""

    model_config = FROZEN

    a: str
    b: str
    items: str
    n: int
    """Cases compared."""
    left_out: int
    """Cases of which either run has an unscored sample: neither right nor wrong, so not compared."""
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
        """Whether the difference holds at 0.05 after the adjustment. Never where cases are left out: what fails
        is often what is hard, so that the rest says nothing of the whole."""
        return self.p_holm < SIGNIFICANT and not self.left_out


class NotCompared(BaseModel):
    """Two runs that cannot be compared."""

    model_config = FROZEN

    a: str
    b: str
    why: str


class ShuffleComparison(BaseModel):
    """Two runs that differ in nothing but the order of the options; of several samples, the first counts."""

    model_config = FROZEN

    a: str
    b: str
    items: str
    n: int
    """Cases that both answered."""
    changed: int
    """Cases of those on which they chose different options, by the options' texts."""
    share: float
    """changed / n."""
    low: float
    high: float
    """95% interval of the share."""
    unanswered: int
    """Cases that both scored and at least one left without an answer."""
    left_out: int
    """Cases that at least one has not scored."""
    difference: float
    """Accuracy of `b` less accuracy of `a`, over the cases that both scored."""


class Comparisons(BaseModel):
    """All that was and was not compared."""

    model_config = FROZEN

    made: tuple[Comparison, ...]
    not_made: tuple[NotCompared, ...]
    shuffles: tuple[ShuffleComparison, ...]


class Entrant(NamedTuple):
    """A run with what the comparisons need of it."""

    name: str
    items: str
    run: ScoredRun
    by_case: Mapping[str, Sequence[Score]]


def compare(entrants: Sequence[Entrant], *, baseline: str | None = None, seed: int = 0) -> Comparisons:
    """Compare every two runs, or every other run with the baseline, on the same cases.

    Args:
        entrants: with names that differ.
        baseline: name of one of them.
        seed: of the bootstrap.
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
        found = paired(
            [share_of(a, case) for case in cases], [share_of(b, case) for case in cases], seed=seed
        )
        made.append((a, b, a.run.size - len(cases), found))
    adjusted = holm([found.p_value for *_, found in made]) if made else []
    return Comparisons(
        made=tuple(
            Comparison(
                a=a.name,
                b=b.name,
                items=a.items,
                n=found.n,
                left_out=left_out,
                only_a=found.only_a,
                only_b=found.only_b,
                difference=found.difference,
                low=found.interval.low,
                high=found.interval.high,
                p_value=found.p_value,
                p_holm=p_holm,
                test=found.test,
            )
            for (a, b, left_out, found), p_holm in zip(made, adjusted, strict=True)
        ),
        not_made=tuple(not_made),
        shuffles=tuple(_shuffles(entrants, seed)),
    )


def obstacle(a: ScoredRun, b: ScoredRun) -> str | None:
    """Why two runs are not on the same items; None where they are, whatever the order of the options."""
    said = _selections_differ(a, b)
    if said:
        return said
    only_a, only_b = a.golds.keys() - b.golds.keys(), b.golds.keys() - a.golds.keys()
    if only_a or only_b:
        shared = len(a.golds) - len(only_a)
        return f"other cases: {shared} in both, {len(only_a)} in the first only, {len(only_b)} in the second only"
    changed = next((case for case in a.golds if _gold_text(a, case) != _gold_text(b, case)), None)
    return None if changed is None else f"the case {changed} has another gold answer in the second"


def _selections_differ(a: ScoredRun, b: ScoredRun) -> str | None:
    one, other = a.manifest.selection, b.manifest.selection
    if one is None or other is None:
        return None if one is other else "one took a benchmark, the other a case file"
    differences = {
        "two benchmarks": one.benchmark != other.benchmark,
        "two splits": one.split != other.split,
        "one with four options, the other with five": one.five_options != other.five_options,
        "one with options, the other free-form": one.free_form != other.free_form,
        "read from two different files": one.sha256 != other.sha256,
    }
    return next((said for said, differs in differences.items() if differs), None)


def _gold_text(run: ScoredRun, case: str) -> str:
    answer = run.golds[case].answer
    return run.options.get(case, {}).get(answer, answer)


def _pairs(entrants: Sequence[Entrant], baseline: str | None) -> Iterator[tuple[Entrant, Entrant]]:
    if baseline is None:
        yield from combinations(entrants, 2)
        return
    first = next(one for one in entrants if one.name == baseline)
    yield from ((first, other) for other in entrants if other is not first)


def complete_in_both(a: Entrant, b: Entrant) -> list[str]:
    """The cases of which neither run has an unscored sample; those alone are compared."""
    return [case for case in a.run.golds if _is_complete(a, case) and _is_complete(b, case)]


def _is_complete(one: Entrant, case: str) -> bool:
    scores = one.by_case.get(case, ())
    return len(scores) == one.run.manifest.samples and all(score.correct is not None for score in scores)


def share_of(one: Entrant, case: str) -> float:
    """Share of a case's samples that are correct; of a case without an unscored one."""
    scores = one.by_case[case]
    return sum(score.correct is True for score in scores) / len(scores)


def _shuffles(entrants: Sequence[Entrant], seed: int) -> Iterator[ShuffleComparison]:
    for a, b in combinations(entrants, 2):
        one, other = a.run.manifest.selection, b.run.manifest.selection
        if one is None or other is None or one.free_form or one.shuffle == other.shuffle:
            continue
        if not alike(a.run, b.run, but_for=["selection.shuffle"]) or obstacle(a.run, b.run):
            continue
        found = shuffle_sensitivity(_choices(a), _choices(b), seed)
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


def _choices(one: Entrant) -> dict[str, Choice]:
    return {
        score.case: Choice(score.choice, score.correct)
        for score in one.run.scores
        if score.sample == 0 and score.correct is not None
    }


def alike(a: ScoredRun, b: ScoredRun, *, but_for: Sequence[str]) -> bool:
    """Whether two runs differ in nothing but some fields of their manifests, and the code's version.

    Args:
        a: a run.
        b: another.
        but_for: beginnings of dotted paths, such as `selection.shuffle`. The digest of the cases may always
            differ: it is what comes of the selection.
    """
    ignored = (*but_for, "cases.", "provenance.code_version")
    return all(change.field.startswith(ignored) for change in a.manifest.changes(b.manifest))


def families(entrants: Sequence[Entrant], *, but_for: Sequence[str]) -> list[list[Entrant]]:
    """Runs that are `alike`, together, in the order given."""
    found: list[list[Entrant]] = []
    for one in entrants:
        kin = next((family for family in found if alike(family[0].run, one.run, but_for=but_for)), None)
        if kin is None:
            found.append([one])
        else:
            kin.append(one)
    return found
