"""A journey once more: what stands after each of its steps. Pure.

Traces, views, the gate's rules and training texts read it; a live traversal learns by the same functions.
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
"""What stands before the first step: nothing."""


def replay(steps: Iterable["Step"]) -> Iterator[Standpoint]:
    """What stands after each step, one standpoint a step.

    Checks of one round ran side by side; here each adds its evidence in the order of the steps.
    """
    now = START
    for step in steps:
        now = after(now, step)
        yield now


def standpoint(steps: Iterable["Step"]) -> Standpoint:
    """What stands after the last of some first steps."""
    now = START
    for step in steps:
        now = after(now, step)
    return now


def after(now: Standpoint, step: "Step") -> Standpoint:
    """What stands after one more step."""
    return now if step.output is None else learned(node(step.node), now, step.output)


def learned(learner: AnyNode, now: Standpoint, output: "BaseModel") -> Standpoint:
    """What stands once a node has settled an output."""
    then = learner.learn(now, output)
    if then.hypotheses is now.hypotheses and then.evidence is now.evidence and then.refuted is now.refuted:
        return then
    return then._replace(credence=credence(then.hypotheses.values(), then.evidence, then.refuted))
