"""Where a journey goes next: pure decisions from what is known, without a model or a state machine."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.reflect import Verdict
from ddxgraph.nodes.registry import Destination
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.nodes.stop import AnyStop

Trigger = Literal["self", "verifier", "budget", "engine", "gold", "label", "expert"]
"""What made a move: the model itself, a rule of the graph (`verifier`), a spent budget, a failed engine, or an
expert who edited a paused journey.

`gold` and `label` occur only in imported data that was corrected by an answer key. They mark it for filtering.
"""
MoveRule = Literal["all_refuted", "too_close", "nothing_to_recheck", "nothing_to_check"]
"""The rules by which the graph itself moves: every hypothesis is refuted; the credence margin is too small; the
model asks for a recheck, but no hypothesis stands; the differential has no hypothesis to check."""
Limit = Literal["tokens", "calls", "backtracks"]

BACKTRACKS: Final[Mapping[Verdict, AnyStop]] = {
    "recheck_evidence": CHECK_EVIDENCE,
    "widen_differential": GENERATE_DIFFERENTIAL,
    "reread_history": REVIEW_HISTORY,
}
"""Verdict of a reflection to the stop that it goes back to; `conclude` goes on."""


class Policy(BaseModel):
    """Rules that may overrule the model's verdict.

    Example:
        >>> Policy(min_margin=0.2).min_margin
        0.2
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_margin: float = Field(default=0.0, ge=0, le=1)
    """A conclusion with a smaller credence margin is sent back once to recheck the two leaders; 0: never."""


class Move(BaseModel):
    """A move from one stop to the next."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: Destination
    """A stop, or `end`."""
    trigger: Trigger = "self"
    reason: str = ""
    targets: tuple[str, ...] = ()
    """Ids of the hypotheses that the next stop is limited to, if any."""
    backtrack: bool = False
    limit: Limit | None = None
    """The spent limit, if the budget made the move."""
    rule: MoveRule | None = Field(default=None, exclude_if=lambda rule: rule is None)
    """The rule that made the move, if one did. `rule_of` finds it in older traces too."""


class Standing(NamedTuple):
    """Everything that the move after a reflection depends on."""

    verdict: Verdict
    targets: Sequence[str]
    """Hypotheses that the model wants to recheck."""
    ranking: Sequence[str]
    """Hypotheses that stand, by falling credence."""
    margin: float
    backtracks_left: int
    overruled: bool
    """Whether a rule has sent this traversal back before."""


def after_reflection(now: Standing, policy: Policy) -> Move:
    """The move after a reflection: conclude or go back."""
    wish = _wish(now, policy)
    if wish.backtrack and now.backtracks_left <= 0:
        return over_budget("backtracks", f"no backtrack left to {wish.reason}")
    return wish


def _wish(now: Standing, policy: Policy) -> Move:
    if now.verdict != "conclude":
        targets = _targets(now) if now.verdict == "recheck_evidence" else ()
        if now.verdict == "recheck_evidence" and not targets:
            return _back("widen_differential", "nothing stands that could be rechecked", "nothing_to_recheck")
        return _back(now.verdict, now.verdict.replace("_", " "), targets=targets)
    if not now.ranking and not now.overruled:
        return _back("widen_differential", "every hypothesis is refuted", "all_refuted")
    if now.margin < policy.min_margin and len(now.ranking) > 1 and not now.overruled:
        why = f"margin {now.margin:.2f} below {policy.min_margin:.2f}"
        return _back("recheck_evidence", why, "too_close", tuple(now.ranking[:2]))
    return Move(to=CONCLUDE.name, reason="the reflection concludes")


def _targets(now: Standing) -> tuple[str, ...]:
    named = tuple(key for key in now.targets if key in now.ranking)
    return named or tuple(now.ranking[:2])


def _back(verdict: Verdict, reason: str, rule: MoveRule | None = None, targets: tuple[str, ...] = ()) -> Move:
    return Move(
        to=BACKTRACKS[verdict].name,
        trigger="verifier" if rule else "self",
        reason=reason,
        targets=targets,
        backtrack=True,
        rule=rule,
    )


_RULE_BY_REASON: Final[Mapping[str, MoveRule]] = {
    "every hypothesis is refuted": "all_refuted",
    "nothing stands that could be rechecked": "nothing_to_recheck",
    "there is no hypothesis to check": "nothing_to_check",
}
"""Beginning of a reason to rule, for traces whose moves name no rule."""


def rule_of(move: Move) -> MoveRule | None:
    """The rule that made a move; None if anything else did.

    In traces that do not name the rule, it follows from the destination or from the reason.
    """
    if move.rule or move.trigger != "verifier":
        return move.rule
    if move.to == CHECK_EVIDENCE.name:
        return "too_close"
    return next((rule for words, rule in _RULE_BY_REASON.items() if move.reason.startswith(words)), None)


def over_budget(limit: Limit, reason: str) -> Move:
    """The move to the conclusion because of a spent limit."""
    return Move(to=CONCLUDE.name, trigger="budget", reason=reason, limit=limit)


def to_check(standing: Sequence[str], weighed: Collection[str], reread: bool) -> tuple[str, ...]:
    """The hypotheses to check after a visit to the differential.

    Args:
        standing: ids of the hypotheses that are not refuted.
        weighed: ids of those that have evidence already.
        reread: whether the differential follows a review of the history, after which all evidence may differ.

    Returns:
        Those without evidence; all of them after a review, or if all have evidence.
    """
    fresh = tuple(key for key in standing if key not in weighed)
    return tuple(standing) if reread or not fresh else fresh
