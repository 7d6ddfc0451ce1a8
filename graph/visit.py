"""One visit to a stop: the line it is given, the step it leaves, and where it sends the journey."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send

from ddxgraph.graph.budget import shares
from ddxgraph.graph.conversation import assemble
from ddxgraph.graph.ledger import Ledger, compactions_for, completion_cap
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.routing import Move, over_budget
from ddxgraph.graph.state import Journey, applied, credence_of, last_on_trunk
from ddxgraph.graph.trace import Output, Step, exchanges
from ddxgraph.nodes.consultation import CONVERSATION_KEY, Allowance, Consultation, NodeName


class Entry(NamedTuple):
    """How LangGraph entered a stop."""

    config: RunnableConfig
    blocking: bool


class Check(TypedDict):
    """What one evidence check is sent: the journey so far, its hypothesis, and its share of the budget."""

    journey: Journey
    hypothesis: str
    calls: int
    tokens: int


class Visit:
    """A visit to one node.

    Args:
        plan: model, words and limits.
        state: the journey so far, its setting included.
        node: the node visited.
        entry: how LangGraph came here.
        allowance: what may be spent; by default what is left, a call being kept for the conclusion.
        branch: the hypothesis under test, for an evidence check.
    """

    def __init__(
        self,
        plan: Plan,
        state: Journey,
        node: NodeName,
        entry: Entry,
        *,
        allowance: Allowance | None = None,
        branch: str | None = None,
    ) -> None:
        self._plan, self._state, self._node, self._branch = plan, state, node, branch
        ledger = Ledger.of(state)
        cap = completion_cap(node, state)
        compactions = compactions_for(state, ledger, cap, plan.wording.prompts)
        self._new = [c for c in compactions if c not in state.get("compactions", [])]
        told = exchanges(state.get("steps", []), compactions)
        summary = compactions[-1].text if compactions else ""
        setting = state["setting"]
        metadata = {**entry.config.get("metadata", {}), CONVERSATION_KEY: setting.trace_id}
        self.line = Consultation(
            wording=plan.wording.for_sample(state.get("sample", 0)),
            messages=lambda asking: assemble(setting.system, setting.opening, told, asking, summary),
            allowance=allowance or ledger.spared,
            config=cast(RunnableConfig, {**entry.config, "metadata": metadata}),
            blocking=entry.blocking,
        )

    def leave(self, update: Journey, output: Output, route: Callable[[Journey], Move]) -> Command[Any]:
        """Write the step and go where `route` says, seen from the state after this visit."""
        full = self.update(update, output, Move(to="end"))
        after = applied(self._state, full)
        move, goto = dispatch(route(after), after)
        full["steps"] = [full["steps"][0].model_copy(update={"move": move})]
        return Command(update=full, goto=goto)

    def update(self, update: Journey, output: Output | None, move: Move) -> Journey:
        """The state update of this visit, its step and any compaction included."""
        reply = self.line.reply
        last = last_on_trunk(self._state)
        facts: dict[str, Any] = {}
        if reply is not None:
            facts = {
                "prompt": reply.turn.text,
                "text": reply.text,
                "usage": reply.usage,
                "latency_s": reply.latency_s,
                "prompt_hash": self._plan.wording.prompts.hashes[self._node],
                "attempts": reply.attempts,
                "failure": reply.failure,
            }
        step = Step(
            parent=last.index if last else None,
            node=self._node,
            branch=self._branch,
            output=output,
            move=move,
            credence=credence_of(applied(self._state, update)),
            **facts,
        )
        full: Journey = {**update, "steps": [step]}
        if self._new:
            full["compactions"] = self._new
        return full

    def broken(self, update: Journey) -> Journey:
        """The state update of a visit to which the engine gave no reply: it ends the journey."""
        failure = self.line.reply.failure if self.line.reply else None
        move = Move(to="end", trigger="engine", reason=failure.kind if failure else "")
        return {**self.update(update, None, move), "failure": failure}


def dispatch(move: Move, state: Journey) -> tuple[Move, Any]:
    """Turn a move into LangGraph's `goto`; a move that the budget forbids becomes the conclusion."""
    if move.to == "end":
        return move, END
    if move.to == "conclude":
        return move, "conclude"
    ledger = Ledger.of(state)
    cap = completion_cap(move.to, state)
    spent = ledger.spent(cap)
    if spent:
        return over_budget(spent, f"no room left for {move.to}"), "conclude"
    if move.to != "check_evidence":
        return move, move.to
    purses = shares(ledger.spared, ledger.prompt + cap, len(move.targets))
    targets = move.targets[: len(purses)]
    if len(targets) < len(move.targets):
        reason = f"{move.reason}; budget for {len(targets)} of {len(move.targets)} checks".lstrip("; ")
        move = move.model_copy(update={"targets": targets, "reason": reason})
    sends = [
        Send("check_evidence", Check(journey=state, hypothesis=key, calls=purse.calls, tokens=purse.tokens))
        for key, purse in zip(targets, purses, strict=True)
    ]
    return move, sends
