"""An expert's edit of a paused journey: what may change, what follows from it, and where the journey goes on."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from langgraph.types import Overwrite

from ddxgraph.common.errors import EditError
from ddxgraph.graph.budget import shares
from ddxgraph.graph.edits.editable import EDITABLE, edit_of
from ddxgraph.graph.edits.news import news_since_reply, told_as_news
from ddxgraph.graph.ledger import Ledger, fitted
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.replay import learned
from ddxgraph.graph.routing import Move, to_check
from ddxgraph.graph.state import (
    Journey,
    Setting,
    applied,
    last_on_trunk,
    last_stop,
    last_visited,
    so_far,
    standpoint_of,
    update_to,
)
from ddxgraph.graph.trace import Step
from ddxgraph.graph.visits.checks import round_of_checks
from ddxgraph.graph.visits.visit import affordable, briefing
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.conclude import CONCLUDE
from ddxgraph.nodes.expert_edit import EXPERT_EDIT, ExpertEdit, changes_between
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.nodes.stop import Standpoint


def edit(plan: Plan, state: Journey, values: Mapping[str, Any], due: str, to: str = "") -> Journey | None:
    """Change a paused journey as an expert wants it.

    Args:
        plan: of the graph.
        state: the journey so far, paused.
        values: the new values, as objects or as JSON has them. `evidence` is merged into what is there, the other
            values replace it. A finding or hypothesis without an id is new and gets the next one; a weight may be
            given as its strength alone. What equals the state is no change.
        due: the stop that comes next without the edit.
        to: the stop to go on with; by default the one that is due.

    Returns:
        The update of the state, or None if nothing changes.

    Raises:
        EditError: a value cannot be changed or used, or there is no such stop.
    """
    if to and to not in STOPS:
        raise EditError(f"there is no stop {to!r} to go on with: use one of {', '.join(STOPS.names)}")
    now = standpoint_of(state)
    given = edit_of(state, values, now)
    then = learned(EXPERT_EDIT, now, given)
    changes = changes_between(now, then)
    if not changes and to in {"", due}:
        return None
    steps = state.get("steps", [])
    before = last_on_trunk(steps)
    changed = [key for key in EDITABLE if getattr(then, key) != getattr(now, key)]
    move = _move(state, then, due, to or due, changed)
    step = Step(
        node=EXPERT_EDIT.name,
        index=len(steps),
        parent=before.index if before else None,
        output=given.model_copy(update={"changes": changes}),
        move=move,
        credence=then.credence,
    )
    update: Journey = {**update_to(then, now), "steps": [step]}
    if "setting" in state:
        update |= _with_checks_paid(plan, _after(state, update, then))
        update["setting"] = edited_setting(state["setting"], update["steps"], plan)
    if "evidence" in update:  # its reducer only adds
        update["evidence"] = Overwrite(update["evidence"])  # type: ignore[typeddict-item]
    return update


def edited_setting(setting: Setting, steps: Sequence[Step], plan: Plan) -> Setting:
    """The setting after edits: another edit, or the same one at another place, gives another trace id.

    Args:
        setting: before the edits.
        steps: new steps, of which those of experts count.
        plan: of the graph.

    Returns:
        The setting, whose trace id is a hash of the old one, of the edits and of how the model is told them.
    """
    key = setting.trace_id
    for step in steps:
        if isinstance(step.output, ExpertEdit):
            told = told_as_news(step.output.changes, plan.wording.prompts)
            content = step.model_dump_json(include={"index", "output", "move"})
            key = sha256(f"{key}\0{content}\0{told}".encode()).hexdigest()[:16]
    return setting.model_copy(update={"trace_id": key})


def _after(state: Journey, update: Journey, then: Standpoint) -> Journey:
    """The state after the edit. Its evidence is that of the standpoint, since the state's reducer only adds."""
    evidence = {key: dict(weights) for key, weights in then.evidence.items()}
    return {**applied(state, update), "evidence": evidence}


def onward(plan: Plan, state: Journey) -> Any:
    """Where the journey goes after an edit: the name of a stop, or a round of checks for LangGraph."""
    last = last_on_trunk(state["steps"])
    if last is None or last.move.to != CHECK_EVIDENCE.name:
        return last.move.to if last else STOPS.first.name
    news = news_since_reply(state["steps"], plan.wording.prompts)
    ledger, cap = _ledger(state, news)
    targets = last.move.targets
    purses = shares(ledger.spared, ledger.prompt + cap, len(targets))
    if not purses:
        return STOPS.last.name
    return round_of_checks(state, so_far(state), targets[: len(purses)], purses, news)


def _ledger(state: Journey, news: str) -> tuple[Ledger, int]:
    """What may be spent, and the completion tokens that a check may need."""
    given = briefing(state)
    ledger = Ledger.of(state, so_far(state).exchanges, STOPS.last.room(given)).telling(news)
    return ledger, CHECK_EVIDENCE.room(given)


def _with_checks_paid(plan: Plan, after: Journey) -> Journey:
    """The step whose move the budget allows, and the compaction that its checks need."""
    step = after["steps"][-1]
    if step.move.to != CHECK_EVIDENCE.name:
        return {}
    news = news_since_reply(after["steps"], plan.wording.prompts)
    ledger, cap = _ledger(after, news)
    steps = len(after["steps"])
    _, compaction = fitted(so_far(after), steps, standpoint_of(after), ledger, cap, plan.wording.prompts)
    update: Journey = {}
    if compaction:
        update["compactions"] = [compaction]
        ledger = ledger.compacted(after, compaction.text).telling(news)
    move, _ = affordable(step.move, briefing(after), ledger)
    return {**update, "steps": [step.model_copy(update={"move": move})]}


def _move(state: Journey, then: Standpoint, due: str, to: str, changed: Sequence[str]) -> Move:
    steps = state.get("steps", [])
    visited = last_visited(steps)
    back = to != due and visited is not None and STOPS.place(to) <= STOPS.place(visited)
    reason = f"an expert changed {', '.join(changed)}" if changed else "an expert chose the next stop"
    targets = _targets(steps, then, to == due) if to == CHECK_EVIDENCE.name else ()
    if to == CHECK_EVIDENCE.name and not targets:
        to, reason = CONCLUDE.name, f"{reason}; there is no hypothesis to check"
    return Move(to=to, trigger="expert", reason=reason, targets=targets, backtrack=back)


def _targets(steps: Sequence[Step], then: Standpoint, due: bool) -> tuple[str, ...]:
    """The hypotheses to check: those that were due and still stand, and new ones."""
    last = last_stop(steps)
    if due and last is not None:
        wanted = [key for key in last.move.targets if key in then.ranking]
        fresh = [key for key in then.ranking if key not in then.evidence and key not in wanted]
        if wanted or fresh:
            return (*wanted, *fresh)
    reread = last is not None and last.node == REVIEW_HISTORY.name
    return to_check(then.ranking, then.evidence.keys(), reread)
