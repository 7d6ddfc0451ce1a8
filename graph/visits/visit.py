"""One visit to a stop: its line to the model, the step that it writes, and where the journey goes."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send
from pydantic import BaseModel

from ddxgraph.graph.budget import shares as shares_of
from ddxgraph.graph.conversation import Compaction, Repeated, assemble
from ddxgraph.graph.credence import standing
from ddxgraph.graph.edits.news import changes_since_reply, news_since_reply
from ddxgraph.graph.ledger import Ledger, fitted
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.replay import learned
from ddxgraph.graph.routing import Limit, Move, over_budget
from ddxgraph.graph.state import (
    Journey,
    Setting,
    applied,
    last_on_trunk,
    last_stop,
    so_far,
    standpoint_of,
    update_to,
)
from ddxgraph.graph.trace import Step
from ddxgraph.graph.visits.checks import round_of_checks
from ddxgraph.nodes.call.consultation import Allowance, Consultation
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.failure import Failure
from ddxgraph.nodes.registry import END as ENDED
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.stop import AnyNode, Briefing, Standpoint, TrunkStop

_STOPPED: Final = frozenset({"stop", "end_turn", "eos"})
"""Finish reasons of a reply that its model ended."""

Route = Callable[[Standpoint], Move]


class Entry(NamedTuple):
    """How LangGraph calls a stop."""

    config: RunnableConfig
    blocking: bool


def open_line(
    plan: Plan,
    setting: Setting,
    sample: int,
    repeated: Repeated,
    allowance: Allowance,
    entry: Entry,
    news: str = "",
) -> Consultation:
    """Open a line to the model that continues the conversation.

    Args:
        plan: model, prompts and limits.
        setting: of the traversal.
        sample: number of the sample.
        repeated: the conversation so far.
        allowance: what the visit may spend.
        entry: how LangGraph calls the stop.
        news: what an expert changed since the last reply, as the model is told it.

    Returns:
        The line.
    """
    return Consultation(
        wording=plan.wording.for_sample(sample),
        messages=lambda asking: assemble(setting.system, setting.opening, *repeated, asking),
        allowance=allowance,
        config=entry.config,
        conversation=setting.trace_id,
        window=setting.strategy.context_window,
        blocking=entry.blocking,
        news=news,
    )


def step_of(plan: Plan, node: AnyNode, prompt: str, line: Consultation, **facts: Any) -> Step:
    """Make the step of a visit; without a call if its line was not used.

    Args:
        plan: model, prompts and limits.
        node: the node visited.
        prompt: name of the prompt of its turn.
        line: its line to the model.
        facts: the other fields of the step.

    Returns:
        The step.
    """
    reply = line.reply
    if reply is None:
        return Step(node=node.name, **facts)
    return Step(
        node=node.name,
        prompt=reply.turn.text,
        text=reply.text,
        thoughts=reply.thoughts,
        usage=reply.usage,
        latency_s=reply.latency_s,
        prompt_hash=plan.wording.prompts.hashes[prompt],
        attempts=reply.attempts,
        finish_reason="" if reply.finish_reason in _STOPPED else reply.finish_reason,
        left_out=reply.left_out,
        failure=reply.failure,
        **facts,
    )


def broken_by(failure: Failure) -> Move:
    """The move to the end of a journey after a failure of the engine."""
    return Move(to=ENDED, trigger="engine", reason=failure.kind)


class Visit:
    """A visit to a stop on the trunk.

    Args:
        plan: model, prompts and limits.
        state: the journey so far, including its setting.
        stop: the stop.
        entry: how LangGraph calls it.
    """

    def __init__(self, plan: Plan, state: Journey, stop: TrunkStop[Any], entry: Entry) -> None:
        self._plan, self._state, self._stop = plan, state, stop
        self._compactions: list[Compaction] = []
        steps = state.get("steps", [])
        last = last_on_trunk(steps)
        self._place: dict[str, Any] = {"index": len(steps), "parent": last.index if last else None}
        self.briefing = briefing(state, again=any(step.node == stop.name for step in steps))
        told = so_far(state)
        news = news_since_reply(steps, plan.wording.prompts)
        ledger = Ledger.of(state, told.exchanges, STOPS.last.room(self.briefing)).telling(news)
        cap = stop.room(self.briefing)
        repeated = self._fitting(told, len(steps), self.briefing.now, ledger, cap)
        self._ledger = ledger = (
            ledger.compacted(state, repeated.summary).telling(news) if self._compactions else ledger
        )
        ends = stop is STOPS.last
        self.spent = ledger.spent(cap, last=ends)
        """The limit that forbids this visit's call, if any."""
        purse = ledger.left if ends else ledger.spared
        self.line = open_line(plan, state["setting"], state.get("sample", 0), repeated, purse, entry, news)

    def leave(self, output: BaseModel, route: Route, opening: Journey | None = None) -> Command[Any]:
        """Write the step, and go where `route` decides from the standpoint after this visit.

        Args:
            output: of the node.
            route: decides the next move.
            opening: further updates of the first visit of a journey.

        Returns:
            The command for LangGraph.
        """
        then = learned(self._stop, self.briefing.now, output)
        ledger = self._ledger.after(self.line.reply)
        move, purses = affordable(route(then), self.briefing._replace(now=then), ledger)
        return self._go(
            {**(opening or {}), **update_to(then, self.briefing.now)}, output, move, then, ledger, purses
        )

    def skip(self, spent: Limit, opening: Journey | None = None) -> Command[Any]:
        """Write a step without a call, which a limit forbids."""
        self._compactions.clear()
        stop, now = self._stop, self.briefing.now
        move = over_budget(spent, f"no room left {stop.errand or f'for {stop.name}'}")
        if stop.without_call is None:
            return self._go({**(opening or {})}, None, move, now, self._ledger, [])
        output = stop.without_call(self.briefing)
        then = learned(stop, now, output)
        move = move.model_copy(update={"to": STOPS.after(stop.name)})
        return self._go({**(opening or {}), **update_to(then, now)}, output, move, then, self._ledger, [])

    def broken(self, failure: Failure, opening: Journey | None = None) -> Command[Any]:
        """Write a step to which the engine gave no reply, and end the journey."""
        full: Journey = {**(opening or {}), "failure": failure}
        return self._go(full, None, broken_by(failure), Standpoint(), self._ledger, [])

    def _go(
        self,
        update: Journey,
        output: BaseModel | None,
        move: Move,
        then: Standpoint,
        ledger: Ledger,
        purses: Sequence[Allowance],
    ) -> Command[Any]:
        step = step_of(
            self._plan,
            self._stop,
            self._stop.prompt,
            self.line,
            output=output,
            move=move,
            credence=then.credence,
            **self._place,
        )
        update["steps"] = [step]
        goto: Any = END if move.to == ENDED else move.to
        if purses:
            goto = self._checks(applied(self._state, update), then, ledger, move, purses)
        if self._compactions:
            update["compactions"] = self._compactions
        return Command(update=update, goto=goto)

    def _checks(
        self, after: Journey, then: Standpoint, ledger: Ledger, move: Move, purses: Sequence[Allowance]
    ) -> list[Send]:
        """The round of checks, whose conversation is compacted once for all."""
        cap = CHECK_EVIDENCE.room(self.briefing._replace(now=then))
        repeated = self._fitting(
            so_far(after, self._compactions), len(after.get("steps", [])), then, ledger, cap
        )
        return round_of_checks(after, repeated, move.targets, purses)

    def _fitting(self, told: Repeated, steps: int, now: Standpoint, ledger: Ledger, cap: int) -> Repeated:
        repeated, compaction = fitted(told, steps, now, ledger, cap, self._plan.wording.prompts)
        self._compactions += [compaction] if compaction else []
        return repeated


