"""What stands after each step of a journey: findings, hypotheses, evidence, refutations and credence. Pure.

Traces, views, the gate's rules and training texts read it. A live traversal uses the same functions.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ddxgraph.graph.credence import credence
from ddxgraph.nodes.registry import node
from ddxgraph.nodes.stop import AnyNode, Standpoint

if TYPE_CHECKING:  # a trace can replay itself
    from pydantic import BaseModel

    from ddxgraph.graph.trace import Step

START: Final = Standpoint()
"""The standpoint before the first step."""


def replay(steps: Iterable["Step"]) -> Iterator[Standpoint]:
    """The standpoint after each step.

    The checks of a round ran in parallel; here each adds its evidence in the order of the steps.
    """
    now = START
    for step in steps:
        now = after(now, step)
        yield now


def standpoint(steps: Iterable["Step"]) -> Standpoint:
    """The standpoint after the last of some steps from the start of a journey."""
    now = START
    for step in steps:
        now = after(now, step)
    return now


def after(now: Standpoint, step: "Step") -> Standpoint:
    """The standpoint after one more step."""
    return now if step.output is None else learned(node(step.node), now, step.output)


def learned(at: AnyNode, now: Standpoint, output: "BaseModel") -> Standpoint:
    """The standpoint after an output.

    Args:
        at: the node that gave it.
        now: the standpoint before.
        output: of the node's own type.

    Returns:
        The standpoint, with its credence.
    """
    then = at.learn(now, output)
    if then.hypotheses is now.hypotheses and then.evidence is now.evidence and then.refuted is now.refuted:
        return then
    if not then.hypotheses:  # a check looks at its own branch alone
        return then
    return then._replace(credence=credence(then.hypotheses.values(), then.evidence, then.refuted))
