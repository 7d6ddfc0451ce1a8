"""The rule by which a round's adapter is kept: two scored runs on the same validation cases. Pure."""

from pydantic import BaseModel

from ddxgraph.common.errors import LoopUnfinished
from ddxgraph.common.words import p_value, points
from ddxgraph.eval.report.comparison import Comparison, Entrant, compare
from ddxgraph.eval.report.figures import FROZEN
from ddxgraph.eval.report.runresult import items_in_words
from ddxgraph.eval.scoring.run import ScoredRun
from ddxgraph.training.loop.config import KeepRule


class Decision(BaseModel):
    """Whether an adapter is kept."""

    model_config = FROZEN

    kept: bool
    why: str
    """In a sentence."""
    rule: KeepRule
    comparison: Comparison
    """`a` is what was kept before, `b` the new adapter."""


def compared(name: str, before: ScoredRun, new_name: str, new: ScoredRun) -> Comparison:
    """The paired comparison of two whole evaluations.

    Args:
        name: of the earlier one.
        before: its scores.
        new_name: of the later one.
        new: its scores.

    Raises:
        LoopUnfinished: something is unscored, so that the cases left would not stand for all; or the two are not
            of the same cases.
    """
    for one in (before, new):
        if one.incomplete:
            raise LoopUnfinished(unscored(one))
    a = Entrant(name, items_in_words(before), before)
    b = Entrant(new_name, items_in_words(new), new)
    found = compare([a, b], baseline=name)
    if not found.made:
        raise LoopUnfinished(f"{before.path} and {new.path} cannot be compared: {found.not_made[0].why}")
    return found.made[0]


def unscored(run: ScoredRun) -> str:
    """What is unscored of a run, and how to go on."""
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in run.incomplete.items())
    return (
        f"{run.unscored} of {run.pairs} traversals in {run.path} are unscored ({reasons}), so that nothing can "
        "be decided; see errors.jsonl there, and the same command tries them again"
    )


def decide(rule: KeepRule, comparison: Comparison) -> Decision:
    """Keep the new adapter unless it is shown to be worse, or is worse than the rule allows."""
    margin = f"{points(comparison.difference)} points against {comparison.a}"
    tested = f"{margin}, p {_p(comparison.p_value)} ({comparison.test}, {comparison.n} cases)"
    if comparison.difference < 0 and comparison.p_value <= rule.alpha:
        kept, why = False, f"it is worse: {tested}, at or below the level of {rule.alpha}"
    elif rule.min_difference is not None and comparison.difference < rule.min_difference:
        kept, why = False, f"it is worse than allowed: {tested}, below {points(rule.min_difference)} points"
    else:
        kept, why = True, f"it is not shown to be worse: {tested}"
    return Decision(kept=kept, why=why, rule=rule, comparison=comparison)


def _p(value: float) -> str:
    said = p_value(value)
    return said if said.startswith("<") else f"= {said}"