def briefing(state: Journey, *, again: bool = False) -> Briefing:
    """What a stop's node is given in a state; `again`: the stop was visited before."""
    now, steps = standpoint_of(state), state.get("steps", [])
    last = last_stop(steps)
    return Briefing(
        case=state["case"],
        limits=state["setting"].strategy.limits,
        now=now,
        standing=standing(list(now.hypotheses.values()), now.credence, now.refuted),
        before=last.output if last else None,
        spent=last is not None and last.move.trigger == "budget",
        again=again,
        edited=bool(changes_since_reply(steps)),
    )


def affordable(move: Move, given: Briefing, ledger: Ledger) -> tuple[Move, list[Allowance]]:
    """Limit a move to what the budget allows: as it is, for fewer hypotheses, or to the conclusion instead.

    Args:
        move: as the routing decided it.
        given: what the node of the next stop will be given.
        ledger: what may be spent.

    Returns:
        The move, and an allowance for each evidence check that it starts.
    """
    if move.to in {ENDED, STOPS.last.name}:
        return move, []
    cap = STOPS[move.to].room(given)
    spent = ledger.spent(cap)
    if spent:
        return over_budget(spent, f"no room left for {move.to}"), []
    if move.to != CHECK_EVIDENCE.name:
        return move, []
    purses = shares_of(ledger.spared, ledger.prompt + cap, len(move.targets))
    if len(purses) < len(move.targets):
        fewer = f"the budget allows {len(purses)} of {len(move.targets)} checks"
        reason = f"{move.reason}; {fewer}" if move.reason else fewer
        move = move.model_copy(update={"targets": move.targets[: len(purses)], "reason": reason})
    return move, purses
