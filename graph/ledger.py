"""What a traversal has spent and may still spend, and when its conversation must be compacted. Pure."""

from typing import Final, NamedTuple

from ddxgraph.graph.budget import Budget
from ddxgraph.graph.conversation import Compaction
from ddxgraph.graph.routing import Limit
from ddxgraph.graph.state import Journey, refuted_ids, usage_so_far
from ddxgraph.graph.trace import exchanges
from ddxgraph.nodes import check_evidence, conclude, generate_differential, reflect, review_history
from ddxgraph.nodes.consultation import Allowance, NodeName
from ddxgraph.nodes.usage import estimate_tokens
from ddxgraph.prompts.library import PromptSet

ASKING_TOKENS: Final = 400
"""Estimate of a turn's own words, before they are rendered."""


def completion_cap(node: NodeName, state: Journey) -> int:
    """Most tokens that a node's reply may take."""
    limits = state["setting"].strategy.limits
    match node:
        case "review_history":
            return review_history.room(limits)
        case "generate_differential":
            return generate_differential.room(state["case"], limits)
        case "check_evidence":
            return check_evidence.room(len(state.get("findings", [])), limits)
        case "reflect":
            return reflect.room(limits)
        case "conclude":
            return conclude.room(limits)


class Ledger(NamedTuple):
    """The state of the purse before a call."""

    left: Allowance
    """What remains of the budget."""
    prompt: int
    """Estimated tokens of the next prompt."""
    window: int | None
    """Tokens that the model's context holds."""
    reserve: int
    """Tokens kept for the conclusion's call."""

    @classmethod
    def of(cls, state: Journey) -> "Ledger":
        """The ledger as the state stands."""
        setting = state["setting"]
        compactions = state.get("compactions", [])
        summary = compactions[-1].text if compactions else ""
        told = exchanges(state.get("steps", []), compactions)
        texts = (text for exchange in told for text in exchange)
        prompt = estimate_tokens(setting.system, setting.opening, summary, *texts) + ASKING_TOKENS
        budget: Budget = setting.strategy.budget
        return cls(
            left=budget.left(usage_so_far(state)),
            prompt=prompt,
            window=setting.strategy.context_window,
            reserve=prompt + conclude.room(setting.strategy.limits),
        )

    @property
    def spared(self) -> Allowance:
        """What may be spent while one call is kept for the conclusion."""
        return Allowance(calls=max(self.left.calls - 1, 0), tokens=max(self.left.tokens - self.reserve, 0))

    def spent(self, completion: int, *, last: bool = False) -> Limit | None:
        """The limit that forbids a call of so many completion tokens, if any.

        Args:
            completion: the call's cap.
            last: it is the conclusion's own call, so that nothing need be kept for it.
        """
        purse = self.left if last else self.spared
        if purse.calls < 1:
            return "calls"
        return "tokens" if purse.tokens < self.prompt + completion else None

    def overflows(self, completion: int) -> bool:
        """Whether the next prompt and its reply would not fit the context window."""
        return self.window is not None and self.prompt + completion > self.window


def compactions_for(state: Journey, ledger: Ledger, completion: int, prompts: PromptSet) -> list[Compaction]:
    """The compactions in force for the next call: a new one where the window is about to overflow.

    The summary keeps the case, the findings, the hypotheses that stand and a line for each refuted one.
    """
    known = state.get("compactions", [])
    steps = state.get("steps", [])
    since = known[-1].before if known else 0
    if since == len(steps) or not ledger.overflows(completion):
        return known
    hypotheses = state.get("hypotheses", [])
    labels = {h.id: h.label for h in hypotheses}
    gone = refuted_ids(state)
    text = prompts.render(
        "compaction",
        findings=state.get("findings", []),
        hypotheses=[h for h in hypotheses if h.id not in gone],
        refuted=[f"{labels[r.hypothesis]}: {r.because}" for r in state.get("refuted", [])],
    )
    return [*known, Compaction(before=len(steps), text=text, estimated_tokens=ledger.prompt + completion)]
