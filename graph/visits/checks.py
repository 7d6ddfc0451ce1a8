"""A round of evidence checks: what each receives, and how LangGraph sends them out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Condition
from typing import NotRequired

from langgraph.types import Send
from typing_extensions import TypedDict

from ddxgraph.graph.conversation import Repeated
from ddxgraph.graph.state import Journey, Setting, last_on_trunk
from ddxgraph.nodes.call.consultation import Allowance
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE
from ddxgraph.nodes.generate_differential import Hypothesis
from ddxgraph.nodes.review_history import Asks, Finding


class Check(TypedDict):
    """What an evidence check receives: its hypothesis, the conversation so far, its share of the budget."""

    setting: Setting
    sample: int
    hypothesis: Hypothesis
    findings: Sequence[Finding]
    asks: Asks
    told: Sequence[Sequence[str]]
    """The exchanges so far."""
    summary: str
    news: NotRequired[str]
    """What an expert changed since the last reply, as the model is told it. Older checkpoints lack it."""
    parent: int | None
    index: NotRequired[int]
    """The place that its step will have in the trace. Older checkpoints lack it."""
    calls: int
    tokens: int


class Turns:
    """Lets the checks of a round run one at a time, on whatever threads, in the order in which they were sent.

    A lock alone keeps no order: a thread that has ended one check takes the next from LangGraph's queue, and may
    have the lock before the thread that took the check before it.

    Args:
        order: ids of the hypotheses whose checks were sent. A check that is not among them, such as one that is
            repeated, waits for none of them.
    """

    def __init__(self, order: Sequence[str] = ()) -> None:
        self._left = list(order)
        self._turn = Condition()

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Run the check of a hypothesis in its turn."""
        with self._turn:
            self._turn.wait_for(lambda: key not in self._left or self._left[0] == key)
            try:
                yield
            finally:
                if key in self._left:
                    self._left.remove(key)
                self._turn.notify_all()

    @property
    def over(self) -> bool:
        """Whether every check that was sent has had its turn."""
        return not self._left


def round_of_checks(
    state: Journey, repeated: Repeated, targets: Sequence[str], purses: Sequence[Allowance], news: str = ""
) -> list[Send]:
    """One evidence check per target; they share the conversation.

    Args:
        state: the journey so far, with the step that leads to the checks.
        repeated: the conversation that each check repeats.
        targets: ids of the hypotheses to check.
        purses: what each check may spend.
        news: what an expert changed since the last reply, as the model is told it.

    Returns:
        The checks for LangGraph.
    """
    steps = state.get("steps", [])
    last = last_on_trunk(steps)
    hypotheses = {hypothesis.id: hypothesis for hypothesis in state.get("hypotheses", [])}
    common = {
        "setting": state["setting"],
        "sample": state.get("sample", 0),
        "findings": state.get("findings", []),
        "asks": state.get("asks", "other"),
        "told": [tuple(exchange) for exchange in repeated.exchanges],
        "summary": repeated.summary,
        "news": news,
        "parent": last.index if last else None,
    }
    return [
        Send(
            CHECK_EVIDENCE.name,
            {
                **common,
                "hypothesis": hypotheses[key],
                "index": index,
                "calls": purse.calls,
                "tokens": purse.tokens,
            },
        )
        for index, (key, purse) in enumerate(zip(targets, purses, strict=True), len(steps))
    ]
