"""Whether a round's adapter is kept: two scored runs on the same validation cases are compared. Pure."""

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
    """One sentence."""
    rule: KeepRule
    comparison: Comparison
    """`a` is what was kept before, `b` the new adapter."""


def compared(name: str, before: ScoredRun, new_name: str, new: ScoredRun) -> Comparison:
    """Compare two complete evaluations case by case.

    Args:
        name: of the earlier evaluation.
        before: its scores.
        new_name: of the later evaluation.
        new: its scores.

    Returns:
        The paired comparison, the earlier evaluation as `a`.

    Raises:
        LoopUnfinished: a traversal is unscored, or the two evaluations hold different cases.
    """
    for scored in (before, new):
        if scored.incomplete:
            raise LoopUnfinished(unscored(scored))
    a = Entrant(name, items_in_words(before), before)
    b = Entrant(new_name, items_in_words(new), new)
    comparisons = compare([a, b], baseline=name)
    if not comparisons.made:
        raise LoopUnfinished(
            f"{before.path} and {new.path} cannot be compared: {comparisons.not_made[0].why}"
        )
    return comparisons.made[0]


def unscored(run: ScoredRun) -> str:
    """Say what a run leaves unscored, and how to continue."""
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in run.incomplete.items())
    return (
        f"{run.unscored} of {run.pairs} traversals in {run.path} are unscored ({reasons}), so nothing can be "
        "decided; see errors.jsonl there, then rerun the same command to try them again"
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
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
