"""One visit to a stop: the line it is given, the step it leaves, and where it sends the journey."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send
from typing_extensions import TypedDict

from ddxgraph.graph.budget import shares as shares_of
from ddxgraph.graph.conversation import Compaction, Exchange, assemble
from ddxgraph.graph.ledger import Ledger, completion_cap, summary_of
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.routing import Move, over_budget
from ddxgraph.graph.state import Journey, Setting, applied, credence_of, last_on_trunk
from ddxgraph.graph.trace import Output, Step, exchanges
from ddxgraph.nodes.consultation import Allowance, Consultation, NodeName, StopName
from ddxgraph.nodes.failure import Failure
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.review_history import Asks, Finding

Route = Callable[[Journey, Mapping[str, float]], Move]


class Entry(NamedTuple):
    """How LangGraph entered a stop."""

    config: RunnableConfig
    blocking: bool


class Told(NamedTuple):
    """What the next call repeats."""

    exchanges: Sequence[Exchange]
    summary: str
    """Stands for the turns left out; empty where none were."""


class Check(TypedDict):
    """What one evidence check is sent: its subject, what was said so far, its share of the budget."""

    setting: Setting
    sample: int
    hypothesis: Hypothesis
    findings: Sequence[Finding]
    asks: Asks
    told: Sequence[Sequence[str]]
    summary: str
    parent: int
    calls: int
    tokens: int


def open_line(
    plan: Plan, setting: Setting, sample: int, told: Told, allowance: Allowance, entry: Entry
) -> Consultation:
    """A line to the model that continues the conversation."""
    return Consultation(
        wording=plan.wording.for_sample(sample),
        messages=lambda asking: assemble(setting.system, setting.opening, *told, asking),
        allowance=allowance,
        config=entry.config,
        conversation=setting.trace_id,
        window=setting.strategy.context_window,
        blocking=entry.blocking,
    )


def step_of(
    plan: Plan, node: NodeName, line: Consultation, *, prompt: str | None = None, **facts: Any
) -> Step:
    """The step that a visit leaves in the trace; without a call where its line was not used.

    `prompt` names the prompt of its turn, where that is not the node's own name.
    """
    reply = line.reply
    if reply is None:
        return Step(node=node, **facts)
    return Step(
        node=node,
        prompt=reply.turn.text,
        text=reply.text,
        usage=reply.usage,
        latency_s=reply.latency_s,
        prompt_hash=plan.wording.prompts.hashes[prompt or node],
        attempts=reply.attempts,
        failure=reply.failure,
        **facts,
    )


def broken_by(failure: Failure) -> Move:
    """The end of a journey to which the engine gave no reply."""
    return Move(to="end", trigger="engine", reason=failure.kind)


class Visit:
    """A visit on the trunk, which decides where the journey goes.

    Args:
        plan: model, words and limits.
        state: the journey so far, its setting included.
        node: the node visited.
        entry: how LangGraph came here.
    """

    def __init__(self, plan: Plan, state: Journey, node: StopName, entry: Entry) -> None:
        self._plan, self._state, self._node = plan, state, node
        self._compactions: list[Compaction] = []
        steps = state.get("steps", [])
        last = last_on_trunk(steps)
        self._place: dict[str, Any] = {"index": len(steps), "parent": last.index if last else None}
        ledger = Ledger.of(state)
        cap = completion_cap(node, state)
        told = self._told(state, ledger, cap)
        self._ledger = ledger = ledger.compacted(state, told.summary) if self._compactions else ledger
        self.spent = ledger.spent(cap, last=node == "conclude")
        """The limit that forbids this visit's call, if any."""
        purse = ledger.left if node == "conclude" else ledger.spared
        self.line = open_line(plan, state["setting"], state.get("sample", 0), told, purse, entry)

    def leave(self, update: Journey, output: Output, route: Route) -> Command[Any]:
        """Write the step and go where `route` says, from the state and the credence after this visit."""
        after = applied(self._state, update)
        shares = credence_of(after)
        ledger = self._ledger.after(self.line.reply)
        move, purses = affordable(route(after, shares), after, ledger)
        return self._go(update, output, move, shares, ledger, purses)

    def skip(self, output: Output | None, move: Move, update: Journey | None = None) -> Command[Any]:
        """Write a step that made no call."""
        self._compactions.clear()
        return self._go(update or {}, output, move, credence_of(self._state), self._ledger, [])

    def broken(self, failure: Failure, update: Journey | None = None) -> Command[Any]:
        """Write a step to which the engine gave no reply; it ends the journey."""
        full: Journey = {**(update or {}), "failure": failure}
        return self._go(full, None, broken_by(failure), {}, self._ledger, [])

    def _go(
        self,
        update: Journey,
        output: Output | None,
        move: Move,
        shares: Mapping[str, float],
        ledger: Ledger,
        purses: Sequence[Allowance],
    ) -> Command[Any]:
        step = step_of(
            self._plan, self._node, self.line, output=output, move=move, credence=shares, **self._place
        )
        update["steps"] = [step]
        goto: Any = END if move.to == "end" else move.to
        if purses:
            goto = self._checks(applied(self._state, update), ledger, move, purses)
        if self._compactions:
            update["compactions"] = self._compactions
        return Command(update=update, goto=goto)

    def _checks(self, after: Journey, ledger: Ledger, move: Move, purses: Sequence[Allowance]) -> list[Send]:
        """One evidence check a target; they share all but their own turn, compacted once for all of them."""
        told = self._told(after, ledger, completion_cap("check_evidence", after))
        hypotheses = {h.id: h for h in after["hypotheses"]}
        common = {
            "setting": after["setting"],
            "sample": after.get("sample", 0),
            "findings": after.get("findings", []),
            "asks": after.get("asks", "other"),
            "told": [tuple(exchange) for exchange in told.exchanges],
            "summary": told.summary,
            "parent": self._place["index"],
        }
        return [
            Send(
                "check_evidence",
                {**common, "hypothesis": hypotheses[key], "calls": purse.calls, "tokens": purse.tokens},
            )
            for key, purse in zip(move.targets, purses, strict=True)
        ]

    def _told(self, state: Journey, ledger: Ledger, cap: int) -> Told:
        """What the next call repeats: all of it, or a new summary where the window is about to overflow."""
        steps = state.get("steps", [])
        known = [*state.get("compactions", []), *self._compactions]
        told = Told(exchanges(steps, known), known[-1].text if known else "")
        if not told.exchanges or not ledger.overflows(cap):
            return told
        summary = summary_of(state, self._plan.wording.prompts)
        self._compactions.append(
            Compaction(before=len(steps), text=summary, estimated_tokens=ledger.prompt + cap)
        )
        return Told([], summary)


def affordable(move: Move, state: Journey, ledger: Ledger) -> tuple[Move, list[Allowance]]:
    """A move as the budget allows it: whole, about fewer hypotheses, or to the conclusion instead.

    Returns:
        The move, and an allowance for each evidence check that it starts.
    """
    if move.to == "end" or move.to == "conclude":  # noqa: PLR1714 - narrows the type
        return move, []
    cap = completion_cap(move.to, state)
    spent = ledger.spent(cap)
    if spent:
        return over_budget(spent, f"no room left for {move.to}"), []
    if move.to != "check_evidence":
        return move, []
    purses = shares_of(ledger.spared, ledger.prompt + cap, len(move.targets))
    if len(purses) < len(move.targets):
        fewer = f"the budget allows {len(purses)} of {len(move.targets)} checks"
        reason = f"{move.reason}; {fewer}" if move.reason else fewer
        move = move.model_copy(update={"targets": move.targets[: len(purses)], "reason": reason})
    return move, purses
