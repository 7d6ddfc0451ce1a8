"""What a traversal may still spend, and the summary in place of turns that no longer fit. Pure."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from ddxgraph.graph.conversation import Compaction, Exchange, Repeated
from ddxgraph.graph.routing import Limit
from ddxgraph.graph.state import Journey, Setting, usage_so_far
from ddxgraph.nodes.call.consultation import Allowance, Reply
from ddxgraph.nodes.call.usage import estimate_tokens
from ddxgraph.nodes.stop import Standpoint
from ddxgraph.prompts.library import PromptSet

ASKING_TOKENS: Final = 400
"""Estimated tokens of a turn's own text, before it is rendered."""


class Ledger(NamedTuple):
    """What may be spent, as it stands before a call."""

    left: Allowance
    """What remains of the budget."""
    prompt: int
    """Estimated tokens of the next prompt."""
    window: int | None
    """Tokens that the model's context holds."""
    conclusion: int
    """Completion tokens that the conclusion may take."""

    @classmethod
    def of(cls, state: Journey, told: Sequence[Exchange], conclusion: int) -> "Ledger":
        """The ledger of a state.

        Args:
            state: the journey so far.
            told: its exchanges, which the next call repeats.
            conclusion: completion tokens that are reserved for the conclusion.

        Returns:
            The ledger.
        """
        setting = state["setting"]
        compactions = state.get("compactions", [])
        summary = compactions[-1].text if compactions else ""
        return cls(
            left=setting.strategy.budget.left(usage_so_far(state)),
            prompt=_prompt_tokens(setting, summary, told),
            window=setting.strategy.context_window,
            conclusion=conclusion,
        )

    def compacted(self, state: Journey, summary: str) -> "Ledger":
        """The ledger after a summary has replaced the turns so far."""
        return self._replace(prompt=_prompt_tokens(state["setting"], summary))

    def after(self, reply: Reply[Any] | None) -> "Ledger":
        """The ledger after a reply has been paid for and added to the conversation."""
        if reply is None:
            return self
        left = self.left.less(reply.usage.calls, reply.usage.total_tokens)
        added = (reply.turn.text, reply.text) if reply.failure is None else ()
        return self._replace(left=left, prompt=self.prompt + estimate_tokens(added))

    def telling(self, news: str) -> "Ledger":
        """The ledger of a turn that begins with news."""
        return self._replace(prompt=self.prompt + estimate_tokens([news])) if news else self

    @property
    def spared(self) -> Allowance:
        """What may be spent if one call is reserved for the conclusion."""
        return self.left.less(1, self.prompt + self.conclusion)

    def spent(self, completion: int, *, last: bool = False) -> Limit | None:
        """The limit that forbids a call, if any.

        Args:
            completion: maximum number of completion tokens of the call.
            last: whether it is the conclusion's own call, for which nothing need be reserved.
        """
        purse = self.left if last else self.spared
        if purse.calls < 1:
            return "calls"
        return "tokens" if purse.tokens < self.prompt + completion else None

    def overflows(self, completion: int) -> bool:
        """Whether the next prompt and its reply would exceed the context window."""
        return self.window is not None and self.prompt + completion > self.window


def fitted(
    told: Repeated, steps: int, now: Standpoint, ledger: Ledger, cap: int, prompts: PromptSet
) -> tuple[Repeated, Compaction | None]:
    """The conversation for the next call: all of it, or a new summary if it would overflow the window.

    Args:
        told: the conversation so far.
        steps: number of steps so far.
        now: the standpoint.
        ledger: what may be spent.
        cap: completion tokens of the next call.
        prompts: the prompt set.

    Returns:
        What the next call repeats, and the compaction if there was one.
    """
    if not told.exchanges or not ledger.overflows(cap):
        return told, None
    summary = summary_of(now, prompts)
    return Repeated([], summary), Compaction(before=steps, text=summary, estimated_tokens=ledger.prompt + cap)


def _prompt_tokens(setting: Setting, summary: str, repeated: Sequence[Exchange] = ()) -> int:
    """Estimated tokens of the next prompt: what it repeats, and the turn's own text."""
    texts = [setting.system, setting.opening, summary]
    for exchange in repeated:
        texts += exchange
    return estimate_tokens(texts) + ASKING_TOKENS


def summary_of(now: Standpoint, prompts: PromptSet) -> str:
    """The summary in place of the turns so far: findings, standing hypotheses, one line per refuted one."""
    refuted = now.refuted.items()
    return prompts.render(
        "compaction",
        findings=list(now.findings.values()),
        hypotheses=[hypothesis for key, hypothesis in now.hypotheses.items() if key not in now.refuted],
        refuted=[f"{now.hypotheses[key].label}: {refutation.because}" for key, refutation in refuted],
    )
