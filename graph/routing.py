"""Where the journey goes next: pure decisions from what is known. No model, no state machine."""

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

Trigger = Literal["self", "verifier", "budget", "engine", "gold", "label"]
"""Who made a move: the model itself, a rule of this graph, a spent budget, or a broken engine.

`gold` and `label` never arise here: imported data whose course was corrected by an answer key carries them,
so that it can be filtered out.
"""
MoveRule = Literal["all_refuted", "too_close", "nothing_to_recheck", "nothing_to_check"]
"""The rules by which the graph itself moves: every hypothesis is refuted; the credence margin is below the
policy's; nothing stands that the model could have rechecked; the differential names nothing to check."""
Limit = Literal["tokens", "calls", "backtracks"]

BACKTRACKS: Final[Mapping[Verdict, AnyStop]] = {
    "recheck_evidence": CHECK_EVIDENCE,
    "widen_differential": GENERATE_DIFFERENTIAL,
    "reread_history": REVIEW_HISTORY,
}
"""Where each verdict of a reflection goes back to; the one that is missing goes on."""


class Policy(BaseModel):
    """Rules that may overrule the model's verdict.

    Example:
        >>> Policy(min_margin=0.2).min_margin
        0.2
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_margin: float = Field(default=0.0, ge=0, le=1)
    """A conclusion with a smaller credence margin is sent back once to recheck the two leaders; 0 never does."""


class Move(BaseModel):
    """One edge of the journey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: Destination
    """A stop, or `end`."""
    trigger: Trigger = "self"
    reason: str = ""
    targets: tuple[str, ...] = ()
    """Hypotheses that the next stop is about, where it is about some only."""
    backtrack: bool = False
    limit: Limit | None = None
    """The spent limit, where the budget made the move."""
    rule: MoveRule | None = Field(default=None, exclude_if=lambda rule: rule is None)
    """The graph's rule, where one made the move; `rule_of` reads it in older traces too."""


class Standing(NamedTuple):
    """All that a decision after a reflection depends on."""

    verdict: Verdict
    targets: Sequence[str]
    """What the model wants rechecked."""
    ranking: Sequence[str]
    """Hypotheses still standing, by falling credence."""
    margin: float
    backtracks_left: int
    overruled: bool
    """A rule has sent this traversal back before."""


def after_reflection(now: Standing, policy: Policy) -> Move:
    """The move that follows a reflection: conclude, or go back."""
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
"""How a reason begins in traces whose moves name no rule."""


def rule_of(move: Move) -> MoveRule | None:
    """The graph's rule that made a move; None where the model, the budget or somebody else did.

    Traces written before moves named their rule tell it by the destination or by the reason.
    """
    if move.rule or move.trigger != "verifier":
        return move.rule
    if move.to == CHECK_EVIDENCE.name:
        return "too_close"
    return next((rule for words, rule in _RULE_BY_REASON.items() if move.reason.startswith(words)), None)


def over_budget(limit: Limit, reason: str) -> Move:
    """A spent limit ends every journey in the conclusion."""
    return Move(to=CONCLUDE.name, trigger="budget", reason=reason, limit=limit)


def to_check(standing: Sequence[str], weighed: Collection[str], reread: bool) -> tuple[str, ...]:
    """Which hypotheses a visit to the differential sends on to be checked.

    Args:
        standing: hypotheses that are not refuted.
        weighed: hypotheses that have evidence already.
        reread: the differential follows a reading of the history, so that all evidence may have changed.
    """
    fresh = tuple(key for key in standing if key not in weighed)
    return tuple(standing) if reread or not fresh else fresh
